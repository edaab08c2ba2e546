"""The curvature of a loss surface where the weights stand, without ever writing its Hessian down.

Eigenvalues come from Lanczos' method, not from the power iteration: of the same products it makes the best use, needs no
gap between the first and the second eigenvalue, finds the largest even where a negative one is larger in size, and
gives the next ones with it. scipy's ARPACK restarts it, so that only about twenty vectors are held.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Generator, Tensor

from saccade.errors import InputError
from saccade.optim.surface import Surface


def top_eigenvalues(
    surface: Surface, generator: Generator, count: int = 1, tolerance: float = 1e-4, restarts: int = 100
) -> np.ndarray:
    """The `count` largest eigenvalues (by sign, not by size) of the Hessian at the origin, largest first.

    `tolerance` is relative; the first vector is drawn from `generator`. InputError where `restarts` do not suffice.
    """
    x, n = surface.origin, len(surface.origin)
    if not 1 <= count < n:
        raise ValueError(f"eigenvalues: from 1 to {n - 1} of them can be found for {n} weights, not {count}")

    def product(v: np.ndarray) -> np.ndarray:
        return surface.curvature(x, torch.from_numpy(v.ravel()).to(x)).cpu().numpy()

    start = torch.randn(n, generator=generator, dtype=x.dtype).numpy()
    if not product(start).any():  # a surface that is flat here, such as the loss of saturated scores, stops ARPACK
        return np.zeros(count, start.dtype)
    operator = LinearOperator((n, n), matvec=product, dtype=start.dtype)
    try:
        found = eigsh(operator, count, which="LA", v0=start, tol=tolerance, maxiter=restarts, return_eigenvectors=False)
    except ArpackNoConvergence as error:
        raise InputError(
            f"eigenvalues: only {len(error.eigenvalues)} of {count} are known to {tolerance:g} after {restarts} restarts"
        ) from error
    return np.sort(found)[::-1]


@dataclass(frozen=True)
class Estimate:
    """A mean of random draws and its standard error."""

    value: float
    standard_error: float


def trace(surface: Surface, generator: Generator, probes: int = 30) -> Estimate:
    """Hutchinson's estimate of the trace of the Hessian at the origin (the sum of all eigenvalues), unbiased."""
    if probes < 2:
        raise ValueError(f"probes: at least 2, as one alone has no spread, not {probes}")
    found = torch.stack([*quadratic_forms(surface, generator, probes)]).double()
    return Estimate(found.mean().item(), found.std().item() / probes**0.5)


def quadratic_forms(surface: Surface, generator: Generator, probes: int) -> Iterator[Tensor]:
    """v' H v for vectors of random signs v, whose mean is the trace and whose spread knows no diagonal (Rademacher)."""
    x = surface.origin
    for _ in range(probes):
        v = (2 * torch.randint(2, x.shape, generator=generator) - 1).to(x)
        yield v @ surface.curvature(x, v)
