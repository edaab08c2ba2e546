"""The recipes of a comparison: how they may differ, and how not."""

from collections.abc import Mapping
from itertools import combinations

from saccade.errors import InputError
from saccade.experiment.recipe import Recipe, different_fields

SHARED = ("data", "split", "plan", "checkpoint.seconds")  # fields that a comparison has in common


def check_recipes(recipes: Mapping[str, Recipe]) -> None:
    """InputError where there is nothing to compare, or where the recipes differ in what they must share."""
    if len(recipes) < 2:
        raise InputError("compare: nothing to compare; say what b is, such as --b.network plain20")
    check_different(recipes)
    for (one, a), (other, b) in combinations(recipes.items(), 2):
        fields = different_fields(a, b)
        for name in fields:
            if any(name == shared or name.startswith(f"{shared}.") for shared in SHARED):
                raise not_shared(one, other, name)


def not_shared(one: str, other: str, field: str) -> InputError:
    return InputError(f"compare: {one} and {other} differ in {field}, which a comparison has in common; set it for both")


def check_different(recipes: Mapping[str, Recipe]) -> None:
    """InputError for two that are the same, as they were asked for or once the data have decided the rest."""
    for (one, a), (other, b) in combinations(recipes.items(), 2):
        if not different_fields(a, b):
            raise InputError(f"compare: {one} and {other} are the same recipe; they must differ in a field (or a seed)")


def check_sizes(recipes: Mapping[str, Recipe]) -> None:
    """InputError where recipes look at images of different size or colour: then it is not the network that differs."""
    for what in ("size", "channels"):
        values = {name: getattr(recipe.images, what) for name, recipe in recipes.items()}
        if len(set(values.values())) > 1:
            said = ", ".join(f"{name} {value}" for name, value in values.items())
            raise InputError(f"compare: the recipes differ in images.{what} ({said}); give one --images.{what} for all")
