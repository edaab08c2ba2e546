"""The historical networks train: above chance on real images of three classes of Fashion-MNIST."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import saccade
from saccade.data.sources import open_source

CLASSES = (1, 7, 8)  # trousers, sneakers, bags


@pytest.fixture(scope="module")
def garments(data: Path) -> tuple[np.ndarray, np.ndarray]:
    listing = open_source(data / "fashion-mnist")
    chosen = np.flatnonzero((listing.parts == "train") & np.isin(listing.labels, CLASSES))[:600]
    return np.stack([listing.images.read(int(i)).pixels for i in chosen]), listing.labels[chosen]


@dataclass(frozen=True)
class Case:
    network: str
    size: int
    images: int
    epochs: int
    lr: float


CASES = (
    Case("lenet5_1998", 32, 600, 5, 0.005),
    Case("alexnet", 227, 300, 4, 0.01),
    Case("googlenet", 96, 450, 6, 0.01),
    Case("mobilenet_v1", 64, 600, 8, 0.05),
    Case("preresnet20", 32, 600, 4, 0.05),
    Case("resnet20:norm=after", 32, 600, 4, 0.05),
    Case("densenet40_bc", 32, 300, 4, 0.05),
    Case("nin", 32, 600, 8, 0.01),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.network) for case in CASES])
def test_it_trains(garments: tuple[np.ndarray, np.ndarray], tmp_path: Path, case: Case) -> None:
    x, y = (each[: case.images] for each in garments)
    record = saccade.train(
        (x, y),
        out=tmp_path / "run",
        network=case.network,
        images={"size": case.size},
        epochs=case.epochs,
        batch=16,
        optimizer={"lr": case.lr},
    )
    assert record["scores"]["test"]["accuracy"]["low"] > 0.4, record["scores"]["test"]["accuracy"]
