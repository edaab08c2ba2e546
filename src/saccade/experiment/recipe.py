"""The recipe: everything that decides a training run, in one typed, complete, readable file."""

from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from saccade.errors import InputError, suggestion
from saccade.experiment.recipe_sections import (
    AugmentSection,
    AverageSection,
    BalanceSection,
    CheckpointSection,
    ImageSection,
    MixSection,
    OptimizerSection,
    PlanSection,
    RegularizeSection,
    ScheduleSection,
    Section,
    SplitSection,
    StopSection,
)
from saccade.experiment.recipe_values import explanation

MICRO_BATCH = 1024
IN_MEMORY = "arrays"  # data that no file holds


class Recipe(Section):
    """A training run."""

    data: str
    """Folder of class folders, CSV, IDX or CIFAR files, "digits", or the name of a torchvision data set."""
    network: str | None = None
    """A name of `saccade networks`; unset: resnet20 for images up to 64 px, else resnet18."""
    weights: str | None = None
    """Weights to start from: a file, a run folder, a URL, "torchvision" or "timm"; unset: fresh ones."""
    epochs: int = Field(30, ge=1)
    """Passes over the training images."""
    batch: Annotated[int, Field(ge=1)] | Literal["full"] = 64
    """Images for each optimizer step: 1 for a single one, "full" for all."""
    seed: int = Field(0, ge=0, lt=2**63)
    """The one source of randomness: weights, order, augmentation, split."""
    images: ImageSection = ImageSection()
    split: SplitSection = SplitSection()
    augment: AugmentSection = AugmentSection()
    mix: MixSection = MixSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    regularize: RegularizeSection = RegularizeSection()
    balance: BalanceSection = BalanceSection()
    average: AverageSection = AverageSection()
    stop: StopSection = StopSection()
    plan: PlanSection = PlanSection()
    checkpoint: CheckpointSection = CheckpointSection()

    def changed(self, **sections: dict[str, Any] | Any) -> "Recipe":
        """A copy with these fields: `changed(network="resnet20", images={"size": 32})`."""
        words = self.model_dump()
        for name, value in sections.items():
            words[name] = words[name] | value if isinstance(value, dict) else value
        return make_recipe(words)

    @property
    def images_per_step(self) -> int:
        """`batch`, once the data has decided how many a full one has."""
        assert self.batch != "full"
        return self.batch

    @property
    def micro_batch(self) -> int:
        """Images at once through the network, unless memory runs out."""
        return self.plan.micro_batch or min(self.images_per_step, MICRO_BATCH)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def make_recipe(words: dict[str, Any], origin: str = "") -> Recipe:
    """The recipe of these (nested) words; InputError that names the first field in the way, and the nearest one.

    `origin`: the file that they are from.
    """
    try:
        return Recipe.model_validate(words)
    except ValidationError as error:
        wrong = explanation(error, [*Recipe.model_fields, *field_names()])
        raise InputError(f"{origin}: {wrong}" if origin else wrong) from None


def different_fields(a: Recipe, b: Recipe) -> list[str]:
    """The dotted names of the fields in which two recipes differ."""
    one, other = flat(a.model_dump()), flat(b.model_dump())
    return [name for name in one if one[name] != other[name]]


def changed_fields(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with values for fields by their dotted names; InputError, with the nearest, for a name that is none."""
    words = recipe.model_dump()
    for name, value in values.items():
        if name not in field_names():
            raise InputError(f'there is no field "{name}"{suggestion(name, field_names())}')
        *sections, last = name.split(".")
        place = words
        for section in sections:
            place = place[section]
        place[last] = value
    return make_recipe(words)


def flat(words: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"optimizer": {"lr": 0.1}} to {"optimizer.lr": 0.1}."""
    found: dict[str, Any] = {}
    for name, value in words.items():
        nested = isinstance(value, dict) and name in Recipe.model_fields
        found |= flat(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return found


def field_names(section: type[BaseModel] = Recipe, prefix: str = "") -> dict[str, str]:
    """Every field by its dotted name, with its description."""
    names: dict[str, str] = {}
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= field_names(kind, f"{prefix}{name}.")
        else:
            names[prefix + name] = (info.description or "") + remark(info)
    return names


def remark(info: FieldInfo) -> str:
    """The words that a field takes, where it takes nothing else, and its default, where it has one."""
    kinds = [each for each in (get_args(info.annotation) or ()) if each is not NoneType]
    kinds = [info.annotation] if get_origin(info.annotation) is Literal else kinds
    words = [str(word) for kind in kinds for word in get_args(kind)]
    said = [f"one of {', '.join(words)}"] if words and all(get_origin(kind) is Literal for kind in kinds) else []
    if info.default is not None and not info.is_required():
        default = str(info.default).lower() if isinstance(info.default, bool) else info.default
        said.append(f"default {default}")
    return f" ({'; '.join(said)})" if said else ""
