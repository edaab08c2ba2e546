"""What more repeats, seeds or images would tell of a difference that has been measured: what to buy next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from saccade import statistics
from saccade.experiment.settings import Folds
from saccade.experiment.terms import Terms
from saccade.wording import half_width

AFFORDABLE = 20  # more repeats of all folds, or more seeds in each
MOST_IMAGES = 100  # times the images
UNKNOWN = "What more seeds in a fold would bring cannot be known from one; --seeds 2 would tell."
KINDS = ("repeats", "seeds", "images")


@dataclass(frozen=True)
class Spread:
    """Where chance enters the difference of two recipes trained on the same folds.

    `of_folds`: variance between the differences of single folds, each the mean over seeds; `of_seeds`: within a fold from
    one seed to the next, None where there is one seed; `of_images`: of the mean difference by the images (or groups,
    `units`) alone; `components`: of one outcome of a unit.
    """

    folds: Folds
    of_folds: float
    of_seeds: float | None
    of_images: float
    units: int
    components: statistics.Components

    def contrast(self, value: float, more: Folds | None = None, images: int = 1) -> statistics.Contrast:
        """The difference as it was met, or as it would be with more repeats and seeds or so many times the images.

        Between folds it is the corrected resampled t; its error is never below what so few images allow, however alike the
        folds are. Two outcomes more, one for each side, as Agresti and Min 2005 add: that no image differed in so few
        proves nothing. Of more images it is taken that the networks differ as they do now.
        """
        design = more or self.folds
        count = design.count * design.repeats
        between = statistics.corrected_error(self.between(design, images), count, 1 / design.count)
        by_images = self.by_images(design) / images + 2 / (self.units * images) ** 2
        return statistics.Contrast(value, max(between, by_images**0.5), count - 1, count)

    def between(self, design: Folds, images: int) -> float:
        """The variance between folds: more seeds take off their own part, more images what drawing those of a fold adds."""
        fewer = (self.of_seeds or 0.0) * (1 / self.folds.seeds - 1 / design.seeds)
        parts = self.components
        of_unit = parts.image + (parts.image_by_split or 0.0) + (parts.residual or 0.0) / design.seeds
        drawing = of_unit * design.count / self.units * (1 - 1 / images)
        return max(0.0, self.of_folds - fewer - drawing)

    def by_images(self, design: Folds) -> float:
        """The variance of the mean by the images alone: more runs average out what an image does in one of them."""
        alone = replace(self.components, split=0.0, seed=None if self.components.seed is None else 0.0)
        now, then = (
            statistics.predicted_error(alone, each.repeats, each.seeds, self.units) ** 2 for each in (self.folds, design)
        )
        return self.of_images * then / now if now else self.of_images

    def bought(self, kind: str, count: int, value: float) -> statistics.Contrast:
        """With so many more repeats or seeds, or `count` times the images."""
        if kind == "images":
            return self.contrast(value, images=count)
        return self.contrast(value, more_of(kind, count, self.folds))

    def known(self, kind: str) -> bool:
        """Whether the runs at hand tell what more of it would bring: one seed says nothing of others."""
        return kind != "seeds" or self.of_seeds is not None


@dataclass(frozen=True)
class Budget:
    """Of a comparison with a budget: `seconds` of a round of folds of all recipes, and the `terms` of more rounds than one.

    `ended`: its first look has found one recipe better than every other, which ends it whatever time there is.
    """

    seconds: float
    terms: Terms
    ended: bool = False

    def words(self, now: Folds, then: Folds) -> str:
        """What the command is to be given: a study has one budget, so more of it is another study."""
        seconds = (then.repeats + 0.5) * self.seconds * then.seeds / now.seeds  # half a round to spare: times vary
        seeds = f"--seeds {then.seeds} " if then.seeds > now.seeds else ""
        alone = ", with these two recipes alone" if self.ended else ""
        return f" They take {seeds}--budget {duration(seconds)} and another --out{alone}."


def duration(seconds: float) -> str:
    """As --budget takes it, rounded up."""
    unit, length = ("s", 1) if seconds < 120 else ("min", 60) if seconds < 7200 else ("h", 3600)
    return f"{ceil(seconds / length)}{unit}"


def later(kind: str, terms: Terms, budget: Budget | None) -> Terms:
    """On which more of a kind would be judged: the second round of a budget brings its second look."""
    return budget.terms if budget and kind == "repeats" else terms


def purchases(value: float, spread: Spread, terms: Terms, budget: Budget | None = None) -> list[dict[str, Any]]:
    """For repeats, seeds and images: half the interval with twice as many, and how many would decide at what price.

    `runs` are further ones of both recipes; for images they are all trained again. None is what is not known, or not
    affordable.
    """
    folds = spread.folds
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        judged = later(kind, terms, budget)
        if not spread.known(kind):
            rows.append({"kind": kind, "doubled": None, "enough": None, "runs": None, "half_width": None, "chance": None})
            continue
        doubled = spread.bought(kind, {"repeats": folds.repeats, "seeds": folds.seeds, "images": 2}[kind], value)
        row: dict[str, Any] = {"kind": kind, "doubled": half(doubled, judged)}
        row["enough"] = enough(kind, value, spread, judged)
        if row["enough"] is not None:
            then = spread.bought(kind, row["enough"], value)
            row |= {"runs": runs(kind, row["enough"], folds), "half_width": half(then, judged)}
            row["chance"] = statistics.power(value, then.error, then.freedom, 1 - judged.alpha)
        rows.append({"runs": None, "half_width": None, "chance": None, **row})
    return rows


def enough(kind: str, value: float, spread: Spread, terms: Terms) -> int | None:
    """The fewest more repeats or seeds, or the fewest times the images, that would decide if the difference stays."""
    counts = range(2, MOST_IMAGES + 1) if kind == "images" else range(1, AFFORDABLE + 1)
    return next((count for count in counts if terms.decided(spread.bought(kind, count, value))), None)


def runs(kind: str, count: int, folds: Folds) -> int:
    """Of both recipes together."""
    if kind == "images":
        return 2 * folds.runs
    return 2 * count * folds.runs // getattr(folds, kind)


def half(contrast: statistics.Contrast, terms: Terms) -> float:
    """Half the interval of a pair, at most 1: so far apart shares can be."""
    return min(1.0, contrast.interval(1 - terms.alpha).high - contrast.value)


def advice(value: float, spread: Spread, terms: Terms, budget: Budget | None = None) -> str:
    """A few sentences on what to buy next, for a pair that differed by `value` and is not decided.

    The cheapest runs that would decide; where none do, how far they would come, and whether images would.
    """
    now, rows = half(spread.contrast(value), terms), purchases(value, spread, terms, budget)
    deciding = [row for row in rows if row["kind"] != "images" and row["enough"] is not None]
    if deciding:
        row = min(deciding, key=lambda row: row["runs"])
        found = later(row["kind"], terms, budget).decided(spread.bought(row["kind"], row["enough"], value))
        said = best(row, found, now, spread.folds, budget)
    else:
        kinds = [kind for kind in ("repeats", "seeds") if spread.known(kind)]
        widths = {kind: half(spread.bought(kind, AFFORDABLE, value), later(kind, terms, budget)) for kind in kinds}
        images = next(row["enough"] for row in rows if row["kind"] == "images")
        said = hopeless(widths, now, images, spread.folds, budget)
    return f"{said} {doubled(rows, budget)}"


def best(row: dict[str, Any], found: str, now: float, folds: Folds, budget: Budget | None) -> str:
    """What deciding with these runs would be, from half an interval of `now`."""
    kind, count = row["kind"], row["enough"]
    price = "" if budget else f" ({row['runs']} runs)"
    words = f"{amount(kind, count, folds, budget)}{price} would narrow {narrowed(now, row['half_width'])} and "
    if found == "equivalent":
        words += "show that they are equivalent, if the difference stays what it is."
    else:
        words += "decide, if the difference stays what it is "
        words += f"(where it is true, they would find it with a chance of {row['chance']:.2f})."
    return words + (budget.words(folds, more_of(kind, count, folds)) if budget else "")


def narrowed(now: float, then: float) -> str:
    return f"{half_width(now)} to {half_width(then)} percentage points"


def hopeless(widths: dict[str, float], now: float, images: int | None, folds: Folds, budget: Budget | None) -> str:
    """How far the most that is affordable would come, and whether images would decide."""
    least = min(widths, key=lambda kind: widths[kind])
    words = f"No affordable {'budget' if budget else 'number of runs'} will separate them: "
    words += f"{amount(least, AFFORDABLE, folds, budget)} would narrow {narrowed(now, widths[least])}."
    if images is None:
        return f"{words} Nor would {MOST_IMAGES} times the images."
    return f"{words} About {images} times the images would, if the networks differ on them as they do on these."


def amount(kind: str, count: int, folds: Folds, budget: Budget | None) -> str:
    """So many more repeats or seeds; with a budget all of them, for another study has to train them all."""
    if budget is None:
        return f"{count} more {kind if count > 1 else kind.removesuffix('s')}"
    now = getattr(folds, kind)
    return f"{now + count} {'rounds of folds' if kind == 'repeats' else 'seeds in a fold'} instead of {now}"


def more_of(kind: str, count: int, folds: Folds) -> Folds:
    return replace(folds, **{kind: getattr(folds, kind) + count})


def doubled(rows: Sequence[dict[str, Any]], budget: Budget | None) -> str:
    """Which of the sources helps most: each that is known doubled, the best first."""
    known = sorted((row for row in rows if row["doubled"] is not None), key=lambda row: row["doubled"])
    names = {"repeats": "rounds" if budget else "repeats"}
    said = ", ".join(f"{names.get(row['kind'], row['kind'])} {half_width(row['doubled'])}" for row in known)
    return f"Twice as many would give: {said}."
