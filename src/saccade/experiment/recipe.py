"""The recipe: everything that decides a training run, in one typed, complete, readable file."""

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from saccade.errors import InputError, suggestion


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


class ImageSection(Section):
    """How images enter the network."""

    size: int | None = Field(None, ge=4, le=2048)
    """Side in pixels that the network sees; unset: small images as they are, photos at 224."""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; unset: what the images have."""
    mean: tuple[float, ...] | None = None
    """Of the pixels in 0..1, one number a channel; unset: measured on training images, or those of the weights."""
    std: tuple[float, ...] | None = None
    """Deviation of the pixels in 0..1, above 0; unset as for the mean."""


class SplitSection(Section):
    """Which images are held back, where the data does not say itself."""

    validation: float = Field(0.15, ge=0, lt=1)
    """Share of the training images that selects the checkpoint."""
    test: float = Field(0.2, ge=0, lt=1)
    """Share of all images for the one reading at the end; 0 for none."""
    group: str | None = None
    """Column of the CSV whose equal values never stand on both sides of a split."""


class AugmentSection(Section):
    """What happens to a training image at random."""

    crop: Literal["none", "pad", "resized"] | None = None
    """"pad": shifted by up to `padding` pixels; "resized": a random part, resized; unset: "pad" up to 64 px."""
    padding: int | None = Field(None, ge=0, le=64)
    """Largest shift in pixels of "pad"; unset: an eighth of the side in colour, a sixteenth in grey."""
    scale: float = Field(0.35, gt=0, le=1)
    """Smallest share of the area that "resized" keeps."""
    flip: bool | None = None
    """Mirrored left to right in half of the draws; unset: colour images only (digits and letters have a direction)."""
    brightness: float = Field(0, ge=0, le=1)
    """Factor drawn from 1 - b to 1 + b."""
    contrast: float = Field(0, ge=0, le=1)
    """Factor drawn from 1 - c to 1 + c."""
    saturation: float = Field(0, ge=0, le=1)
    """Factor drawn from 1 - s to 1 + s."""


class OptimizerSection(Section):
    """The rule that changes the weights: SGD with momentum."""

    lr: float = Field(0.05, gt=0)
    """Highest learning rate."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Share of the last step that is kept."""
    nesterov: bool = True
    """Nesterov's form of momentum (momentum above 0)."""
    weight_decay: float = Field(5e-4, ge=0)
    """Pull of weights towards zero; norms and biases are spared."""
    clip: float | None = Field(None, gt=0)
    """Largest norm of the gradient; unset: no limit."""
    freeze: str | None = None
    """Parts that do not learn, such as "stem,stages.0"."""
    rates: str | None = None
    """Factors of the learning rate of parts, such as "stem=0.1,stages.0=0.1"."""

    def parts_frozen(self) -> list[str]:
        return [part.strip() for part in (self.freeze or "").split(",") if part.strip()]

    def parts_rates(self) -> dict[str, float]:
        """InputError where a factor is no number above 0."""
        found = {}
        for word in filter(None, (self.rates or "").split(",")):
            part, _, value = word.partition("=")
            try:
                found[part.strip()] = float(value)
            except ValueError:
                raise InputError(f'optimizer.rates: part=factor such as stem=0.1, not "{word}"') from None
            if not found[part.strip()] > 0:
                raise InputError(f'optimizer.rates: a factor is above 0 (to stop a part, freeze it), not "{word}"')
        return found


class ScheduleSection(Section):
    """How the learning rate goes: a line up, then half a cosine down to zero."""

    warmup: float = Field(1.0, ge=0)
    """Epochs of the line up (at most a fifth of all epochs)."""


class PlanSection(Section):
    """How the machine is used; what is unset is measured."""

    device: str | None = None
    """"cpu", "cuda", "cuda:1"."""
    precision: Literal["fp32", "bf16"] | None = None
    """Number format of the training step (weights and scores stay in fp32)."""
    channels_last: bool | None = None
    """Memory layout of the images."""
    compiled: bool = False
    """torch.compile the network (takes a minute or more to start)."""
    micro_batch: int | None = Field(None, ge=2)
    """Images at once through the network; unset: the whole batch, halved when memory runs out."""


class CheckpointSection(Section):
    """When the state of the run is kept, besides the end of each epoch."""

    seconds: float = Field(30.0, ge=0)
    """Longest time between two checkpoints; 0 keeps one after every step."""


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
    batch: int = Field(64, ge=2)
    """Images for each optimizer step; at least 2, as batch norm has no variance of one."""
    seed: int = Field(0, ge=0, lt=2**63)
    """The one source of randomness: weights, order, augmentation, split."""
    images: ImageSection = ImageSection()
    split: SplitSection = SplitSection()
    augment: AugmentSection = AugmentSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    plan: PlanSection = PlanSection()
    checkpoint: CheckpointSection = CheckpointSection()

    def changed(self, **sections: dict[str, Any] | Any) -> "Recipe":
        """A copy with these fields: `changed(network="resnet20", images={"size": 32})`."""
        words = self.model_dump()
        for name, value in sections.items():
            words[name] = words[name] | value if isinstance(value, dict) else value
        return make_recipe(words)

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True)


def make_recipe(words: dict[str, Any], origin: str = "recipe") -> Recipe:
    """The recipe of these (nested) words; InputError that names the first field in the way, and the nearest one."""
    try:
        return Recipe.model_validate(words)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(f'{origin}: there is no field "{field}"{suggestion(field, field_names())}') from error
        if first["type"] == "missing":
            raise InputError(f'{origin}: the field "{field}" is missing') from error
        expected = re.sub("^Input should be", "should be", first["msg"]).split(", unable")[0]
        raise InputError(f"{origin}: {field} {expected}, not {first['input']!r}") from error


def read_recipe(file: Path) -> dict[str, Any]:
    """The words of a recipe file (YAML); InputError that names the file and the line."""
    try:
        words = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: the recipe cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{file}: this is no YAML{where}: {getattr(error, 'problem', error)}") from error
    if not isinstance(words, dict):
        raise InputError(f"{file}: a recipe is a list of `field: value` lines, this is a {type(words).__name__}")
    return words


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
    """The words that a field takes, where they are few, and its default, where it has one."""
    kinds = [info.annotation, *get_args(info.annotation)]
    words = [str(word) for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    said = [f"one of {', '.join(words)}"] if words else []
    if info.default is not None and not info.is_required():
        default = str(info.default).lower() if isinstance(info.default, bool) else info.default
        said.append(f"default {default}")
    return f" ({'; '.join(said)})" if said else ""
