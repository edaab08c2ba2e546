"""Bagging and boosting on real digits: what each member sees, what they say together, how sure they are."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

import saccade
from saccade import InputError, commands
from saccade.cli import main
from saccade.data.batches import Resident
from saccade.events import finish
from saccade.experiment import model, run
from saccade.experiment.boost import Series, error_of, reweighted, vote_of
from saccade.experiment.division import bootstrap_sample
from saccade.experiment.ensemble import mean_history
from saccade.experiment.feed import weighted_order
from saccade.experiment.recipe import make_recipe
from saccade.layers.ensemble import Averaged, Voted

SMALL: dict[str, Any] = {
    "network": "lenet5",
    "epochs": 5,
    "batch": 16,
    "optimizer": {"lr": 0.02},
    "plan": {"precision": "fp32", "channels_last": True},
}
MEMBERS = 4


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:300]


@pytest.fixture(scope="module")
def bag(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    place = tmp_path_factory.mktemp("ensembles") / "bag"
    return finish(commands.bag(digits, MEMBERS, engine="serial", out=place, **SMALL)), place


@pytest.fixture(scope="module")
def boost(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    place = tmp_path_factory.mktemp("ensembles") / "boost"
    return finish(commands.boost(digits, 3, out=place, **SMALL, mix={"mixup": 0.2})), place


@pytest.fixture
def unread(digits: Any) -> Any:
    """Other real digits."""
    found = load_digits()
    return (found.images[300:420] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[300:420]


def read(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as found:
        return dict(found)


def test_a_bag_has_what_a_run_has(bag: Any) -> None:
    record, place = bag
    files = (
        "model.safetensors",
        "recipe.yaml",
        "split.npz",
        "predictions.npz",
        "metrics.jsonl",
        "record.json",
        "report.html",
    )
    assert all((place / name).is_file() for name in files)
    assert json.loads((place / "record.json").read_text()) == record
    plain = json.loads((place / "member-0" / "record.json").read_text())
    assert set(plain) <= set(record)
    assert (record["network"], record["ensemble"], record["seed"], record["test_read"]) == ("lenet5", "bag", 0, 1)
    assert record["seconds"] > 0
    score = record["scores"]["test"]["accuracy"]
    assert score["low"] < score["value"] < score["high"]
    assert score["n"] == record["splits"]["test"]["images"] == 60
    assert record["parameters"] == MEMBERS * plain["parameters"]
    assert record["macs"] == pytest.approx(MEMBERS * plain["macs"])
    assert [row["seed"] for row in record["members"]] == list(range(MEMBERS))
    assert len(json.loads("[" + ",".join((place / "metrics.jsonl").read_text().splitlines()) + "]")) == SMALL["epochs"]
    page = (place / "report.html").read_text()
    assert "4 bagged lenet5" in page
    assert "Out of bag" in page
    assert f"saccade bag --members 4 --recipe {place / 'recipe.yaml'}" in page


def test_members_never_read_the_test_part_and_share_all_but_their_draws(bag: Any) -> None:
    _, place = bag
    own = read(place / "split.npz")
    seen = []
    for i in range(MEMBERS):
        split, record = (
            read(place / f"member-{i}" / "split.npz"),
            json.loads((place / f"member-{i}/record.json").read_text()),
        )
        assert (split["parts"] == own["parts"]).all()
        assert record["test_read"] == 0
        assert "test" not in record["scores"]
        seen.append(model.load(place / f"member-{i}").preprocess)
    assert len(set(map(str, seen))) == 1
    assert model.load(place).preprocess == seen[0]


def test_the_ensemble_is_the_mean_of_its_members(bag: Any) -> None:
    record, place = bag
    found = read(place / "predictions.npz")
    part = found["parts"] == "validation"
    several = [read(place / f"member-{i}" / "predictions.npz") for i in range(MEMBERS)]
    assert all((each["ids"] == found["ids"][part]).all() for each in several)
    mean = np.mean([each["probabilities"].astype(np.float64) for each in several], axis=0)
    np.testing.assert_allclose(found["probabilities"][part], mean, atol=2e-6)
    for row, each in zip(record["members"], several, strict=True):
        right = (each["probabilities"].argmax(1) == each["labels"]).mean()
        assert row["accuracy"]["validation"] == pytest.approx(right)
        assert row["validation_accuracy"]["value"] == pytest.approx(right)
    alone = np.mean([row["accuracy"]["test"] for row in record["members"]])
    gain = record["gain"]
    assert gain["value"] == pytest.approx(record["scores"]["test"]["accuracy"]["value"] - alone)
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert (gain["part"], gain["n"]) == ("test", 60)


def test_out_of_bag_is_out_of_bag(bag: Any, digits: Any) -> None:
    """Each training image again, by every member that did not draw it, found from the files of the members alone."""
    record, place = bag
    found, split = read(place / "out-of-bag.npz"), read(place / "split.npz")
    train = np.flatnonzero(split["parts"] == "train")
    drawn = [bootstrap_sample(train, seed) for seed in range(MEMBERS)]
    free = np.stack([~np.isin(train, each) for each in drawn])
    assert 0.3 < free.mean() < 0.44
    where = train[free.any(0)]
    assert (found["ids"] == split["ids"][where]).all()
    assert (found["members"] == free.sum(0)[free.any(0)]).all()
    assert record["out_of_bag"]["images"] == len(where)
    assert record["out_of_bag"]["of"] == len(train)
    for i in (0, len(where) // 2):
        several = [
            finish(commands.predict(place / f"member-{k}", digits[0][where[i]])).probabilities[0].astype(np.float64)
            for k in range(MEMBERS)
            if where[i] not in drawn[k]
        ]
        np.testing.assert_allclose(found["probabilities"][i], np.mean(several, axis=0), atol=2e-6)
    score = record["out_of_bag"]["scores"]["accuracy"]
    assert score["value"] == pytest.approx((found["probabilities"].argmax(1) == found["labels"]).mean())
    assert score["n"] == len(where)


def test_members_read_none_of_the_images_that_they_are_scored_on(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reading of an image while a member trains is written down."""
    from saccade.experiment import fit

    readings: list[np.ndarray] = []

    class Recording(Resident):
        def take(self, indices: np.ndarray) -> Any:
            readings.append(indices.copy())
            return super().take(indices)

    monkeypatch.setattr(fit, "Resident", Recording)
    monkeypatch.setattr(fit.Fit, "check_sound", lambda self: None)  # it looks at scores alone
    finish(commands.bag(digits, 2, engine="serial", out=tmp_path / "bag", **SMALL | {"epochs": 1}, split={"validation": 0}))
    parts = read(tmp_path / "bag" / "split.npz")["parts"]
    free = read(tmp_path / "bag" / "out-of-bag.npz")
    drawn = np.unique(np.concatenate(readings))
    assert (parts[drawn] == "train").all()
    assert not np.isin(free["ids"][free["members"] == 2], read(tmp_path / "bag" / "split.npz")["ids"][drawn]).any()


