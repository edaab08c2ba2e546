"""Splits: whole units, every class in train, fractions met, a function of the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.data.split import Fold, Fractions, folded, split, units_of
from saccade.errors import InputError

numbers = st.integers(0, 12)
rows = st.lists(st.tuples(st.integers(0, 3), numbers, numbers), min_size=2, max_size=80)


def undivided(count: int) -> np.ndarray:
    return np.full(count, "", "<U10")


@settings(max_examples=150, deadline=None)
@given(rows, st.integers(0, 1000), st.floats(0, 0.9), st.floats(0, 0.9))
def test_units_stay_whole_and_classes_in_train(
    drawn: list[tuple[int, int, int]], seed: int, validation: float, test: float
) -> None:
    """Also where a unit holds several classes: duplicates with contradicting labels."""
    labels, clusters, groups = np.array(drawn).T
    units = units_of(clusters, groups)
    result, _ = split(labels, undivided(len(labels)), units, Fractions(validation, test), seed)
    for values in (clusters, groups):
        for value in np.unique(values):
            assert len(set(result[values == value])) == 1
    assert set(labels[result == "train"]) == set(labels)
    again, _ = split(labels, undivided(len(labels)), units, Fractions(validation, test), seed)
    assert (result == again).all()


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 1000), st.data())
def test_what_the_source_says_stays(drawn: list[tuple[int, int, int]], seed: int, draw: st.DataObject) -> None:
    labels, units, _ = np.array(drawn).T
    word = st.sampled_from(["train", "test", "validation", ""])
    parts = np.array(draw.draw(st.lists(word, min_size=len(labels), max_size=len(labels))), "<U10")
    result, _ = split(labels, parts, units, Fractions(0.2, 0.2), seed)
    assert set(result) <= {"train", "validation", "test"}
    for part in ("test", "validation"):
        assert (result[parts == part] == part).all()
    held = set(result) - set(parts)  # only parts that the source does not have are split off train
    assert set(result[parts == "train"]) <= {"train", *held}
    for unit in np.unique(units[parts == ""]):
        assert len(set(result[(units == unit) & (parts == "")])) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 400), st.integers(0, 1000), st.floats(0.05, 0.5), st.integers(1, 3))
def test_fractions_are_met_as_closely_as_units_allow(count: int, seed: int, test: float, size: int) -> None:
    labels, units = np.zeros(count, int), np.arange(count) // size
    result, _ = split(labels, undivided(count), units, Fractions(0, test), seed)
    assert abs((result == "test").sum() - test * count) <= size / 2 + 1
    assert not (result == "validation").any()


@settings(max_examples=60, deadline=None)
@given(st.integers(40, 200), st.integers(2, 5), st.integers(0, 1000), st.integers(1, 3))
def test_every_image_is_in_one_fold_with_its_whole_unit(count: int, folds: int, seed: int, size: int) -> None:
    labels, units = np.arange(count) % 2, np.arange(count) // 2 // size
    parts = np.where(np.arange(count) < 5, "test", "train").astype("<U10")
    parts[units == units[-1]] = "validation"
    found = [folded(labels, parts, units, Fold(i, folds), seed) for i in range(folds)]
    held = np.stack([each == "validation" for each in found])
    assert (held.sum(0) == (parts != "test")).all()
    assert all((each[parts == "test"] == "test").all() for each in found)
    for each in found:
        for unit in np.unique(units[parts != "test"]):
            assert len(set(each[(units == unit) & (parts != "test")])) == 1
        assert set(labels[each == "validation"]) == {0, 1}


def test_more_folds_than_images_of_a_class_are_refused() -> None:
    labels = np.array([0] * 10 + [1] * 3)
    with pytest.raises(InputError, match="4 folds: the rarest class has only 3 images"):
        folded(labels, np.full(13, "train"), np.arange(13), Fold(0, 4), 0)


def test_a_split_is_stratified_and_follows_its_seed() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    one, how = split(labels, undivided(1000), np.arange(1000), Fractions(0.15, 0.2), 0)
    two, _ = split(labels, undivided(1000), np.arange(1000), Fractions(0.15, 0.2), 1)
    assert np.bincount(labels[one == "test"]).tolist() == [120, 60, 20]
    assert np.bincount(labels[one == "validation"]).tolist() == [72, 36, 12]
    assert (one != two).any()
    assert "seed 0: 200 for test, 120 for validation" in how


def test_three_large_units_give_one_to_the_test() -> None:
    result, _ = split(np.zeros(30, int), undivided(30), np.repeat([0, 1, 2], 10), Fractions(0, 0.1), 0)
    assert (result == "test").sum() == 10


@pytest.mark.parametrize("given_parts", [["train", "test"], ["train"], ["train", "validation", "test"]])
def test_only_missing_parts_are_split_off(given_parts: list[str]) -> None:
    parts = np.repeat(np.array(given_parts), 60)
    labels = np.arange(len(parts)) % 3
    result, how = split(labels, parts, np.arange(len(parts)), Fractions(0.2, 0.2), 0)
    assert set(result) == {"train", "validation", "test"}
    assert (result == "train").sum() == {2: 48, 1: 39, 3: 60}[len(given_parts)]
    assert how.startswith(f"given by the data: {', '.join(given_parts)}")


def test_fractions_of_zero_hold_nothing_back() -> None:
    result, how = split(np.arange(20) % 2, undivided(20), np.arange(20), Fractions(0, 0), 0)
    assert set(result) == {"train"}
    assert how == "nothing is held back"


def test_an_image_without_a_part_follows_its_duplicate() -> None:
    parts = np.array(["test", "", "train", "", "", "train", "test", ""])
    units = np.array([0, 0, 1, 1, 2, 3, 3, 3])
    result, _ = split(np.zeros(8, int), parts, units, Fractions(0, 0.2), 0)
    assert result.tolist() == ["test", "test", "train", "train", "train", "train", "test", "train"]


def test_images_without_a_group_are_no_group() -> None:
    units = units_of(np.arange(6), np.array(["a", "a", "", "", "", "b"]))
    assert len(set(units.tolist())) == 5
    assert units[0] == units[1]


def test_no_unit_stands_on_both_sides_of_a_part_that_is_made_and_one_that_is_given() -> None:
    labels = np.arange(120) % 2
    parts = np.array(["train"] * 100 + ["validation"] * 20)
    units = np.concatenate([np.arange(100), np.arange(20)])  # each validation image has a twin in train
    for seed in range(5):
        found, _ = split(labels, parts, units, Fractions(validation=0.15, test=0.2), seed)
        assert (found == "test").any()
        assert not set(units[found == "test"]) & set(units[found == "validation"])
