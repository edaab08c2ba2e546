"""What each study is asked to do. No torch is imported here, so that a slip is answered at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from saccade.errors import InputError, suggestion
from saccade.experiment.members import Member, seeded
from saccade.experiment.recipe import Recipe, changed_fields
from saccade.experiment.recipe_sections import HYPERPARAMETERS
from saccade.experiment.regularizers import REGULARIZERS
from saccade.experiment.tried_values import check_values
from saccade.zoo import find

Record = dict[str, Any]
Choice = dict[str, Any]  # values of fields by their dotted names
ENGINES = ("auto", "serial", "processes", "batched")
SIZE = "split.images"  # the field of a learning curve
HIGHEST_RATE = 1e30  # with the factors of parts still what 32 bits hold
LEAST_STEPS = 10  # of a range test, before which nothing is stopped
PRECISIONS = ("float32", "float64")
OPTION = "network."  # --vary network.width=0.5: an option of the network, not a field of the recipe
DECIDED = ("lr", "decay", *HYPERPARAMETERS)  # fields of the optimizer that each rule has for itself


def check_count(name: str, count: int, least: int = 1) -> None:
    if count < least:
        raise InputError(f"{name}: {least} at least, not {count}")


def check_engine(name: str) -> None:
    if name not in ENGINES:
        raise InputError(f'engine: "{name}" is none of {", ".join(ENGINES)}{suggestion(name, ENGINES)}')


@dataclass(frozen=True)
class Race:
    """The rules, how many rates around the usual one are tried first, how many seeds run at the best, and how."""

    rules: tuple[str, ...]
    rates: int = 3
    seeds: int = 3
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        for rule in self.rules:
            changed_fields(Recipe(data=""), {"optimizer.rule": rule})
        if len(self.rules) < 1 or len(set(self.rules)) < len(self.rules):
            raise InputError("race: name each rule once, one at least")
        if self.rates < 1 or self.rates % 2 == 0:
            raise InputError(
                f"race: tries are an odd number, such as 3, for the usual rate is in the middle, not {self.rates}"
            )
        check_count("seeds", self.seeds)


def check_free(given: Mapping[str, Any]) -> None:
    """InputError for a field that was given (nested words) and that each rule of a race decides for itself."""
    for name, value in given.get("optimizer", {}).items():
        if name in ("rule", *DECIDED) and value is not None:
            raise InputError(f"optimizer.{name}: in a race each rule has its own; leave it out, or `train` with it")


@dataclass(frozen=True)
class Ablation:
    """Which regularizers, all by default, how many seeds, and how many folds: 1 is the recipe's own validation part."""

    only: tuple[str, ...] = ()
    seeds: int = 3
    folds: int = 1
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        for name in self.only:
            if name.lower().replace("-", " ") == "early stopping":
                raise InputError(f"ablate: {name} has no row, as it would choose by the images that measure the rows")
            if name not in REGULARIZERS:
                near = suggestion(name, REGULARIZERS)
                raise InputError(f'ablate: there is no regularizer "{name}"{near} (`saccade ablate --help` names them)')
        check_count("seeds", self.seeds)
        check_count("folds", self.folds)

    @property
    def names(self) -> list[str]:
        """Of the regularizers, each once."""
        return list(dict.fromkeys(self.only or REGULARIZERS))

    def words(self) -> Record:
        return {"only": list(self.only), "seeds": self.seeds, "folds": self.folds}

    def members(self, recipe: Recipe, name: str) -> list[Member]:
        """The runs of one recipe: every seed with every fold."""
        name = name.replace(" ", "-")
        if self.folds == 1:
            return seeded(recipe, name, self.seeds)
        numbers = range(self.folds)
        folds = [recipe.changed(split={"folds": self.folds, "fold": number}) for number in numbers]
        return [each for number in numbers for each in seeded(folds[number], f"{name}-fold-{number}", self.seeds)]