def test_duplicates_and_groups_of_what_was_drawn_are_not_out_of_bag(data: Path, tmp_path: Path) -> None:
    files = sorted((data / "clothing-small" / "train").glob("*/*.jpg"))
    classes = sorted({file.parent.name for file in files})[:2]
    rows = [
        (f, name, f"{name}-{i // 3}") for name in classes for i, f in enumerate(f for f in files if f.parent.name == name)
    ]
    table = tmp_path / "photos.csv"
    rows = [row for row in rows if int(row[2].rpartition("-")[2]) < 8]
    table.write_text("path,label,owner\n" + "".join(f"{file},{label},{owner}\n" for file, label, owner in rows))
    words = SMALL | {"epochs": 1, "images": {"size": 32}, "split": {"group": "owner"}}
    record = finish(commands.bag(table, 3, engine="serial", out=tmp_path / "bag", **words))
    owners = {str(file): owner for file, _, owner in rows}
    split = read(tmp_path / "bag" / "split.npz")
    train = np.flatnonzero(split["parts"] == "train")
    owner = np.array([owners.get(name, owners.get(str(tmp_path / name), "")) for name in split["ids"].tolist()])
    assert (owner != "").all()
    free = np.zeros(len(owner), int)
    for seed in range(3):
        drawn = bootstrap_sample(train, seed)
        free[train[~np.isin(owner[train], owner[drawn])]] += 1
    assert record["out_of_bag"]["images"] <= (free > 0).sum()
    if record["out_of_bag"]["images"]:
        assert np.isin(read(tmp_path / "bag" / "out-of-bag.npz")["ids"], split["ids"][free > 0]).all()


