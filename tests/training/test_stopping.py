"""Early stopping against a plain transcription, and its laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.training.stopping import EarlyStopping

scores = st.lists(st.one_of(st.floats(0, 2), st.sampled_from([1.0, 1.1, 0.9, float("nan")])), max_size=40)


def counted(losses: list[float], patience: int, improvement: float) -> int | None:
    """The epoch after which the usual loop with a counter stops."""
    best, waited = float("inf"), 0
    for i, loss in enumerate(losses):
        if loss < best - improvement:
            best, waited = loss, 0
        else:
            waited += 1
            if waited >= patience:
                return i
    return None


@given(losses=scores, patience=st.integers(1, 6), improvement=st.sampled_from([0.0, 0.01, 0.1]))
def test_it_stops_where_the_usual_counter_does(losses: list[float], patience: int, improvement: float) -> None:
    stopping = EarlyStopping(patience, improvement)
    first = next((i for i in range(len(losses)) if stopping(losses[: i + 1])), None)
    assert first == counted(losses, patience, improvement)


@given(losses=scores, patience=st.integers(1, 6))
def test_higher_is_lower_turned_round(losses: list[float], patience: int) -> None:
    turned = [-loss for loss in losses]
    assert EarlyStopping(patience)(losses) == EarlyStopping(patience, higher=True)(turned)
    assert EarlyStopping(patience).best(losses) == EarlyStopping(patience, higher=True).best(turned)


@given(losses=st.lists(st.floats(-10, 10), min_size=1, max_size=40))
def test_without_a_minimum_improvement_the_best_is_the_first_least(losses: list[float]) -> None:
    assert EarlyStopping(1).best(losses) == losses.index(min(losses))


def test_an_improvement_that_is_too_small_does_not_count() -> None:
    stopping = EarlyStopping(2, improvement=0.1, higher=True)
    assert stopping.best([0.5, 0.55, 0.65]) == 2  # beats 0.5 by more than 0.1, though 0.55 by less
    assert not stopping([0.5, 0.55, 0.65])
    assert stopping([0.5, 0.55, 0.58])
    assert not stopping([])
    assert stopping.best([float("nan")]) == -1


@pytest.mark.parametrize(("patience", "improvement", "words"), [(0, 0.0, "a patience"), (1, -0.1, "an improvement")])
def test_what_cannot_be_is_refused(patience: int, improvement: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EarlyStopping(patience, improvement)
