"""The recipe: everything that decides a training run, in one typed, complete, readable file."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from saccade.errors import InputError, suggestion
from saccade.experiment.recipe_values import in_order, said, severity, takes_numbers, truth_in, usable

# The names of saccade.optim, which is not imported here: `--help` answers without torch (tests compare the two)
RuleName = Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "lars", "lamb", "muon"]
ScheduleName = Literal["constant", "step", "linear", "cosine", "restarts", "one-cycle", "plateau"]

MICRO_BATCH = 1024
LARGEST_FACTOR = 1000  # of the learning rate, for a part of the network


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def no_truth_as_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """`true` is no number, though it is 1 to Python."""
        if takes_numbers(cls.model_fields[info.field_name or ""].annotation):
            truth_in(value)
        return value


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
    seed: int | None = Field(None, ge=0, lt=2**63)
    """Of the split alone; unset: the seed of the recipe."""
    folds: int | None = Field(None, ge=2)
    """Number of parts of the training and validation images that validate in turn; unset: `validation` alone."""
    fold: int = Field(0, ge=0)
    """Which of the folds validates in this run."""
    outer: int | None = Field(None, ge=2)
    """Number of parts of all images that are the test part in turn; unset: `test` alone."""
    outer_fold: int = Field(0, ge=0)
    """Which of the outer parts is the test part of this run."""
    images: int | None = Field(None, ge=2)
    """Training images to use, drawn by class and the seed of the recipe; unset: all."""
    bootstrap: bool = False
    """Whether the training images are a bootstrap sample: as many, drawn with replacement by the seed of the recipe."""
    weights: str | None = None
    """File (.npz) of `ids` and `weights`: training images are drawn by weight, with replacement, anew every epoch."""
    read_test: bool = True
    """Whether the test part is read at the end; not where the run is one of many to choose from."""
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
    hue: float = Field(0, ge=0, le=0.5)
    """Turn of the colour circle drawn from -h to h; 0.5 is half of it."""
    rotate: float = Field(0, ge=0, le=180)
    """Angle drawn from -r to r degrees."""
    translate: float = Field(0, ge=0, le=1)
    """Shift each way drawn from -t to t of the side."""
    zoom: float = Field(0, ge=0, lt=1)
    """Factor of the size drawn from 1 - z to 1 + z."""
    shear: float = Field(0, ge=0, lt=90)
    """Angle of shear, each way, drawn from -s to s degrees."""
    grayscale: float = Field(0, ge=0, le=1)
    """Share of the images that lose their colour."""
    blur: float = Field(0, ge=0, le=1)
    """Share of the images that are blurred."""
    policy: Literal["randaugment", "trivialaugment", "augmix"] | None = None
    """Operations drawn by a published policy."""
    operations: int | None = Field(None, ge=1, le=10)
    """Of "randaugment": how many one after the other (N); of "augmix": in each chain; unset: 2, and 1 to 3."""
    magnitude: int | None = Field(None, ge=0, le=30)
    """Of "randaugment": strength, 0 to 30 (M); of "augmix": the largest, 1 to 10 (severity); unset: 9, and 3."""
    erase: float = Field(0, ge=0, le=1)
    """Share of the images of which a random rectangle is erased."""
    cutout: float = Field(0, ge=0, le=1)
    """Side of an erased square as a share of the image's, in every image."""
    noise: float = Field(0, ge=0, le=1)
    """Deviation of the noise on the pixels, which are 0..1."""

    @field_validator("magnitude")
    @classmethod
    def magnitude_of_the_policy(cls, value: int | None, info: ValidationInfo) -> int | None:
        return severity(value) if info.data.get("policy") == "augmix" else value


class MixSection(Section):
    """Two training images in one, and their labels in the same proportion."""

    mixup: float = Field(0, ge=0, le=100)
    """Alpha of mixup, such as 0.2: images are blended; 0 for none."""
    cutmix: float = Field(0, ge=0, le=100)
    """Alpha of CutMix, such as 1: a rectangle of one is pasted into the other; 0 for none."""