@pytest.mark.parametrize("kind", ["bag", "boost"])
@pytest.mark.parametrize("views", ["center", "shifts"])
def test_predict_says_what_evaluate_scores(kind: str, views: str, unread: Any, request: pytest.FixtureRequest) -> None:
    record, place = request.getfixturevalue(kind)
    images, labels = unread
    scored = finish(commands.evaluate(place, unread, views=views))
    found = finish(commands.predict(place, list(images), views=views))
    right = np.mean([name == str(label) for name, label in zip(found.labels, labels, strict=True)])
    assert scored["scores"]["test"]["accuracy"]["value"] == right
    likely = found.probabilities[np.arange(len(labels)), labels]
    assert scored["scores"]["test"]["log_loss"]["value"] == pytest.approx(
        -np.log(likely.astype(np.float64)).mean(), abs=1e-12
    )
    assert finish(commands.evaluate(place)) == record


@pytest.mark.parametrize("kind", ["bag", "boost"])
def test_predict_on_images_of_the_run_is_what_the_run_kept(kind: str, digits: Any, request: pytest.FixtureRequest) -> None:
    _, place = request.getfixturevalue(kind)
    kept, split = read(place / "predictions.npz"), read(place / "split.npz")
    test = np.flatnonzero(split["parts"] == "test")
    found = finish(commands.predict(place, list(digits[0][test])))
    there = kept["parts"] == "test"
    assert (kept["ids"][there] == split["ids"][test]).all()
    assert (kept["probabilities"][there] == found.probabilities).all()
    unsure = found.uncertainty
    assert unsure is not None
    for name, values in vars(unsure).items():
        assert (kept[name][there] == values).all()


