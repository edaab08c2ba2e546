"""The verdict on recipes that were trained on the same folds: who is better, by how much, and on which images."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from saccade import statistics
from saccade.experiment.advice import UNKNOWN, Budget, Spread, advice, purchases
from saccade.experiment.folds import OutOfFold, by_fold
from saccade.experiment.settings import Folds
from saccade.experiment.terms import Terms
from saccade.wording import in_points

Record = dict[str, Any]
NOT_COMPARABLE = "not comparable"
ADVISED = 3  # undecided pairs of which each has its own line


def judged(found: Mapping[str, OutOfFold], terms: Terms) -> list[Record]:
    """Each pair, see `judged_pair`."""
    return [judged_pair((a, b), (found[a], found[b]), terms) for a, b in combinations(found, 2)]


def judged_pair(names: tuple[str, str], found: tuple[OutOfFold, OutOfFold], terms: Terms) -> Record:
    """The difference with its interval, the p values, for the number of pairs adjusted, and the verdict.

    The interval leaves out zero exactly where p is at most 1 - level.
    """
    (a, b), (one, other) = names, found
    met = contrast(one, other)
    decided = terms.decided(met)
    interval = within(met.interval(1 - terms.alpha), len(one.ids))
    return {
        "a": a,
        "b": b,
        "verdict": names[met.value > 0] if decided == "different" else decided or "not distinguishable",
        "difference": interval.to_dict(),
        "p": min(1.0, terms.pairs * met.p_value()),
        "p_equivalent": min(1.0, terms.pairs * met.equivalence(terms.margin)),
        "p_unadjusted": met.p_value(),
        **paired(one, other),
    }


def concluded(names: Iterable[str], pairs: Sequence[Record], margin: float, failed: Iterable[str] = ()) -> Record:
    """The verdict on all, in a word and in a sentence; `failed`: recipes that could not be trained."""
    verdict = overall(names, pairs)
    words = [headline(verdict, pairs, margin)] if pairs else []
    words += [f"{' and '.join(failed)} could not be trained"] if failed else []
    difference = pairs[0]["difference"] if pairs else None
    return {"verdict": verdict, "difference": difference, "pairs": list(pairs), "headline": "; ".join(words)}


def overall(names: Iterable[str], pairs: Sequence[Record]) -> str:
    """The one that is better than every other; "equivalent" where all pairs are; else "not distinguishable".

    "not comparable" where there is no pair, since all but one could not be trained.
    """
    if not pairs:
        return NOT_COMPARABLE
    for name in names:
        own = [pair for pair in pairs if name in (pair["a"], pair["b"])]
        if all(pair["verdict"] == name for pair in own):
            return name
    return "equivalent" if all(pair["verdict"] == "equivalent" for pair in pairs) else "not distinguishable"


def headline(verdict: str, pairs: Sequence[Record], margin: float) -> str:
    """The answer in few words."""
    named = verdict not in ("equivalent", "not distinguishable")
    if len(pairs) > 1 and not named:
        same = f"all are equivalent, within {100 * margin:g} percentage points"
        return same if verdict == "equivalent" else "no recipe is better than every other, as far as can be told"
    a, b = pairs[0]["a"], pairs[0]["b"]
    if verdict == "equivalent":
        return f"{a} and {b} are equivalent, within {100 * margin:g} percentage points"
    if verdict == "not distinguishable":
        return f"{a} and {b} are not distinguishable yet"
    return f"{verdict} is better" + (" than every other" if len(pairs) > 1 else "")


def sized(pair: Record) -> str:
    """The difference of a pair in words."""
    return f"in accuracy {pair['b']} minus {pair['a']} is {in_points(pair['difference'])}"


def own_fields(row: Record) -> str:
    """The values of a recipe for the fields in which it and the others differ."""
    return ", ".join(f"{field} {'none' if value is None else value}" for field, value in row["differs"].items())


def together(record: Record) -> str:
    """What the intervals of several pairs hold for."""
    return f"the {len(record['pairs'])} intervals hold together at {100 * record['level']:g} %"


def within(interval: statistics.Estimate, images: int) -> statistics.Estimate:
    """A difference of accuracies is never outside -1 to 1, as the t of two folds would have it."""
    return statistics.Estimate(interval.value, max(-1.0, interval.low), min(1.0, interval.high), images)


def contrast(a: OutOfFold, b: OutOfFold) -> statistics.Contrast:
    """b minus a in accuracy, over folds."""
    return spread(a, b).contrast(float(by_fold(b.right - a.right, a).mean()))


def spread(a: OutOfFold, b: OutOfFold) -> Spread:
    assert np.array_equal(a.fold, b.fold), "the recipes were scored on other folds"
    differences = b.right - a.right
    repeats, seeds, _ = differences.shape
    folds = by_fold(differences, a)
    alone = [by_fold(differences[:, [s]], a) for s in range(seeds)]  # each seed by itself
    of_units = statistics.by_unit(differences, a.units)
    units = of_units.shape[-1]
    return Spread(
        Folds(folds.shape[1], repeats, seeds),
        float(folds.var(ddof=1)),
        float(np.var(alone, axis=0, ddof=1).mean()) if seeds > 1 else None,
        float(of_units.mean((0, 1)).var(ddof=1)) / units,  # images that belong together vary together
        units,
        statistics.variance_components(of_units),
    )


def counsel(found: Mapping[str, OutOfFold], pairs: Sequence[Record], terms: Terms, budget: Budget | None = None) -> Record:
    """What to buy next; of many undecided pairs, for the one nearest to a decision and the one farthest from it."""
    if not pairs:
        tried = "The same words with --out try what failed again; with other fields of the recipe it is another study."
        return {"advice": tried, "purchases": []}
    undecided = sorted(
        (pair for pair in pairs if pair["verdict"] == "not distinguishable"), key=lambda pair: pair["p_unadjusted"]
    )
    if not undecided:
        decided = "This is decided; more runs would only tell the size of the difference more closely."
        return {"advice": decided, "purchases": []}
    spreads = [spread(found[pair["a"]], found[pair["b"]]) for pair in undecided]
    values = [pair["difference"]["value"] for pair in undecided]
    rows = [
        {"a": pair["a"], "b": pair["b"], **row}
        for pair, value, chance in zip(undecided, values, spreads, strict=True)
        for row in purchases(value, chance, terms, budget)
    ]
    said = []
    count = len(undecided)
    for i in range(count) if count <= ADVISED else (0, count - 1):
        named = f"{undecided[i]['a']} and {undecided[i]['b']}: " if len(pairs) > 1 else ""
        said.append(named + advice(values[i], spreads[i], terms, budget))
    said += [] if spreads[0].known("seeds") else [UNKNOWN]
    return {"advice": "\n".join(said), "purchases": rows}


def paired(a: OutOfFold, b: OutOfFold) -> Record:
    """What else there is to tell of a pair: fold by fold, image by image, and where the spread comes from."""
    difference = b.right - a.right
    test = statistics.mcnemar(a.right[0, 0] > 0, b.right[0, 0] > 0)
    images, of_units = difference.mean((0, 1)), statistics.by_unit(difference, a.units)
    alone = of_units.shape[-1] == len(a.units)  # McNemar takes images as independent
    p = test.p if alone else statistics.permutation_test(difference[0, 0], 0, a.units)
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
        "components": vars(statistics.variance_components(of_units)),
        "units": of_units.shape[-1],
        "repeats": len(difference),
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
    images = statistics.share(found.right.mean((0, 1)), found.units)  # folds may agree by chance
    low, high = min(interval.low, images.low), max(interval.high, images.high)
    return statistics.Estimate(interval.value, max(0.0, low), min(1.0, high), len(found.ids))
