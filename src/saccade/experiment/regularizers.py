"""The regularizers of the lecture notes and their kin, as fields of the recipe: off, on, and what they act on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saccade.experiment.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from saccade.experiment.setup import Prepared

Fields = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Regularizer:
    """Fields of the recipe where it is off, and where it is on at a usual strength; of what `lacking` names it `needs`."""

    off: Fields
    on: Fields
    needs: tuple[str, ...] = ()

    def is_in(self, recipe: Recipe) -> bool:
        """Whether any of its fields is not off; one that the network or the data would decide counts as off."""
        return any(value_of(recipe, name) not in (value, None) for name, value in dotted(self.off).items())


@dataclass(frozen=True)
class Choice(Regularizer):
    """One word of a field that has several, so that no two of them are in a recipe."""

    field: str = ""
    word: str = ""

    def is_in(self, recipe: Recipe) -> bool:
        return bool(value_of(recipe, self.field) == self.word)


def strength(field: str, on: Any, off: Any = 0, needs: Sequence[str] = ()) -> Regularizer:
    section, name = field.split(".")
    return Regularizer({section: {name: off}}, {section: {name: on}}, tuple(needs))


def choice(field: str, word: str, off: str | None = "none", needs: Sequence[str] = ()) -> Choice:
    section, name = field.split(".")
    return Choice({section: {name: off}}, {section: {name: word}}, tuple(needs), field, word)


def norm(kind: str) -> Choice:
    """In place of another: what is about batch norm alone goes with it, as there would be nothing for it to act on."""
    alone = {"norm_momentum": None, "freeze_statistics": False}
    own = {"norm": kind} | ({} if kind == "batch" else alone)
    return Choice({"regularize": {"norm": "none"} | alone}, {"regularize": own}, ("norm",), "regularize.norm", kind)


def policy(word: str) -> Choice:
    """At its usual strength: what the numbers of one policy mean, they do not mean for another."""
    usual = {"operations": None, "magnitude": None}
    return Choice({"augment": {"policy": None} | usual}, {"augment": {"policy": word} | usual}, (), "augment.policy", word)


REGULARIZERS: dict[str, Regularizer] = {
    "weight decay": strength("optimizer.weight_decay", 5e-4),
    "L1": strength("optimizer.l1", 1e-5),
    "sharpness-aware": strength("optimizer.sam", 0.05),
    "gradient clipping": strength("optimizer.clip", 1.0, None),
    "label smoothing": strength("regularize.label_smoothing", 0.1),
    "mixup": strength("mix.mixup", 0.2),
    "CutMix": strength("mix.cutmix", 1.0),
    "dropout": strength("regularize.dropout", 0.3),
    "spatial dropout": strength("regularize.spatial_dropout", 0.1),
    "DropBlock": strength("regularize.drop_block", 0.1),
    "stochastic depth": strength("regularize.drop_path", 0.1, needs=["residual blocks"]),
    "noise on weights": strength("regularize.weight_noise", 0.05),
    "noise on gradients": strength("regularize.gradient_noise", 1e-3),
    "batch norm": norm("batch"),
    "group norm": norm("group"),
    "layer norm": norm("layer"),
    "instance norm": norm("instance"),
    "frozen statistics": strength("regularize.freeze_statistics", True, False, ("batch norm", "statistics")),
    "random shift": choice("augment.crop", "pad"),
    "random resized crop": choice("augment.crop", "resized"),
    "mirroring": strength("augment.flip", True, False),
    # the strengths of these four, of grayscale and of blur are those of MoCo v2's code (facebookresearch/moco)
    "brightness and contrast": Regularizer(
        {"augment": {"brightness": 0, "contrast": 0}}, {"augment": {"brightness": 0.4, "contrast": 0.4}}
    ),
    "saturation": strength("augment.saturation", 0.4, needs=["colour"]),
    "hue": strength("augment.hue", 0.1, needs=["colour"]),
    "grayscale": strength("augment.grayscale", 0.2, needs=["colour"]),
    "blur": strength("augment.blur", 0.5),
    "rotation": strength("augment.rotate", 10),
    "translation": strength("augment.translate", 0.1),
    "zoom": strength("augment.zoom", 0.1),
    "shear": strength("augment.shear", 10),
    "noise on images": strength("augment.noise", 0.05),
    "random erasing": strength("augment.erase", 0.25),
    "Cutout": strength("augment.cutout", 0.5),
    "RandAugment": policy("randaugment"),
    "TrivialAugment": policy("trivialaugment"),
    "AugMix": policy("augmix"),
    "class weights": choice("balance.by", "weights", needs=["unequal classes"]),
    "effective number": choice("balance.by", "effective", needs=["unequal classes"]),
    "balanced sampling": choice("balance.by", "sampling", needs=["unequal classes"]),
    "EMA of weights": choice("average.kind", "ema"),
    "SWA of weights": choice("average.kind", "swa"),
}


def as_built(recipe: Recipe, network: "nn.Module") -> Recipe:
    """The recipe with the largest rates at which its network drops features and paths, which may be the network's own.

    To decide by, not to be trained: GoogLeNet drops 0.4 before its scores and 0.7 before the auxiliary ones, EfficientNet
    drops paths by a rule of its own.
    """
    from torch import nn

    from saccade.layers.drop import DropPath

    features = [each.p for each in network.modules() if isinstance(each, nn.Dropout)]
    paths = [each.p for each in network.modules() if isinstance(each, DropPath)]
    return recipe.changed(regularize={"dropout": max(features, default=0.0), "drop_path": max(paths, default=0.0)})


def lacking(prepared: "Prepared", network: "nn.Module") -> dict[str, str]:
    """What a regularizer may need to have an effect and this recipe does not give it, with the reason."""
    import numpy as np

    from saccade.layers.edit import residual_blocks
    from saccade.layers.norms import batch_norms

    recipe, labels = prepared.recipe, prepared.store.labels[prepared.indices("train")]
    plain = "the network has no batch norm"
    found = {} if batch_norms(network) else {"batch norm": plain}
    if found and recipe.regularize.norm == "batch":
        found["norm"] = plain
    if not residual_blocks(network):
        found["residual blocks"] = "the network has no residual block"
    if recipe.weights is None and not recipe.regularize.freeze_statistics:
        found["statistics"] = "the network starts with statistics of no images; it is for --weights"
    if prepared.preprocess.channels == 1:
        found["colour"] = "the images are grey"
    if len(set(np.unique(labels, return_counts=True)[1])) == 1:
        found["unequal classes"] = "every class has as many training images"
    return found


def without_effect(prepared: "Prepared", network: "nn.Module", names: Sequence[str]) -> dict[str, str]:
    """Those of the regularizers that would change nothing, each with the reason."""
    lacks = lacking(prepared, network)
    reasons = {name: [lacks[need] for need in REGULARIZERS[name].needs if need in lacks] for name in names}
    return {name: found[0] for name, found in reasons.items() if found}


def dotted(fields: Fields) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, values in fields.items() for name, value in values.items()}


def value_of(recipe: Recipe, field: str) -> Any:
    section, name = field.split(".")
    return getattr(getattr(recipe, section), name)
