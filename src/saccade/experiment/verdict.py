"""The verdict on recipes that were trained on the same folds: who is better, by how much, and on which images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from saccade import statistics
from saccade.experiment.advice import Spread, advice
from saccade.experiment.folds import Folds, OutOfFold, by_fold

Record = dict[str, Any]


def judged(found: Mapping[str, OutOfFold], margin: float, level: float) -> Record:
    """Each pair with its difference, p values by Holm's method over the pairs, and verdicts; the verdict on all."""
    names = list(combinations(found, 2))
    contrasts = [contrast(found[a], found[b]) for a, b in names]
    differ = statistics.holm([each.p_value() for each in contrasts])
    equal = statistics.holm([each.equivalence(margin) for each in contrasts])
    pairs = []
    for (a, b), each, p, q in zip(names, contrasts, differ, equal, strict=True):
        verdict = of_pair((a, b), each.value, (float(p), float(q)), 1 - level)
        interval = within(each.interval(level), len(found[a].ids)).to_dict()
        said = {"p": float(p), "p_equivalent": float(q), "p_unadjusted": each.p_value()}
        pairs.append({"a": a, "b": b, "verdict": verdict, "difference": interval, **said, **paired(found[a], found[b])})
    verdict = overall(list(found), pairs)
    return {
        "verdict": verdict,
        "difference": pairs[0]["difference"],
        "pairs": pairs,
        "headline": headline(verdict, pairs, margin),
    }


def of_pair(names: tuple[str, str], value: float, p_values: tuple[float, float], alpha: float) -> str:
    """A name, "equivalent" or "not distinguishable". A difference that is proven and does not matter is equivalence."""
    differ, equal = p_values
    if equal <= alpha:
        return "equivalent"
    return names[value > 0] if differ <= alpha else "not distinguishable"


def overall(names: Sequence[str], pairs: Sequence[Record]) -> str:
    """The one that is better than every other; "equivalent" where all pairs are; else "not distinguishable"."""
    for name in names:
        own = [pair for pair in pairs if name in (pair["a"], pair["b"])]
        if all(pair["verdict"] == name for pair in own):
            return name
    return "equivalent" if all(pair["verdict"] == "equivalent" for pair in pairs) else "not distinguishable"


def headline(verdict: str, pairs: Sequence[Record], margin: float) -> str:
    """The answer in few words."""
    named = verdict not in ("equivalent", "not distinguishable")
    if len(pairs) > 1 and not named:
        same = f"all are equivalent, within {margin:g}"
        return same if verdict == "equivalent" else "no recipe is better than every other, as far as can be told"
    a, b = pairs[0]["a"], pairs[0]["b"]
    if verdict == "equivalent":
        return f"{a} and {b} are equivalent, within {margin:g}"
    if verdict == "not distinguishable":
        return f"{a} and {b} are not distinguishable yet"
    return f"{verdict} is better" + (" than every other" if len(pairs) > 1 else "")


def sized(pair: Record) -> str:
    """The difference of a pair in words."""
    found = pair["difference"]
    return (
        f"{pair['b']} minus {pair['a']} is {found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f}) in accuracy"
    )


def within(interval: statistics.Estimate, images: int) -> statistics.Estimate:
    """A difference of accuracies is never outside -1 to 1, as the t of two folds would have it."""
    return statistics.Estimate(interval.value, max(-1.0, interval.low), min(1.0, interval.high), images)


def contrast(a: OutOfFold, b: OutOfFold) -> statistics.Contrast:
    """b minus a in accuracy, over folds; its error is never below what so few images allow, however alike the folds are."""
    assert np.array_equal(a.fold, b.fold), "the recipes were scored on other folds"
    differences = by_fold(b.right - a.right, a)
    found = statistics.corrected_t(differences.ravel(), 1 / differences.shape[1])
    units = len(np.unique(a.units))
    # Two outcomes more, one for each side, as Agresti and Min 2005 add: that no image differed in so few proves nothing
    return replace(found, error=max(found.error, (spread(a, b).of_images + 2 / units**2) ** 0.5))


def spread(a: OutOfFold, b: OutOfFold) -> Spread:
    differences = b.right - a.right
    by_image, folds = differences.mean((0, 1)), by_fold(differences, a)
    _, unit = np.unique(a.units, return_inverse=True)
    sums = np.bincount(unit, by_image - by_image.mean())  # images that belong together vary together
    of_images = float(np.square(sums).sum()) / len(by_image) ** 2 * len(sums) / max(1, len(sums) - 1)
    return Spread(float(folds.var(ddof=1)), of_images)


def counsel(found: Mapping[str, OutOfFold], pairs: Sequence[Record], folds: Folds, level: float) -> str:
    """What to buy next; of several recipes, for the two of which it is the hardest to tell."""
    hardest = max(pairs, key=lambda pair: pair["p"])
    alone = 1 - (1 - level) / len(pairs)  # Holm asks this of the first of several
    words = advice(hardest, spread(found[hardest["a"]], found[hardest["b"]]), folds, alone)
    return words if len(pairs) == 1 else f"{hardest['a']} and {hardest['b']}: {words}"


def paired(a: OutOfFold, b: OutOfFold) -> Record:
    """What else there is to tell of a pair: fold by fold, image by image, and where the spread comes from."""
    difference = b.right - a.right
    test = statistics.mcnemar(a.right[0, 0] > 0, b.right[0, 0] > 0)
    alone = len(np.unique(a.units)) == len(a.units)
    p = (
        test.p if alone else statistics.permutation_test(difference[0, 0], 0, a.units)
    )  # McNemar takes images as independent
    images = difference.mean((0, 1))
    these = statistics.paired_bootstrap(images, 0, a.units)
    runs = difference.shape[0] * difference.shape[1]
    return {
        "by_fold": {"a": by_fold(a.right, a).tolist(), "b": by_fold(b.right, b).tolist()},
        "flips": {
            "wrong_to_right": float((difference > 0).sum() / runs),
            "right_to_wrong": float((difference < 0).sum() / runs),
            "better": examples(a, b, worst_first(-images)),
            "worse": examples(a, b, worst_first(images)),
        },
        "these_networks": these.to_dict(),
        "mcnemar": {"only_a": test.only_a, "only_b": test.only_b, "p": p},
        "components": vars(statistics.variance_components(difference)),
    }


def examples(a: OutOfFold, b: OutOfFold, where: np.ndarray) -> list[Record]:
    """Images with their class, and with what a and b say of them on average."""
    said = {"truth": a.labels, "a": a.mean.argmax(1), "b": b.mean.argmax(1)}
    return [{"id": str(a.ids[i]), **{name: int(values[i]) for name, values in said.items()}} for i in where]


def worst_first(values: np.ndarray, count: int = 24) -> np.ndarray:
    """The places of the lowest values below 0."""
    order = np.argsort(values, kind="stable")[:count]
    return order[values[order] < 0]


def accuracy(found: OutOfFold) -> statistics.Estimate:
    """The accuracy of networks trained so, for other training images and seeds; within 0 and 1."""
    means = by_fold(found.right, found)
    interval = statistics.corrected_t(means.ravel(), 1 / means.shape[1]).interval()
    images = statistics.wilson(
        round(float(found.right.mean()) * len(found.ids)), len(found.ids)
    )  # folds may agree by chance
    low, high = min(interval.low, images.low), max(interval.high, images.high)
    return statistics.Estimate(interval.value, max(0.0, low), min(1.0, high), len(found.ids))