class OptimizerSection(Section):
    """The rule that changes the weights."""

    rule: RuleName = "nesterov"
    """Rule of update."""
    lr: Annotated[float, Field(gt=0, le=1e38), AfterValidator(usable)] | None = None
    """Highest learning rate; unset: the rule's own."""
    reference_batch: int | None = Field(None, ge=1)
    """The batch that `lr` is meant for: it is scaled by batch / reference_batch; unset: as it is."""
    momentum: float | None = Field(None, ge=0, lt=1)
    """Share of the last step that is kept; unset: the rule's own."""
    beta1: float | None = Field(None, ge=0, lt=1)
    """Adam's and LAMB's share of the mean gradient that is kept; unset: 0.9."""
    beta2: float | None = Field(None, ge=0, lt=1)
    """Adam's and LAMB's share of the mean square that is kept; unset: 0.999."""
    gamma: float | None = Field(None, ge=0, lt=1)
    """RMSprop's and Adadelta's share of the mean square that is kept; unset: 0.99 and 0.9."""
    eps: float | None = Field(None, ge=0, le=100)
    """What keeps a division from zero; unset: the rule's own."""
    epsilon: Literal["outside", "inside"] | None = None
    """Where eps stands in Adagrad, RMSprop and Adam: sqrt(x) + eps, or sqrt(x + eps); unset: outside."""
    trust: float | None = Field(None, gt=0, le=100)
    """LARS's share of the size of the weights that a step has at a rate of 1; unset: 0.001."""
    iterations: int | None = Field(None, ge=1, le=20)
    """Muon's, of Newton and Schulz, towards an orthogonal step; unset: 5."""
    scale: Literal["original", "adam"] | None = None
    """Muon's size of a step: by the shape of the matrix, or as large as Adam's, to share its rates; unset: original."""
    weight_decay: float | None = Field(None, ge=0, le=10_000)
    """Pull of weights towards zero, norms and biases spared; unset: 5e-4, or 0.01 where it is decoupled."""
    decay: Literal["l2", "decoupled"] | None = None
    """As a penalty in the gradient or taken from the weights; unset: decoupled for adamw and muon, else l2."""
    l1: float = Field(0, ge=0, le=10_000)
    """Pull of weights towards zero by the same amount each, norms and biases spared."""
    clip: float | None = Field(None, gt=0)
    """Largest norm of the gradient, which is scaled down to it; unset: no limit."""
    sam: float = Field(0, ge=0, le=100)
    """Radius of sharpness-aware minimization, such as 0.05; doubles the time of a step; 0 for none."""
    freeze: str | None = None
    """Parts that do not learn, such as "stem,stages.0" or "stages.*.0"."""
    rates: str | None = None
    """Factors of the learning rate of parts, such as "stem=0.1,stages.*=0.5"; the last that fits counts."""

    def parts_frozen(self) -> list[str]:
        return [part.strip() for part in (self.freeze or "").split(",") if part.strip()]

    def parts_rates(self) -> dict[str, float]:
        """InputError where a factor is no number above 0, or so large that it is a mistake."""
        found = {}
        for word in filter(None, (self.rates or "").split(",")):
            part, _, value = word.partition("=")
            try:
                found[part.strip()] = float(value)
            except ValueError:
                raise InputError(f'optimizer.rates: part=factor such as stem=0.1, not "{word}"') from None
            if not found[part.strip()] > 0:
                raise InputError(f'optimizer.rates: a factor is above 0 (to stop a part, freeze it), not "{word}"')
            if found[part.strip()] > LARGEST_FACTOR:
                raise InputError(f'optimizer.rates: a factor is at most {LARGEST_FACTOR:,}, not "{word}"')
        return found


class ScheduleSection(Section):
    """How the learning rate goes, after a line up."""

    name: ScheduleName = "cosine"
    """Its way down."""
    warmup: float = Field(1.0, ge=0)
    """Epochs of the line up (at most a fifth of all epochs; one-cycle has its own)."""
    at: Annotated[tuple[float, ...], AfterValidator(in_order)] | None = None
    """Of "step": the epochs where the rate falls, such as 15,25; unset: after half and three quarters."""
    factor: float = Field(0.1, gt=0, lt=1)
    """Of "step" and "plateau": what the rate is multiplied by."""
    end: float = Field(0, ge=0, le=1)
    """Of "linear", "cosine", "restarts": the share of the rate at the end."""
    cycle: float | None = Field(None, gt=0)
    """Of "restarts": epochs of the first cycle, each next one as long; unset: a third of all."""
    patience: int = Field(5, ge=0)
    """Of "plateau": epochs without a lower validation loss that are waited for."""


