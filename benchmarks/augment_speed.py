"""Augmentation of stored 8-bit images into a float batch: Saccade against torchvision v2 and kornia.

torchvision: v2 transforms of each uint8 tensor (its fastest form), then ToDtype, then torch.stack; in this process, with
torch's threads. "torchvision, PIL": the same transforms of each PIL image, as ImageFolder gives them. kornia: the batch at
once after division by 255, and, where it draws one operation for the whole batch (RandAugment, TrivialAugment), also image
by image, which is the same job as that of the others.

Command: uv run --with kornia python benchmarks/augment_speed.py. Takes two to three minutes on two cores.
"""

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from kornia import augmentation as kornia
from kornia.augmentation import auto
from measure import keep
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from saccade.data.augment import Augment, CenterCrop, RandAugment, RandomAffine, Sampling, TrivialAugmentWide, in_turn
from saccade.training.allocator import keep_freed_memory

ROUNDS = 31
SIZES = {64: (72, 64), 224: (256, 32)}  # side of the result: side as stored, images of a batch
AFFINE = {"degrees": (-15, 15), "translate": (0.1, 0.1), "scale": (0.8, 1.2), "shear": (-10, 10, -10, 10)}
JITTER = (0.3, 0.3, 0.3)
GOALS = {"torchvision": 3.0, "torchvision, PIL": 3.0, "kornia": 1.5, "kornia, image by image": 1.5}

Work = Callable[[], object]


def stored(side: int, count: int) -> Tensor:
    """uint8 (B, H, W, C): pieces of sklearn's two photographs."""
    photographs = [torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in load_sample_images().images]
    cut = v2.RandomResizedCrop(side, scale=(0.3, 1.0), antialias=True)
    return torch.stack([cut(photographs[i % 2]) for i in range(count)]).permute(0, 2, 3, 1).contiguous()


def each(transform: Callable[[Tensor], Tensor], images: Tensor) -> Work:
    whole = v2.Compose([transform, v2.ToDtype(torch.float32, scale=True)])
    apart = [image.contiguous() for image in images.permute(0, 3, 1, 2)]
    return lambda: torch.stack([whole(image) for image in apart])


def each_picture(transform: Callable[[object], object], images: Tensor) -> Work:
    whole = v2.Compose([transform, v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])
    apart = [Image.fromarray(image.numpy()) for image in images]
    return lambda: torch.stack([whole(image) for image in apart])


def at_once(augmentation: Callable[[Tensor], Tensor], images: Tensor) -> Work:
    return lambda: augmentation(images.permute(0, 3, 1, 2).float().div_(255))


def one_by_one(augmentation: Callable[[Tensor], Tensor], images: Tensor) -> Work:
    return lambda: torch.cat([augmentation(image[None]) for image in images.permute(0, 3, 1, 2).float().div_(255)])


def contestants(size: int) -> dict[str, dict[str, Work]]:
    side, count = SIZES[size]
    images, generator = stored(side, count), torch.Generator().manual_seed(0)
    crop = Augment("resized", size, flip=True, brightness=0.3, contrast=0.3, saturation=0.3)
    theirs = v2.Compose([v2.RandomResizedCrop(size, (0.35, 1.0)), v2.RandomHorizontalFlip(), v2.ColorJitter(*JITTER)])
    batched = kornia.AugmentationSequential(
        kornia.RandomResizedCrop((size, size), scale=(0.35, 1.0)),
        kornia.RandomHorizontalFlip(),
        kornia.ColorJitter(*JITTER, p=1.0),
    )
    bilinear, bounds = Sampling("bilinear"), tuple(AFFINE.values())

    def ours(step: object) -> Work:
        # A crop takes stored pixels; this one takes all of them
        return lambda: in_turn([CenterCrop(side), step], images.permute(0, 3, 1, 2), generator)

    def policy(step: object, transform: object, kornias: object) -> dict[str, Work]:
        peers = {"kornia": at_once(kornias, images), "kornia, image by image": one_by_one(kornias, images)}
        return {"saccade": ours(step), **torchvisions(transform), **peers}

    def torchvisions(transform: object) -> dict[str, Work]:
        return {"torchvision": each(transform, images), "torchvision, PIL": each_picture(transform, images)}

    return {
        "crop, flip and jitter": {
            "saccade": lambda: crop.of_pixels(images, generator),
            **torchvisions(theirs),
            "kornia": at_once(batched, images),
        },
        "RandAugment": policy(RandAugment(), v2.RandAugment(), auto.RandAugment(2, 9)),
        "TrivialAugment": policy(TrivialAugmentWide(), v2.TrivialAugmentWide(), auto.TrivialAugment()),
        "affine, nearest": {
            "saccade": ours(RandomAffine(**AFFINE)),
            **torchvisions(v2.RandomAffine(**AFFINE)),
            "kornia": at_once(kornia.RandomAffine(*bounds, resample="nearest", p=1.0), images),
        },
        "affine, bilinear": {
            "saccade": ours(RandomAffine(**AFFINE, sampling=bilinear)),
            **torchvisions(v2.RandomAffine(**AFFINE, interpolation=InterpolationMode.BILINEAR)),
            "kornia": at_once(kornia.RandomAffine(*bounds, resample="bilinear", p=1.0), images),
        },
    }


def rate(work: Work, count: int) -> float:
    """Images a second of one batch."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def race(works: dict[str, Work], count: int) -> dict[str, object]:
    """Everybody in turn, so that a noisy moment hits all; the first round warms up."""
    rounds = [{name: rate(work, count) for name, work in works.items()} for _ in range(ROUNDS + 1)][1:]
    found: dict[str, object] = {
        "images/s": {name: round(statistics.median(each[name] for each in rounds)) for name in works},
    }
    for peer in list(works)[1:]:
        ratios = sorted(each["saccade"] / each[peer] for each in rounds)
        # The quotient of the medians: a moment lost by either does not count
        middle = statistics.median(each["saccade"] for each in rounds) / statistics.median(each[peer] for each in rounds)
        found[f"times {peer}"] = {
            "ratio of medians": round(middle, 2),
            "low": round(ratios[0], 2),
            "high": round(ratios[-1], 2),
            "goal": GOALS[peer],
        }
    return found


def main() -> None:
    warnings.simplefilter("ignore")  # of kornia, about torch's deprecations
    torch.manual_seed(0)
    keep_freed_memory()  # as training does, for everybody here
    results = {}
    for size, (side, count) in SIZES.items():
        for name, works in contestants(size).items():
            title = f"{name}, {side} to {size} px, batch {count}" if "crop" in name else f"{name}, {side} px, batch {count}"
            results[title] = race(works, count)
            print(title, results[title], flush=True)
    keep(
        "augment_speed",
        {
            "what": "stored 8-bit images -> augmented float batch, images a second",
            "n": ROUNDS,
            "threads": torch.get_num_threads(),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
