"""The runs of a study, by name and recipe."""

from dataclasses import dataclass
from pathlib import Path

from saccade.experiment.recipe import Recipe


@dataclass(frozen=True)
class Member:
    """One run of a study: `name` is that of its folder, `about` what a person should know it by, where the name is not."""

    name: str
    recipe: Recipe
    about: str = ""

    def __post_init__(self) -> None:
        assert Path(self.name).name == self.name, f"{self.name} is no name of a folder"


def seeded(recipe: Recipe, name: str, seeds: int) -> list[Member]:
    """The recipe with as many seeds of training, from its own on; the split stays that of its own."""
    split = {"seed": recipe.seed if recipe.split.seed is None else recipe.split.seed}
    return [Member(f"{name}-{i}", recipe.changed(seed=recipe.seed + i, split=split)) for i in range(seeds)]