class RegularizeSection(Section):
    """What keeps the network from learning its images by heart, besides weight decay and augmentation."""

    label_smoothing: float = Field(0, ge=0, lt=1)
    """Share of the label that is spread over all classes."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """Share of the features dropped before the scores; unset: the network's own."""
    spatial_dropout: float = Field(0, ge=0, lt=1)
    """Share of the channels dropped behind every stage."""
    drop_block: float = Field(0, ge=0, lt=1)
    """Share of the pixels dropped in squares behind every stage."""
    block: int = Field(7, ge=1)
    """Side in pixels of the squares of drop_block."""
    drop_path: float | None = Field(None, ge=0, lt=1)
    """Stochastic depth: share of the last residual block's images that skip it; unset: the network's own."""
    weight_noise: float = Field(0, ge=0, le=1)
    """Noise on the weights for each gradient, as a share of each filter's size."""
    gradient_noise: float = Field(0, ge=0, le=100)
    """Variance of the noise on the gradients at the first step (falls with the steps), such as 0.01."""
    norm: Literal["batch", "group", "layer", "instance", "none"] = "batch"
    """What stands in place of batch norm."""
    norm_momentum: float | None = Field(None, gt=0, le=1)
    """Share of the newest batch in the running statistics of batch norm; unset: 0.1."""
    freeze_statistics: bool = False
    """Batch norm keeps the statistics that it starts with (for weights trained elsewhere)."""


class BalanceSection(Section):
    """What is done about classes with fewer images."""

    by: Literal["none", "weights", "effective", "sampling"] = "none"
    """"weights": the loss counts each class equally; "effective": rare classes more; "sampling": seen equally often."""


class AverageSection(Section):
    """Evaluation by an average of the weights instead of the last ones."""

    kind: Literal["none", "ema", "swa"] = "none"
    """"ema": moving average over steps; "swa": plain mean over the ends of the last epochs. Either costs up to 100 forward
    passes an epoch, for the statistics of batch norm."""
    decay: float = Field(0.999, ge=0, lt=1)
    """Of "ema": share of the old average that is kept at each step."""
    start: float = Field(0.75, ge=0, lt=1)
    """Of "swa": share of the epochs before the first weights count."""


class StopSection(Section):
    """Early stopping by the validation images."""

    patience: int | None = Field(None, ge=1)
    """Epochs without a better validation accuracy after which training ends; unset: all epochs."""
    improvement: float = Field(0, ge=0, lt=1)
    """What an accuracy must be higher by to be better."""


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
    images_last: bool | None = None
    """Kernels of Saccade's own for small maps with few channels, where network and machine allow: in fp32 on a CPU."""
    micro_batch: int | None = Field(None, ge=2)
    """Images at once through the network; unset: the batch up to 1,024, halved when memory runs out."""


class CheckpointSection(Section):
    """When the state of the run is kept, besides the end of each epoch, and which epoch is used."""

    seconds: float = Field(30.0, ge=0)
    """Longest time between two checkpoints; 0 keeps one after every step."""
    select: Literal["best", "last"] = "best"
    """The epoch whose weights are used: the best on validation, or the last."""


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


def make_recipe(words: dict[str, Any], origin: str = "recipe") -> Recipe:
    """The recipe of these (nested) words; InputError that names the first field in the way, and the nearest one."""
    try:
        return Recipe.model_validate(words)
    except ValidationError as error:
        raise InputError(f"{origin}: {said(error, [*Recipe.model_fields, *field_names()])}") from None


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
    """The words that a field takes, where they are few, and its default, where it has one."""
    kinds = [info.annotation, *get_args(info.annotation)]
    words = [str(word) for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    said = [f"one of {', '.join(words)}"] if words else []
    if info.default is not None and not info.is_required():
        default = str(info.default).lower() if isinstance(info.default, bool) else info.default
        said.append(f"default {default}")
    return f" ({'; '.join(said)})" if said else ""
