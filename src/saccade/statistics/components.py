"""Where the spread of a difference comes from, and what more of each source would buy."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from scipy import special

from saccade.statistics.repeated import mean_squares

LIMIT = 1000  # more runs than these nobody trains to settle one question


@dataclass(frozen=True)
class Components:
    """Variances of one outcome: by image, by division into folds, by seed, by image within a division, and the rest.

    A seed is one training of all folds, each fold with a start of its own. `split` and `seed` move all images at once (the
    mean of a run); `image_by_split` and `residual` move each for itself.
    None is what the runs at hand cannot tell apart; `variance_components` says where it is counted then.
    """

    image: float
    split: float | None
    seed: float | None
    image_by_split: float | None
    residual: float | None


def variance_components(outcomes: np.ndarray) -> Components:
    """From paired differences (R repeats, S seeds, N images), each image scored once a repeat and seed, out of fold.

    Method of moments of the balanced design of images crossed with seeds nested in repeats (Searle, Casella and McCulloch
    1992, chapter 4), each at least 0. With S = 1 a seed changes along with each repeat: `split` and `residual` then hold
    what seeds add. With R = 1 `image` holds `image_by_split`, and `split` is unknown; with both, `image` holds all.
    Few repeats or seeds tell their variance roughly: of 3, from a quarter to 40 times it (95 %). That another
    set of images would have trained other networks shows in `split` in part only (Bengio and Grandvalet 2004).
    ValueError for other shapes or fewer than two images.
    """
    if outcomes.ndim != 3 or 0 in outcomes.shape or outcomes.shape[2] < 2:
        raise ValueError(f"outcomes are (repeats, seeds, images), two images at least, not {outcomes.shape}")
    repeats, seeds, images = outcomes.shape
    if repeats == 1 and seeds == 1:
        return Components(float(outcomes[0, 0].var(ddof=1)), None, None, None, None)
    if repeats == 1:
        image, run, rest = mean_squares(outcomes[0])
        return Components(_estimate(image - rest, seeds), None, _estimate(run - rest, images), None, rest)
    image, split, interaction = mean_squares(outcomes.mean(1))
    if seeds == 1:
        found = _estimate(image - interaction, repeats), _estimate(split - interaction, images)
        return Components(*found, None, None, interaction)
    _, nested, rest = np.mean([mean_squares(each) for each in outcomes], axis=0)
    return Components(
        _estimate(image - interaction, repeats),
        _estimate(split - interaction - (nested - rest) / seeds, images),
        _estimate(nested - rest, images),
        _estimate(interaction - rest / seeds, 1),
        float(rest),
    )


def _estimate(surplus: float, count: int) -> float:
    return max(0.0, float(surplus) / count)


def predicted_error(components: Components, repeats: int, seeds: int, images: int) -> float:
    """The standard error of the mean difference with so many repeats, seeds in each, and images.

    What is None counts as 0; where seeds were not told apart from repeats, more seeds in a repeat gain nothing.
    """
    if min(repeats, seeds, images) < 1:
        raise ValueError(f"repeats, seeds and images are at least 1, not {repeats}, {seeds} and {images}")
    return sqrt(components.image / images + _of_runs(components, repeats, seeds, images))


def _of_runs(components: Components, repeats: int, seeds: int, images: int) -> float:
    of_split = (components.split or 0) + (components.image_by_split or 0) / images
    return of_split / repeats + ((components.seed or 0) + (components.residual or 0) / images) / _runs(
        components, repeats, seeds
    )


def _runs(components: Components, repeats: int, seeds: int) -> int:
    return repeats if components.seed is None else repeats * seeds


def needed(
    components: Components, target: float, images: int, repeats: int | None = None, seeds: int | None = None
) -> int | None:
    """The fewest seeds for `repeats` divisions (or repeats of `seeds` seeds: give one) that tell `target` from 0.

    That is, until half the 95 % interval, Student's t over runs and images as in `over_runs`, is below |target|: a true
    difference of that size is then found half of the time. None where not even 1,000 would do. ValueError unless exactly
    one of repeats and seeds is given.
    """
    if (repeats is None) == (seeds is None):
        raise ValueError(f"give repeats to learn of seeds, or seeds to learn of repeats: not {repeats} and {seeds}")
    for count in range(1, LIMIT + 1):
        if _half_width(components, repeats or count, seeds or count, images) < abs(target):
            return count
    return None


def _half_width(components: Components, repeats: int, seeds: int, images: int) -> float:
    error = predicted_error(components, repeats, seeds, images)
    of_images, of_runs = components.image / images, _of_runs(components, repeats, seeds, images)
    runs = _runs(components, repeats, seeds)
    if runs == 1 and of_runs:
        return inf
    squares = of_images**2 / max(1, images - 1) + of_runs**2 / max(1, runs - 1)
    freedom = (of_images + of_runs) ** 2 / squares if squares else inf
    return float(special.stdtrit(freedom, 0.975)) * error


def power(effect: float, error: float, freedom: float, level: float = 0.95) -> float:
    """The chance that the two-sided t test at 1 - level finds a true difference `effect` measured with this standard error.

    From the noncentral t distribution (Cohen 1988); with an error of 0 it is 1, or 0 without an effect.
    """
    if error < 0 or freedom <= 0:
        raise ValueError(f"an error of at least 0 and degrees of freedom above 0 are needed, not {error} and {freedom}")
    if error == 0:
        return float(effect != 0)
    bar, shift = float(special.stdtrit(freedom, (1 + level) / 2)), abs(effect) / error
    from scipy import stats  # takes as long to import as all else that statistics need

    return float(stats.nct.sf(bar, freedom, shift) + stats.nct.sf(bar, freedom, -shift))
