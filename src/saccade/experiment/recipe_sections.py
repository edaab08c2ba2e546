"""The sections of a recipe: what each field is, between what bounds, and what it is where nobody says."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from saccade.errors import InputError
from saccade.experiment.recipe_values import in_order, severity, takes_numbers, truth_in, usable

# The names of saccade.optim, which is not imported here: `--help` answers without torch (tests compare the two)
RuleName = Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "lars", "lamb", "muon"]
ScheduleName = Literal["constant", "step", "linear", "cosine", "restarts", "one-cycle", "plateau"]

# Of rules of update, by their fields here
HYPERPARAMETERS = ("momentum", "beta1", "beta2", "gamma", "eps", "epsilon", "trust", "iterations", "scale")
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
        """InputError where one is empty."""
        return between_commas("freeze", self.freeze)

    def parts_rates(self) -> dict[str, float]:
        """InputError where one is empty, or a factor is no number above 0, or so large that it is a mistake."""
        found: dict[str, float] = {}
        for word in between_commas("rates", self.rates):
            part, factor = part_and_factor(word)
            found.pop(part, None)  # where a part is named again, its last place counts
            found[part] = factor
        return found


def part_and_factor(word: str) -> tuple[str, float]:
    part, _, value = (each.strip() for each in word.partition("="))
    try:
        factor = float(value if part else "")
    except ValueError:
        raise InputError(f'optimizer.rates: part=factor such as stem=0.1, not "{word}"') from None
    if not factor > 0:
        raise InputError(f'optimizer.rates: a factor is above 0 (to stop a part, freeze it), not "{word}"')
    if factor > LARGEST_FACTOR:
        raise InputError(f'optimizer.rates: a factor is at most {LARGEST_FACTOR:,}, not "{word}"')
    return part, factor


def between_commas(field: str, words: str | None) -> list[str]:
    """The parts of the network that a field of the optimizer names; InputError where one is empty."""
    found = [word.strip() for word in words.split(",")] if words else []
    if "" in found:
        raise InputError(f'optimizer.{field}: nothing is between two commas, or beside one, in "{words}"')
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
