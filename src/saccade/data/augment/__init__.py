"""Augmentation of whole batches on their device, each image with its own draw.

Every draw is made by one CPU generator, one call for each parameter and batch, and then moved to the images: so the same
seed gives the same crops on every device. Operations equal those of torchvision.transforms.v2.functional on float images
(within 2e-4 of 0..1; where a place lies halfway between two pixels, nearest may read the other one). Those on 8-bit
images round: from them ours are up to 1.6 of 255 levels away for contrast and saturation, 1.2 for sharpness, 1.0 for grey
and autocontrast, 0.5 for blur and bilinear reading. Random forms have the distributions of torchvision's v2 transforms. A
random form is a Step, a callable of (images, generator).
"""

from saccade.data.augment.colour import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    ColorJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    grayscale,
    grey,
    recolour,
)
from saccade.data.augment.crop import (
    CROPS,
    CenterCrop,
    RandomCrop,
    RandomResizedCrop,
    crop_at,
    random_resized_crop_boxes,
)
from saccade.data.augment.erasing import Cutout, RandomErasing, erase, random_erasing_boxes
from saccade.data.augment.geometry import RandomAffine, Sampling, affine_matrices, rotate, warp
from saccade.data.augment.mixing import Mixing, cutmix, cutmix_boxes, mixup
from saccade.data.augment.noise import GaussianNoise
from saccade.data.augment.pipeline import POLICIES, Augment
from saccade.data.augment.policies import AugMix, RandAugment, TrivialAugmentWide
from saccade.data.augment.sharpness import GaussianBlur, adjust_sharpness, gaussian_blur
from saccade.data.augment.sometimes import Sometimes
from saccade.data.augment.step import Step, in_turn
from saccade.data.augment.tones import autocontrast, equalize, invert, posterize, solarize
from saccade.data.augment.views import CORNERS, VIEWS, mean_probabilities, views

__all__ = [
    "BRIGHTNESS",
    "CONTRAST",
    "CORNERS",
    "CROPS",
    "HUE",
    "POLICIES",
    "SATURATION",
    "VIEWS",
    "AugMix",
    "Augment",
    "CenterCrop",
    "ColorJitter",
    "Cutout",
    "GaussianBlur",
    "GaussianNoise",
    "Mixing",
    "RandAugment",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomResizedCrop",
    "Sampling",
    "Sometimes",
    "Step",
    "TrivialAugmentWide",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine_matrices",
    "autocontrast",
    "crop_at",
    "cutmix",
    "cutmix_boxes",
    "equalize",
    "erase",
    "gaussian_blur",
    "grayscale",
    "grey",
    "in_turn",
    "invert",
    "mean_probabilities",
    "mixup",
    "posterize",
    "random_erasing_boxes",
    "random_resized_crop_boxes",
    "recolour",
    "rotate",
    "solarize",
    "views",
    "warp",
]