@pytest.mark.parametrize("kind", ["bag", "boost"])
def test_exports_agree(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    _, place = request.getfixturevalue(kind)
    data = load_digits()
    images = (data.images[:80] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), data.target[:80]
    found = finish(commands.export(place, out=tmp_path / "model.onnx", data=images))
    assert found["largest_difference"] < 1e-4


def test_uncertainty_is_told_for_each_prediction_of_an_ensemble_alone(bag: Any, unread: Any) -> None:
    _, place = bag
    found = finish(commands.predict(place, list(unread[0])))
    several = [finish(commands.predict(place / f"member-{i}", list(unread[0]))) for i in range(MEMBERS)]
    rows = commands.prediction_rows(found)
    assert list(rows[0]) == ["file", "class", "probability", "entropy", "mutual_information", "spread"]
    named = found.probabilities.argmax(1)
    of_named = np.stack([each.probabilities[np.arange(len(named)), named] for each in several])
    np.testing.assert_allclose([row["spread"] for row in rows], of_named.std(0), atol=3e-6)
    likely = np.stack([each.probabilities for each in several]).astype(np.float64)
    entropy = -(likely.mean(0) * np.log(likely.mean(0))).sum(1)
    np.testing.assert_allclose([row["entropy"] for row in rows], entropy, atol=1e-5)
    mutual = entropy + (likely * np.log(np.maximum(likely, 1e-30))).sum(2).mean(0)
    np.testing.assert_allclose([row["mutual_information"] for row in rows], mutual, atol=1e-5)
    table = list(csv.DictReader(io.StringIO(commands.predictions_csv(found))))
    assert list(table[0])[:6] == list(rows[0])
    assert float(table[3]["mutual_information"]) == rows[3]["mutual_information"]
    assert several[0].uncertainty is None
    assert commands.predictions_csv(several[0]).startswith("file,class,probability,0,1,2")
    assert list(commands.prediction_rows(several[0])[0]) == ["file", "class", "probability"]


def test_a_stopped_bag_goes_on_to_the_same_bits(digits: Any, bag: Any, tmp_path: Path) -> None:
    record, place = bag
    again = tmp_path / "bag"
    shutil.copytree(place, again)
    for name in ("record.json", "model.safetensors", "test-read.txt", "member-1/record.json"):
        (again / name).unlink()
    shutil.rmtree(again / "member-3")
    untouched = (again / "member-0" / "model.safetensors").stat().st_mtime_ns
    found = finish(commands.bag(digits, MEMBERS, engine="serial", out=again, **SMALL))
    assert (again / "member-0" / "model.safetensors").stat().st_mtime_ns == untouched
    for name in ("scores", "out_of_bag", "gain", "uncertainty", "confusion", "test_read"):
        assert found[name] == record[name]
    assert (again / "model.safetensors").stat().st_size == (place / "model.safetensors").stat().st_size
    kept, new = read(place / "predictions.npz"), read(again / "predictions.npz")
    assert (kept["probabilities"] == new["probabilities"]).all()


def test_a_finished_bag_is_not_read_again_and_a_second_reading_is_counted(digits: Any, bag: Any, tmp_path: Path) -> None:
    record, place = bag
    words = {"engine": "serial", **SMALL}
    assert finish(commands.bag(digits, MEMBERS, out=place, **words)) == record
    with pytest.raises(InputError, match="another study is in there \\(members differs: "):
        finish(commands.bag(digits, MEMBERS + 1, out=place, **words))
    with pytest.raises(InputError, match=r"the same words as before, with --out .*, go on with them"):
        finish(commands.resume(place))
    again = tmp_path / "bag"
    shutil.copytree(place, again)
    (again / "record.json").unlink()  # stopped after the test part was read
    assert finish(commands.bag(digits, MEMBERS, out=again, **words))["test_read"] == 2


def test_without_test_or_validation_images(digits: Any, tmp_path: Path) -> None:
    words = SMALL | {"epochs": 1, "split": {"test": 0, "validation": 0}}
    record = finish(commands.bag(digits, 2, engine="serial", out=tmp_path / "bag", **words))
    assert record["scores"] == {}
    assert record["test_read"] == 0
    assert record["out_of_bag"]["images"] > 100
    assert "Out of bag" in (tmp_path / "bag" / "report.html").read_text()
    boosted = finish(commands.boost(digits, 2, out=tmp_path / "boost", **words | {"epochs": 3}))
    assert [row["validation_together"] for row in boosted["members"]] == [None] * len(boosted["members"])


def test_members_may_have_images_of_their_own(digits: Any, tmp_path: Path) -> None:
    """With split.images each has its own share of the training images; who did not train on one scores it."""
    words = SMALL | {"epochs": 1, "split": {"images": 60}}
    record = finish(commands.bag(digits, 3, engine="serial", out=tmp_path / "bag", **words))
    trained = [read(tmp_path / "bag" / f"member-{i}" / "split.npz")["parts"] == "train" for i in range(3)]
    assert (read(tmp_path / "bag" / "split.npz")["parts"] == "train").sum() == np.any(trained, axis=0).sum()
    assert record["out_of_bag"]["of"] == np.any(trained, axis=0).sum()


def test_means_over_members_that_stopped_at_different_epochs() -> None:
    one = [{"epoch": 1, "step": 4, "train_loss": 2.0}, {"epoch": 2, "step": 8, "train_loss": 1.0}]
    other = [{"epoch": 1, "step": 4, "train_loss": 1.0}]
    assert mean_history([one, other]) == [{"epoch": 1, "step": 4, "train_loss": 1.5}, one[1]]


# --- boosting


def test_a_boosted_run(boost: Any) -> None:
    record, place = boost
    assert record["ensemble"] == "boost"
    assert "out_of_bag" not in record
    assert record["gain"]["over"] == "the first member"
    assert len(record["members"]) == 3
    loaded = model.load(place).network
    assert isinstance(loaded, Voted)
    np.testing.assert_allclose(loaded.votes, [row["vote"] for row in record["members"]], rtol=1e-6)
    assert record["members"][-1]["validation_together"] == record["scores"]["validation"]["accuracy"]["value"]
    page = (place / "report.html").read_text()
    assert "3 boosted lenet5" in page
    assert "Weighted error on training images" in page
    assert page.count("all so far") == 1


def test_weights_errors_and_votes_are_those_of_the_paper(boost: Any, digits: Any) -> None:
    """Algorithm 2 of Zhu et al. 2009, written anew, from what the members in the folder say of the training images."""
    record, place = boost
    split = read(place / "split.npz")
    train = np.flatnonzero(split["parts"] == "train")
    truth, n, classes = digits[1][train], len(train), 10
    w = np.ones(n) / n
    for m, row in enumerate(record["members"]):
        kept = read(place / f"member-{m}-weights.npz")
        assert (kept["ids"] == split["ids"][train]).all()
        np.testing.assert_allclose(kept["weights"], w, rtol=1e-10)
        said = np.array(
            [int(name) for name in finish(commands.predict(place / f"member-{m}", list(digits[0][train]))).labels]
        )
        err = sum(w[i] for i in range(n) if said[i] != truth[i]) / sum(w)
        alpha = np.log((1 - err) / err) + np.log(classes - 1)
        assert row["error"] == pytest.approx(err)
        assert row["vote"] == pytest.approx(alpha)
        w = w * np.exp(alpha * (said != truth))
        w = w / w.sum()


def test_weights_are_those_of_scikit_learn() -> None:
    given: list[np.ndarray] = []

    class Recording(DecisionTreeClassifier):
        def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
            given.append(np.array(sample_weight))
            return super().fit(x, y, sample_weight)

    images, labels = load_digits(return_X_y=True)
    fitted = AdaBoostClassifier(Recording(max_depth=4, random_state=0), n_estimators=6, random_state=0).fit(images, labels)
    weights = np.full(len(labels), 1 / len(labels))
    for m, tree in enumerate(fitted.estimators_):
        np.testing.assert_allclose(weights, given[m], rtol=1e-9)
        wrong = tree.predict(images) != labels
        error = error_of(weights, wrong)
        vote = vote_of(error, 10, len(labels))
        assert error == pytest.approx(fitted.estimator_errors_[m])
        assert vote == pytest.approx(fitted.estimator_weights_[m])
        weights = reweighted(weights, wrong, vote)


def test_after_its_vote_a_member_is_as_good_as_guessing() -> None:
    """The law of the weights: under those that follow, the member before has the error 1 - 1 / classes."""
    generator = np.random.default_rng(0)
    for classes in (2, 3, 10):
        weights = generator.dirichlet(np.ones(200))
        wrong = generator.random(200) < 0.3
        error = error_of(weights, wrong)
        after = reweighted(weights, wrong, vote_of(error, classes, 200))
        assert error_of(after, wrong) == pytest.approx(1 - 1 / classes)
        assert after.sum() == pytest.approx(1)


def test_images_are_drawn_by_their_weights() -> None:
    train, weights = np.arange(5, 9), np.array([0.1, 0.2, 0.3, 0.4])
    drawn = np.concatenate([weighted_order(train, weights, 0, epoch) for epoch in range(2000)])
    np.testing.assert_allclose(np.bincount(drawn, minlength=9)[5:] / len(drawn), weights, atol=0.02)
    assert (weighted_order(train, weights, 3, 1) == weighted_order(train, weights, 3, 1)).all()


def test_only_images_with_weight_train(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a field of any recipe: here only the first of the training images have weight, and a run with them resumes."""
    from saccade.experiment import feed

    first = finish(run.train(make_recipe({"data": "arrays", **SMALL, "epochs": 1}), tmp_path / "first", digits))
    split = read(tmp_path / "first" / "split.npz")
    assert first["splits"]["train"]["images"] == (split["parts"] == "train").sum()
    ids = split["ids"][split["parts"] == "train"][:40]
    np.savez(tmp_path / "weights.npz", ids=ids, weights=np.arange(1.0, 41))
    orders = []
    order = feed.Feed.order
    monkeypatch.setattr(feed.Feed, "order", lambda self, epoch: orders.append(order(self, epoch)) or orders[-1])
    words = {"data": "arrays", **SMALL, "epochs": 2, "split": {"weights": str(tmp_path / "weights.npz")}}
    finish(run.train(make_recipe(words), tmp_path / "run", digits))
    assert np.isin(split["ids"][np.concatenate(orders)], ids).all()
    for bad, said in (
        ({"ids": ids}, "names a file of ids and weights"),
        ({"ids": ids, "weights": -np.ones(40)}, "not below 0"),
    ):
        np.savez(tmp_path / "weights.npz", **bad)
        with pytest.raises(InputError, match=said):
            finish(run.train(make_recipe(words), tmp_path / said.replace(" ", "-"), digits))


def test_votes_have_no_sharpness(boost: Any) -> None:
    with pytest.raises(InputError, match="votes have no slope"):
        finish(commands.sharpness(boost[1]))


def test_a_stopped_boost_goes_on_to_the_same_bits(digits: Any, boost: Any, tmp_path: Path) -> None:
    record, place = boost
    again = tmp_path / "boost"
    shutil.copytree(place, again)
    (again / "record.json").unlink()
    (again / "member-1" / "record.json").unlink()
    (again / "test-read.txt").unlink()
    shutil.rmtree(again / "member-2")
    (again / "member-2-weights.npz").unlink()
    found = finish(commands.boost(digits, 3, out=again, **SMALL, mix={"mixup": 0.2}))
    for name in ("scores", "gain", "uncertainty"):
        assert found[name] == record[name]
    numbers = ("error", "vote", "validation_together", "accuracy")
    assert [[row[n] for n in numbers] for row in found["members"]] == [
        [row[n] for n in numbers] for row in record["members"]
    ]


def test_boosting_ends_where_nothing_is_left_to_learn(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Series, "named", lambda self, member, images, where: self.prepared.store.labels[where])
    record = finish(commands.boost(digits, 3, out=tmp_path / "boost", **SMALL | {"epochs": 1}))
    assert len(record["members"]) == 1
    assert record["members"][0]["error"] == 0
    assert "names every training image correctly, so there is nothing left" in record["notes"][0]
    assert "fewer --epochs" in record["notes"][0]


def test_boosting_ends_with_a_member_that_has_learned_nothing(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Series.named
    guess = {"member-1"}

    def sometimes(self: Series, member: Any, images: Any, where: np.ndarray) -> np.ndarray:
        labels = self.prepared.store.labels[where]
        return (labels + 1) % 10 if member.name in guess else named(self, member, images, where)

    monkeypatch.setattr(Series, "named", sometimes)
    record = finish(commands.boost(digits, 3, out=tmp_path / "boost", **SMALL))
    assert len(record["members"]) == 1
    assert "member 2 is no better than guessing" in record["notes"][0]
    guess.add("member-0")
    with pytest.raises(InputError, match=r"the first member is no better than guessing .*more --epochs"):
        finish(commands.boost(digits, 3, out=tmp_path / "none", **SMALL | {"epochs": 1}))


# --- the command line


WRONG = {
    "members: 2 at least, not 1": "bag digits --members 1",
    "members: 2 at least, not 0": "boost digits --members 0",
    "argument --members: invalid int value": "bag digits --members many",
    'engine: "serail" is none of .*did you mean "serial"': "bag digits --engine serail",
    'no option "--engine"': "boost digits --engine serial",
    "no data": "bag",
    'there is no network "lenet6"': "boost digits --network lenet6",
    "nowhere: there is no such file or folder": "bag nowhere",
    "boost: split.images: the images are drawn by what the members get wrong": "boost digits --split.images 100",
    "boost: balance.by sampling": "boost digits --balance.by sampling",
    "none.npz: cannot be read .*; split.weights names a file": "train digits --images.size 28 --split.weights none.npz",
}


@pytest.mark.parametrize("said", WRONG)
def test_bad_words_get_one_clear_line(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(WRONG[said].split()) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("saccade: ")
    assert re.search(said, error), error


@pytest.mark.parametrize("command", ["bag", "boost"])
def test_help_and_json(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "--members" in capsys.readouterr().out
    words = "digits --members 2 --network lenet5 --images.size 28 --epochs 3 --plan.precision fp32 --seed 3".split()
    assert main([command, *words, "--out", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == str(tmp_path / "run")
    assert (found["network"], found["seed"]) == ("lenet5", 3)
    assert found["seconds"] > 0
    assert found["scores"]["test"]["accuracy"]["n"] == 359
    assert callable(getattr(saccade, command))
    assert isinstance(model.load(tmp_path / "run").network, Averaged if command == "bag" else Voted)
