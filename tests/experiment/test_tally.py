"""The lines of a study: one count from the first run to the last, and a total that was announced."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from saccade import commands
from saccade.events import Ended, Note, finish
from saccade.experiment.members import Member
from saccade.experiment.recipe import make_recipe
from saccade.experiment.tally import Tally, result
from saccade.experiment.time_left import in_words, seconds_left

SMALL: dict[str, Any] = {
    "network": "lenet5",
    "epochs": 1,
    "batch": 16,
    "plan": {"precision": "fp32", "channels_last": True},
}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:300] * 15.9).astype(np.uint8).repeat(2, 1).repeat(2, 2), found.target[:300]


def heard(work: Any) -> list[str]:
    notes: list[str] = []
    finish(work, lambda event: notes.append(getattr(event, "text", "")))
    return notes


def counts(notes: list[str]) -> list[tuple[int, int]]:
    found = (re.match(r"\[(\d+)/(\d+)\] ", note) for note in notes)
    return [(int(each[1]), int(each[2])) for each in found if each]


def announced(notes: list[str]) -> list[int]:
    found = (re.match(r"(\d+) runs?, |.* more runs?, (\d+) in all$", note) for note in notes)
    return [int(each[1] or each[2]) for each in found if each]


def member(name: str, about: str = "", **split: Any) -> Member:
    return Member(name, make_recipe({"data": "digits", "split": split}), about)


def test_a_count_goes_on_from_what_is_done_and_grows_by_what_is_announced() -> None:
    tally = Tally(planned=3)
    tally.meet([member("a"), member("b")], ["a"])
    assert [note.text for note in tally.begin()] == ["1 of 3 runs are done already"]
    assert tally.numbered(Ended("b", {"failed": "no"})) == Note("[2/3] b: failed: no")
    assert list(tally.begin()) == []
    assert tally.more(1, "one failed") == Note("one failed: 1 more run, 4 in all")
    tally.meet([member("c")], [])
    assert tally.numbered(Ended("c", {"scores": {}})) == Note("[3/4] c: done")
    tally.meet(map(member, "de"), "")
    assert tally.planned == 5
    assert tally.numbered(Note("said")) == Note("said")


def run_of(name: str, network: str, images: int | None = None) -> Member:
    return Member(name, make_recipe({"data": "digits", "network": network, "split": {"images": images}}))


def test_how_long_the_others_take_is_said_once_every_network_has_been_met() -> None:
    """102 runs of an ablation would else be hours that nobody was told of."""
    tally = Tally(planned=101, at_once=2)
    tally.meet([run_of("a-0", "resnet20"), run_of("b-0", "plain20"), run_of("a-1", "resnet20")], [])
    said = [tally.numbered(Ended(name, {"scores": {}, "seconds": seconds})) for name, seconds in (("a-0", 90), ("b-0", 30))]
    assert [each.text for each in said if isinstance(each, Note)] == [
        "[1/101] a-0: done",
        "[2/101] b-0: done; about 50 min for the other 99 runs",  # 90 s, and 98 of 60 s
    ]
    assert tally.foretell() == ""


def test_what_is_left_is_counted_by_images_where_these_are_what_differs() -> None:
    sizes = {"small": 100, "large": 1000}
    met = {name: run_of(name, "lenet5", images) for name, images in sizes.items()}
    assert seconds_left({"small": 20.0}, met, ["large"], 0) == 200
    assert in_words(50, 3) == ""
    assert in_words(3 * 3600, 1) == "about 3.0 h for the other 1 run"


def test_the_line_of_a_run_tells_what_it_tries_and_what_it_is_scored_on() -> None:
    record = {"scores": {"validation": {"accuracy": {"value": 0.5}}}, "seconds": 2.0}
    assert (
        result(member("value-0-1", "split.images 50"), record)
        == "value-0-1: split.images 50, validation accuracy 0.5000, 2 s"
    )
    record["scores"] = {"test": {"accuracy": {"value": 0.25}}}
    assert result(member("run-0"), record) == "run-0: test accuracy 0.2500, 2 s"
    assert (
        result(member("run-0-0-fold-1", outer=3, outer_fold=1), record)
        == "run-0-0-fold-1: accuracy 0.2500 on its fold, 2 s"
    )


def test_a_race_counts_all_its_runs_and_single_ones_too(digits: Any, tmp_path: Path) -> None:
    words = {"rules": "sgd,adam", "rates": 1, "seeds": 1, "engine": "serial", "out": tmp_path / "race", **SMALL}
    notes = heard(commands.race(digits, **words))
    assert counts(notes) == [(i, 4) for i in range(1, 5)]
    assert announced(notes) == [4]
    (tmp_path / "race" / "adam-run-0" / "record.json").unlink()
    again = heard(commands.race(digits, **words))
    assert "3 of 4 runs are done already" in again
    assert counts(again) == [(4, 4)]


def test_a_search_that_goes_on_is_announced_and_counted(digits: Any, tmp_path: Path) -> None:
    words = {"rules": "sgd", "seeds": 1, "engine": "serial", "out": tmp_path / "race", **SMALL}
    notes = heard(commands.race(digits, **words | {"epochs": 2}))
    more = announced(notes)
    assert more == list(range(4, 4 + len(more)))
    runs = len([file for file in (tmp_path / "race").iterdir() if file.is_dir()])
    assert [count for count, _ in counts(notes)] == list(range(1, runs + 1))
    assert counts(notes)[-1] == (runs, more[-1])


def test_a_nested_search_and_its_last_run_are_one_count(digits: Any, tmp_path: Path) -> None:
    search = {"optimizer.lr": [0.01, 0.02]}
    words = {"folds": 2, "search": search, "inner": 2, "final": True, "engine": "serial", "out": tmp_path / "study"}
    notes = heard(commands.crossval(digits, **words, **SMALL))
    assert announced(notes) == [15]
    assert counts(notes) == [(i, 15) for i in range(1, 16)]
    (tmp_path / "study" / "run-0-0-fold-1" / "record.json").unlink()
    again = heard(commands.crossval(digits, **words, **SMALL))
    assert counts(again) == [(10, 15)]


def test_the_rounds_of_a_budget_are_announced(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saccade.experiment.looks.at_full_length", lambda record: 1.0)
    words: dict[str, Any] = {"folds": 2, "b": {"seed": 7}, "engine": "serial", "out": tmp_path / "study"}
    notes = heard(commands.compare(digits, budget=9, **words, **SMALL))
    assert announced(notes) == [4, 8]
    assert counts(notes) == [(i, 4 if i < 5 else 8) for i in range(1, 9)]
    assert sum("judged twice, after the first and after all" in note for note in notes) == 1