@dataclass(frozen=True)
class Folds:
    """`count` folds, divided anew in each of `repeats`, each trained with so many `seeds` of training."""

    count: int = 5
    repeats: int = 1
    seeds: int = 1

    def __post_init__(self) -> None:
        for name, value, least in (("folds", self.count, 2), ("repeats", self.repeats, 1), ("seeds", self.seeds, 1)):
            check_count(name, value, least)

    @property
    def runs(self) -> int:
        return self.count * self.repeats * self.seeds

    def recipe(self, recipe: Recipe, split_seed: int, place: tuple[int, int, int] = (0, 0, 0)) -> Recipe:
        """The recipe for one repeat, fold and seed; the fold is the test part, validation comes from the rest.

        Each run has a seed of its own: with one for all folds, a lucky start would move them all together, and the spread
        between folds, from which intervals are made, would not show it. It hangs on the place alone, not on how many
        repeats and seeds there are (places are counted along diagonals, as Cantor does), so more of them only add runs.
        """
        repeat, fold, seed = place
        split = {"outer": self.count, "outer_fold": fold, "seed": split_seed + repeat, "test": 0}
        own = self.count * ((repeat + seed) * (repeat + seed + 1) // 2 + seed) + fold
        return recipe.changed(split=split, seed=recipe.seed + own)

    def members(self, recipe: Recipe, name: str, split_seed: int, repeats: Sequence[int] | None = None) -> list[Member]:
        """The runs of some repeats, all by default, in the order of (repeat, seed, fold)."""
        places = [
            (repeat, fold, seed)
            for repeat in (range(self.repeats) if repeats is None else repeats)
            for seed in range(self.seeds)
            for fold in range(self.count)
        ]
        return [Member(f"{name}-{r}-{s}-fold-{f}", self.recipe(recipe, split_seed, (r, f, s))) for r, f, s in places]


@dataclass(frozen=True)
class Comparison:
    """How it is run: folds, the difference in accuracy that would not matter, and seconds to be spent (None: no limit)."""

    folds: Folds = field(default_factory=Folds)
    margin: float = 0.005
    budget: float | None = None
    engine: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise InputError(f"margin: a difference in accuracy between 0 and 1, such as 0.005, not {self.margin:g}")
        if self.budget is not None and self.folds.repeats > 1:
            raise InputError("budget: repeats are what it pays for; leave --repeats out, or --budget")
        if self.budget is not None and self.budget <= 0:
            raise InputError(f"budget: a positive time such as 20min, not {self.budget:g} s")
        check_engine(self.engine)


@dataclass(frozen=True)
class CrossValidation:
    """`search`: values to choose from, by field; `inner`: folds that choose; `final`: whether a last run trains on all."""

    folds: Folds = field(default_factory=Folds)
    search: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    inner: int = 3
    final: bool = False
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        if self.inner < 2:
            raise InputError(f"inner: two folds at least choose, not {self.inner}")
        for name, values in self.search.items():
            if name.split(".")[0] in ("data", "split", "seed", "plan"):
                raise InputError(f"search: {name} is nothing to be chosen by accuracy")
            check_values(name, values)

    @property
    def choices(self) -> list[Choice]:
        """Every combination of the values; one, empty, where nothing is searched."""
        return [dict(zip(self.search, values, strict=True)) for values in product(*self.search.values())]

    def recipes(self, recipe: Recipe) -> list[Recipe]:
        """The recipe with each choice; InputError for a field that is none, and for what it does not take."""
        found = [changed_fields(recipe, choice) for choice in self.choices]
        for each in found:
            if each.network is not None:
                find(each.network)  # one that there is not is told before any data are read
        return found

    @property
    def runs(self) -> int:
        choosing = self.inner * len(self.choices) if len(self.choices) > 1 else 0
        return (self.folds.runs + self.final) * (1 + choosing)


@dataclass(frozen=True)
class Curve:
    """The field, its values, and how many runs there are at each of them."""

    field: str
    values: Sequence[Any]
    members: int = 5
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_members(self.members, "members")
        check_values(self.field, self.values)

    def recipes(self, recipe: Recipe) -> dict[str, Recipe]:
        """The recipe with each value; InputError for a field that is none, and for what it does not take."""
        return {str(value): with_value(recipe, self.field, value) for value in self.values}


def check_members(count: int, name: str) -> None:
    """InputError for fewer than two; `name` is what the user calls them."""
    if count < 2:
        raise InputError(f"{name}: two at least, for their spread is what is measured, not {count}")


def with_value(recipe: Recipe, field: str, value: Any) -> Recipe:
    """The recipe with this value; `network.width` is an option of the network that it names."""
    if recipe.stop.patience is not None:
        raise InputError("stop.patience: early stopping would choose by the images that are scored; leave it out")
    recipe = recipe.changed(checkpoint={"select": "last"}, split={"read_test": False})
    if not field.startswith(OPTION):
        return changed_fields(recipe, {field: value})
    if recipe.network is None:
        raise InputError(f"{field}: an option of a network; name it, such as --network mobilenet_v1")
    network = f"{recipe.network}{',' if ':' in recipe.network else ':'}{field.removeprefix(OPTION)}={value}"
    find(network)  # an option that it does not have is told before any data are read
    return recipe.changed(network=network)


@dataclass(frozen=True)
class Bag:
    """How many members there are, and how they are trained."""

    members: int = 10
    engine: str = "auto"

    def __post_init__(self) -> None:
        check_count("members", self.members, 2)
        check_engine(self.engine)


@dataclass(frozen=True)
class Boost:
    """How many members there are at most."""

    members: int = 5

    def __post_init__(self) -> None:
        check_count("members", self.members, 2)


@dataclass(frozen=True)
class RangeTest:
    """Rates from `low` to `high`, evenly in the logarithm, one a step."""

    low: float = 1e-5
    high: float = 10.0
    steps: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high <= HIGHEST_RATE or self.steps < 2 * LEAST_STEPS:
            raise InputError(
                f"tune-rate: 0 < from < to, to at most {HIGHEST_RATE:g}, and at least {2 * LEAST_STEPS} steps, "
                f"not from {self.low:g} to {self.high:g} in {self.steps}"
            )


@dataclass(frozen=True)
class SharpnessSettings:
    """`images` in each of the disjoint `subsamples`; unset: 256, or what there is. `surface` adds line and plane."""

    images: int | None = None
    subsamples: int = 5
    surface: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise InputError(f"images: at least 1 in each subsample, not {self.images}")
        if self.subsamples < 2:
            raise InputError(f"subsamples: at least 2, as one alone has no spread, not {self.subsamples}")
        if self.precision not in PRECISIONS:
            near = suggestion(self.precision, PRECISIONS)
            raise InputError(f'precision: float32 or float64, not "{self.precision}"{near}')
