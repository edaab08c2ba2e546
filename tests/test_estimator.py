"""ImageClassifier keeps scikit-learn's contract, and Saccade's behind it."""

import gc
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import AdaBoostClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import saccade
from saccade import ImageClassifier, estimator
from saccade.events import Interrupted
from saccade.experiment.folder import read_record

FEW = 120
PLAN: dict[str, Any] = {"device": "cpu", "precision": "fp32"}  # so that nothing is measured, and scores are exact


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """uint8 (1797, 8, 8) and labels."""
    found = load_digits()
    return np.round(found.images * (255 / 16)).astype(np.uint8), found.target


@pytest.fixture(scope="module")
def few(digits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return digits[0][:FEW], digits[1][:FEW]


def classifier(**params: Any) -> ImageClassifier:
    return ImageClassifier(**{"network": "lenet5", "epochs": 1, "batch": 32, "fields": {"plan": PLAN}} | params)


# A table is no image: a pixel's shift, the default for grey images, would mix its columns. No check is excepted.
@parametrize_with_checks([classifier(epochs=5, batch=16, fields={"plan": PLAN, "augment": {"crop": "none"}})])
def test_every_check_of_scikit_learn_passes(estimator: ImageClassifier, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_it_learns_digits(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    fitted = classifier(epochs=6).fit(x[:1200], y[:1200])
    assert fitted.score(x[1200:], y[1200:]) > 0.85  # 0.92 here


def test_images_may_come_in_any_form(few: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = few
    fitted = classifier().fit(x, y)
    assert (fitted.n_features_in_, fitted.image_shape_, fitted.range_) == (64, (8, 8, 1), (0, 255))
    likely = fitted.predict_proba(x)
    for form in (x[..., None], x[:, None], x.reshape(FEW, 64), x.astype(float), x.astype(int), x.tolist()):
        assert np.array_equal(fitted.predict_proba(form), likely)
    for form in (x / 255, (x / 255).reshape(FEW, 64)):
        again = classifier().fit(form, y)
        assert again.range_ == (0, 1)
        assert np.array_equal(again.predict_proba(form), likely)


def test_colour_first_last_or_in_rows(few: tuple[np.ndarray, np.ndarray]) -> None:
    x = np.stack([few[0], few[0] // 2, few[0] // 3], 3)
    fitted = classifier().fit(x, few[1])
    assert (fitted.n_features_in_, fitted.image_shape_) == (192, (8, 8, 3))
    likely = fitted.predict_proba(x)
    assert np.array_equal(fitted.predict_proba(x.transpose(0, 3, 1, 2)), likely)
    rows = x.reshape(FEW, -1)
    assert np.array_equal(classifier(image_shape=(8, 8, 3)).fit(rows, few[1]).predict_proba(rows), likely)


def test_columns_follow_classes_of_any_kind(few: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = few
    for labels in (y + 5, np.array(["twelve", "nine"])[y % 2], y % 2 == 1, np.array(list("abcdefghij"), object)[y]):
        fitted = classifier().fit(x, labels)
        likely = fitted.predict_proba(x)
        assert np.array_equal(fitted.classes_, np.unique(labels))
        assert likely.shape == (FEW, len(fitted.classes_))
        assert np.array_equal(fitted.predict(x), fitted.classes_[likely.argmax(1)])
        assert fitted.predict(x).dtype == labels.dtype
        assert read_record(fitted.run_)["classes"] == [str(each) for each in fitted.classes_]


def test_a_class_keeps_its_column_where_text_sorts_otherwise(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    fitted = classifier(epochs=4).fit(x[:600], y[:600] + 5)  # 5 to 14, of which "10" is before "5" as a word
    assert fitted.score(x[:600], y[:600] + 5) > 0.5


def test_every_image_trains_unless_a_share_is_asked_for(few: tuple[np.ndarray, np.ndarray]) -> None:
    def parts(**params: Any) -> list[int]:
        fitted = classifier(**params).fit(*few)
        splits = read_record(fitted.run_)["splits"]
        return [splits[part]["images"] for part in ("train", "validation", "test")]

    assert parts() == [FEW, 0, 0]
    train, validation, test = parts(fields={"plan": PLAN, "split": {"validation": 0.25, "test": 0.5}})
    assert validation > 20
    assert (train + validation, test) == (FEW, 0)


def test_the_seed_decides(few: tuple[np.ndarray, np.ndarray]) -> None:
    first, again, other = (classifier(seed=seed).fit(*few).predict_proba(few[0]) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_parameters_win_over_fields_and_those_over_the_recipe(few: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    optimizer = {"rule": "adam", "lr": 0.5, "weight_decay": 0.5}
    file.write_text(yaml.safe_dump({"network": "lenet5", "epochs": 7, "batch": 16, "seed": 5, "optimizer": optimizer}))
    fields = {"plan": PLAN, "batch": 24, "optimizer": {"weight_decay": 0.25}}
    fitted = ImageClassifier(recipe=file, fields=fields, epochs=1, lr=0.01).fit(*few)
    used = yaml.safe_load((fitted.run_ / "recipe.yaml").read_text())
    assert [used[name] for name in ("network", "epochs", "batch", "seed")] == ["lenet5", 1, 24, 5]
    assert [used["optimizer"][name] for name in ("rule", "lr", "weight_decay")] == ["adam", 0.01, 0.25]


def test_fields_can_be_set_by_section_and_name() -> None:
    fields = {"plan": PLAN, "optimizer": {"rule": "adam"}}
    first = classifier(fields=fields)
    second = clone(first).set_params(optimizer__clip=1.0, mix__cutmix=1.0, epochs=3)
    assert second.epochs == 3
    assert second.fields == {"plan": PLAN, "optimizer": {"rule": "adam", "clip": 1.0}, "mix": {"cutmix": 1.0}}
    assert first.fields is fields
    assert fields == {"plan": PLAN, "optimizer": {"rule": "adam"}}
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        first.set_params(nothing=1)


def test_in_a_search_through_a_pipeline(few: tuple[np.ndarray, np.ndarray]) -> None:
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"imageclassifier__lr": np.array([0.01, 0.05]), "imageclassifier__optimizer__rule": ["sgd", "adam"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(few[0].reshape(FEW, 64), few[1])
    assert len(search.cv_results_["mean_test_score"]) == 4
    best = search.best_estimator_[-1]
    used = yaml.safe_load((best.run_ / "recipe.yaml").read_text())["optimizer"]
    assert [used["lr"], used["rule"]] == list(search.best_params_.values())
    low, high = best.range_
    assert low < 0 < high  # of standardized pixels


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one(few: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    serial = cross_validate(classifier(), *few, cv=2)
    found = cross_validate(classifier(out=tmp_path), *few, cv=2, n_jobs=2, return_estimator=True)
    assert found["test_score"].tolist() == serial["test_score"].tolist()
    assert len(list(tmp_path.iterdir())) == 2
    for each in found["estimator"]:
        assert each.predict_proba(few[0]).shape == (FEW, 10)


def test_a_pickle_outlives_the_run_folder(few: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    fitted = classifier(out=tmp_path).fit(*few)
    likely, packed = fitted.predict_proba(few[0]), pickle.dumps(fitted)
    shutil.rmtree(fitted.run_)
    again = pickle.loads(packed)
    assert np.array_equal(again.predict_proba(few[0]), likely)
    assert np.array_equal(pickle.loads(pickle.dumps(again)).predict_proba(few[0]), likely)
    assert np.array_equal(saccade.predict(again.run_, few[0][..., None]).probabilities, likely)
    assert again.get_params() == fitted.get_params()
    with pytest.raises(ValueError, match="no longer there"):
        pickle.dumps(fitted)
    assert pickle.loads(pickle.dumps(classifier())).get_params() == classifier().get_params()


def test_a_temporary_run_lives_as_long_as_the_estimator(few: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = classifier().fit(*few)
    first = fitted.run_
    assert read_record(first)["network"] == "lenet5"
    second = fitted.fit(*few).run_
    assert second.is_dir()
    del fitted
    gc.collect()
    assert not first.exists()
    assert not second.exists()
    assert not second.parent.exists()


def test_every_fit_has_a_folder_of_its_own_in_out(few: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "runs" / "digits"
    fitted = classifier(out=out)
    runs = {fitted.fit(*few).run_ for _ in range(2)}
    del fitted
    gc.collect()
    assert runs == set(out.iterdir())
    assert len(runs) == 2


def test_a_fit_that_fails_leaves_the_fitted_model(few: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = classifier().fit(*few)
    likely = fitted.predict_proba(few[0])
    with pytest.raises(ValueError, match="network"):
        fitted.set_params(network="lenet55").fit(*few)
    assert fitted.run_.is_dir()
    assert np.array_equal(fitted.predict_proba(few[0]), likely)


@pytest.mark.parametrize(
    ("shape", "params", "message"),
    [
        ((FEW, 8, 8, 2), {}, r"X is \(N, H, W\).* this is \(120, 8, 8, 2\)"),
        ((FEW, 3, 8, 8, 1), {}, r"this is \(120, 3, 8, 8, 1\)"),
        ((FEW, 192), {}, "rows of 192 values, which make no grey square; set image_shape"),
        ((FEW, 192), {"image_shape": (8, 8)}, r"\(8, 8\) does not fit X, rows of 192 values"),
        ((FEW, 64), {"image_shape": 64}, "64 does not fit X, rows of 64 values"),
        ((FEW, 8, 8), {"image_shape": (16, 4)}, r"\(16, 4\) does not fit X, images of \(8, 8, 1\)"),
        ((FEW - 1, 8, 8), {}, r"inconsistent numbers of samples: \[119, 120\]"),
        ((FEW, 8, 8), {"network": "lenet"}, 'did you mean "lenet5"'),
        ((FEW, 8, 8), {"epochs": 0}, "epochs should be greater than or equal to 1, not 0"),
        ((FEW, 8, 8), {"fields": {"optimiser": {}}}, 'did you mean "optimizer'),
        ((FEW, 8, 8), {"fields": {"optimizer": 3}}, "optimizer .*not 3"),
        ((FEW, 8, 8), {"fields": "adam"}, "fields: a dictionary .* not 'adam'"),
        ((FEW, 8, 8), {"fields": {"data": "digits"}}, "fields: a dictionary .* without data, not {'data'"),
        ((FEW, 8, 8), {"recipe": "resnet21-cifar10"}, 'there is no recipe "resnet21-cifar10", did you mean'),
        ((FEW, 8, 8), {"fields": {"stop": {"patience": 2}}}, "no validation images to decide by"),
    ],
)
def test_what_fit_refuses(
    few: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...], params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(**params).fit(np.zeros(shape, np.uint8), few[1])


def test_what_predict_refuses(few: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = classifier().fit(*few)
    for x, message in (
        (np.zeros((2, 16, 4), np.uint8), r"fit was given images of \(8, 8, 1\), these are \(16, 4, 1\)"),
        (np.zeros((2, 65)), "65 features"),
        (np.full((2, 8, 8), 0.5), "pixels in 0..255, these go from 0.5 to 0.5"),
        (np.zeros((0, 8, 8)), r"0 sample\(s\)"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.predict(x)
    with pytest.raises(ValueError, match=r"pixels in 0..1, these go from 0 to 255"):
        classifier().fit(few[0] / 255, few[1]).predict(few[0])


def test_values_outside_the_range_of_fit_are_cut(few: tuple[np.ndarray, np.ndarray]) -> None:
    x = few[0].astype(float) / 10 - 3
    fitted = classifier().fit(x, few[1])
    assert fitted.range_ == (-3, 22.5)
    assert np.array_equal(fitted.predict_proba(np.full((1, 8, 8), 99.5)), fitted.predict_proba(np.full((1, 8, 8), 22.5)))


def test_white_is_16_where_floats_go_that_far(few: tuple[np.ndarray, np.ndarray]) -> None:
    assert estimator.range_of(load_digits().images) == (0, 16)
    assert estimator.range_of(few[0].astype(float)) == estimator.range_of(few[0] // 16) == (0, 255)


def test_weights_of_images_are_refused_in_scikit_learns_words(few: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(TypeError, match="sample_weight"):
        classifier().fit(*few, sample_weight=np.ones(FEW))
    with pytest.raises(ValueError, match="doesn't support sample_weight"):
        AdaBoostClassifier(classifier()).fit(few[0].reshape(FEW, 64), few[1])
    assert not hasattr(classifier(), "partial_fit")


def test_ctrl_c_ends_a_search_too(few: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> Iterator[None]:
        raise Interrupted("run")
        yield

    monkeypatch.setattr(estimator, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(classifier(), *few, cv=2)


def test_it_is_quiet_unless_asked(few: tuple[np.ndarray, np.ndarray], capfd: pytest.CaptureFixture[str]) -> None:
    classifier().fit(*few).predict(few[0])
    assert capfd.readouterr() == ("", "")
    classifier(verbose=True).fit(*few)
    said = capfd.readouterr()
    assert said.out == ""
    assert "epoch 1/1" in said.err


def test_the_package_is_imported_without_torch_or_scikit_learn() -> None:
    script = "import sys, saccade; dir(saccade); assert not {'torch', 'sklearn', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
