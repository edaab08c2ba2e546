"""Laws of networks that decide together."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from saccade.data.preprocess import Preprocess
from saccade.experiment import model
from saccade.layers.ensemble import Averaged, Observed, Voted
from saccade.statistics import uncertainty
from saccade.zoo import find

CLASSES = 10


@pytest.fixture(scope="module")
def members() -> list[Any]:
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = find("lenet5").build(CLASSES, 1).eval()
        for weight in network.parameters():
            weight.data *= 2  # fresh networks say nearly the same of everything
        found.append(network)
    return found


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    torch.manual_seed(9)
    return torch.randn(16, 1, 28, 28)


@torch.no_grad()
def said(network: Any, images: torch.Tensor) -> torch.Tensor:
    return network(images).softmax(1)


def test_the_softmax_of_the_scores_is_the_mean_of_the_probabilities(members: list[Any], images: torch.Tensor) -> None:
    exact = torch.stack([said(copy.deepcopy(m).double(), images.double()) for m in members]).mean(0)
    assert exact.std(1).mean() > 0.01
    torch.testing.assert_close(said(Averaged(members), images).double(), exact, atol=1e-6, rtol=1e-5)


def test_an_ensemble_of_one_or_of_identical_members_is_the_member(members: list[Any], images: torch.Tensor) -> None:
    alone = said(members[0], images)
    for count in (1, 2, 5):
        torch.testing.assert_close(said(Averaged([members[0]] * count), images), alone, atol=1e-6, rtol=1e-5)
    named = said(Voted([members[0]] * 3, [0.5, 1.0, 2.0]), images).argmax(1)
    assert (named == alone.argmax(1)).all()


def test_scores_stay_finite_where_probabilities_underflow() -> None:
    scores = torch.tensor([[[0.0], [-500.0]]]).expand(1, 2, 3)
    found = Averaged([torch.nn.Identity()] * 3).joined(scores)
    assert found.isfinite().all()
    assert found[0, 1] == pytest.approx(-500)


def test_votes_are_the_papers_probability() -> None:
    """Zhu et al. 2009: f = sum of beta g(x), g coded as 1 and -1 / (K - 1); P(k | x) = softmax(f / (K - 1))."""
    generator = np.random.default_rng(0)
    alphas, classes = [4.0, 2.5, 1.0], 5
    scores = torch.from_numpy(generator.normal(size=(20, classes, 3)).astype(np.float32))
    beta = (classes - 1) ** 2 / classes * np.array(alphas)
    coded = np.full((20, classes, 3), -1 / (classes - 1))
    np.put_along_axis(coded, scores.numpy().argmax(1)[:, None], 1.0, 1)
    wanted = torch.from_numpy((coded @ beta) / (classes - 1)).softmax(1)
    found = Voted([torch.nn.Identity()] * 3, alphas).joined(scores).softmax(1)
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_probability_that_a_single_vote_gives_is_its_share_of_right_images(classes: int) -> None:
    error = 0.3
    alpha = float(np.log((1 - error) / error) + np.log(classes - 1))
    scores = torch.eye(classes)[:1, :, None]
    assert Voted([torch.nn.Identity()], [alpha]).joined(scores).softmax(1)[0, 0] == pytest.approx(1 - error)


def test_members_in_view(members: list[Any], images: torch.Tensor) -> None:
    ensemble = Voted(members, [1.0, 2.0, 3.0])
    with torch.no_grad():
        found = Observed(ensemble)(images)
        assert found.shape == (16, CLASSES, 4)
        torch.testing.assert_close(found[:, :, 0], ensemble(images))
        torch.testing.assert_close(found[:, :, 2], members[1](images))


def test_a_file_and_a_pickle_hold_all_members(members: list[Any], images: torch.Tensor, tmp_path: Any) -> None:
    seen = Preprocess(28, 28, (0.5,), (0.25,), 1)
    names = tuple("abcdefghij")
    for ensemble in (Averaged(members), Voted(members, [1.0, 2.0, 0.5])):
        model.save(tmp_path, model.Model(ensemble.eval(), "lenet5", names, seen))
        loaded = model.load(tmp_path)
        assert (loaded.name, loaded.classes, loaded.preprocess) == ("lenet5", names, seen)
        assert type(loaded.network) is type(ensemble)
        torch.testing.assert_close(said(loaded.network, images), said(ensemble, images))
        assert torch.equal(said(pickle.loads(pickle.dumps(ensemble)), images), said(ensemble, images))


def test_what_members_agree_on_is_no_disagreement() -> None:
    generator = np.random.default_rng(1)
    likely = generator.dirichlet(np.ones(4) / 3, size=(50, 6)).transpose(0, 2, 1)  # (images, classes, members)
    shares = generator.dirichlet(np.ones(6))
    for each in (uncertainty(likely, likely.mean(2).argmax(1)), uncertainty(likely, likely.mean(2).argmax(1), shares)):
        assert (each.mutual_information >= 0).all()
        assert (each.mutual_information <= each.entropy).all()
        assert (each.entropy <= np.log(4) + 1e-12).all()
        assert each.spread.min() > 0
    same = np.repeat(likely[:, :, :1], 3, axis=2)
    alike = uncertainty(same, same[:, :, 0].argmax(1))
    assert alike.mutual_information.max() < 1e-12
    assert alike.spread.max() < 1e-12


def test_uncertainty_by_hand() -> None:
    """Two members that are certain of two classes: all that is unknown is what they disagree on, log 2."""
    likely = np.array([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
    found = uncertainty(likely, np.array([0]))
    assert found.entropy[0] == pytest.approx(np.log(2))
    assert found.mutual_information[0] == pytest.approx(np.log(2))
    assert found.spread[0] == pytest.approx(0.5)
