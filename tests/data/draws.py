"""Whether two transforms draw from the same distribution."""

import torch
from scipy.stats import ks_2samp
from torch import Tensor

DRAWS = 3000
LEAST_P = 1e-3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same_distribution(ours: Tensor, theirs: Tensor) -> bool:
    return bool(ks_2samp(ours.numpy(), theirs.numpy()).pvalue > LEAST_P)
