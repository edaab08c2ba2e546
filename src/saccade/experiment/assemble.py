"""From a recipe to the parts of a training run: network, optimizer, loss, augmentation, averages."""

from typing import Any

import torch
from torch import nn

from saccade.data.augment import Augment, Mixing
from saccade.data.balance import balanced_weights, effective_weights
from saccade.errors import InputError
from saccade.experiment import model
from saccade.experiment.recipe import Recipe
from saccade.experiment.recipe_sections import HYPERPARAMETERS, RegularizeSection
from saccade.experiment.setup import Prepared
from saccade.layers import edit, norms
from saccade.optim import Average, Optimizer, decay_groups, exponential, scaled_rate, uniform, vectors_apart
from saccade.seeds import derive
from saccade.tasks import classify


def new_network(prepared: Prepared) -> nn.Module:
    """The network of the recipe with the weights of its seed; torch's own generator is left as it was."""
    recipe = prepared.recipe
    assert recipe.network is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(recipe.seed, "weights"))
        channels, classes = prepared.preprocess.channels, len(prepared.store.classes)
        network = model.build(recipe.network, classes, channels, recipe.regularize.norm)
    try:
        regularize(network, recipe.regularize)
    except InputError as error:
        raise InputError(f"{recipe.network}: {error}") from error
    return network


def regularize(network: nn.Module, settings: RegularizeSection) -> None:
    """The edits of the recipe that act in training alone; InputError where there is nothing for one to act on."""
    if settings.dropout is not None:
        edit.dropout(network, settings.dropout)
    if settings.spatial_dropout:
        edit.spatial_dropout(network, settings.spatial_dropout)
    if settings.drop_block:
        edit.drop_blocks(network, settings.drop_block, settings.block)
    if settings.drop_path is not None:
        edit.stochastic_depth(network, settings.drop_path)
    if settings.norm_momentum is not None:
        norms.norm_momentum(network, settings.norm_momentum)
    if settings.freeze_statistics:
        norms.freeze_statistics(network)


def optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The rule of the recipe for the parameters that learn; norms and biases without decay."""
    settings = recipe.optimizer
    assert settings.lr is not None
    assert settings.weight_decay is not None
    numbers: dict[str, Any] = {name: value for name in HYPERPARAMETERS if (value := getattr(settings, name)) is not None}
    groups = decay_groups(network, settings.weight_decay, settings.parts_rates(), l1=settings.l1)
    groups = vectors_apart(groups, settings.rule, numbers)
    numbers |= {} if settings.decay is None else {"decay": settings.decay}
    return Optimizer(groups, settings.rule, full_rate(recipe), **numbers)


def full_rate(recipe: Recipe) -> float:
    """The highest learning rate, scaled to the batch where the recipe asks for it."""
    settings = recipe.optimizer
    assert settings.lr is not None
    return scaled_rate(settings.lr, recipe.images_per_step, settings.reference_batch or recipe.images_per_step)


def loss(prepared: Prepared, device: torch.device) -> classify.Loss:
    """Cross entropy with the recipe's smoothing and class weights, which are those of the training images."""
    recipe, weights = prepared.recipe, None
    labels, classes = prepared.store.labels[prepared.indices("train")], len(prepared.store.classes)
    if recipe.balance.by in ("weights", "effective"):
        found = (balanced_weights if recipe.balance.by == "weights" else effective_weights)(labels, classes)
        weights = torch.tensor(found, dtype=torch.float32, device=device)
    return classify.Loss(recipe.regularize.label_smoothing, weights)


def augmentation(prepared: Prepared) -> Augment:
    """The recipe's; what is erased gets the mean of the training images."""
    settings, preprocess = prepared.recipe.augment, prepared.preprocess
    assert settings.crop is not None
    assert settings.padding is not None
    assert settings.flip is not None
    names = "brightness contrast saturation hue rotate translate zoom shear grayscale blur erase noise".split()
    names += ["policy", "operations", "magnitude"]
    return Augment(
        crop=settings.crop,
        size=preprocess.size,
        padding=settings.padding,
        scale=(settings.scale, 1.0),
        flip=settings.flip,
        cutout=round(settings.cutout * preprocess.size),
        fill=preprocess.mean,
        **{name: getattr(settings, name) for name in names},
    )


def mixing(recipe: Recipe) -> Mixing | None:
    return Mixing(recipe.mix.mixup, recipe.mix.cutmix) if recipe.mix.mixup or recipe.mix.cutmix else None


def average(network: nn.Module, recipe: Recipe) -> Average | None:
    settings = recipe.average
    if settings.kind == "none":
        return None
    return Average(network, exponential(settings.decay) if settings.kind == "ema" else uniform)
