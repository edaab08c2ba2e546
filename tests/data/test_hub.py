"""Data sets of torchvision by name, from files laid where it would download them to."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from saccade import InputError
from saccade.data.sources import hub, open_source


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path))
    return tmp_path / "torchvision"


def test_a_validation_part_stays_one_and_parts_keep_their_classes(data: Path, root: Path) -> None:
    """Real photos in the form of the Describable Textures data set: lists of each part, images in class folders."""
    for part, split in (("train", "train"), ("validation", "val"), ("test", "test")):
        lines = []
        for klass in ("hat", "pants", "dress"):
            for file in sorted((data / "clothing-small" / part / klass).iterdir())[:4]:
                target = root / "dtd" / "dtd" / "images" / klass / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
                lines.append(f"{klass}/{file.name}")
        (root / "dtd" / "dtd" / "labels").mkdir(exist_ok=True)
        (root / "dtd" / "dtd" / "labels" / f"{split}1.txt").write_text("\n".join(lines))
    listing = open_source("dtd")
    assert Counter(listing.parts.tolist()) == {"train": 12, "validation": 12, "test": 12}
    assert listing.classes == ("dress", "hat", "pants")
    assert Counter(listing.labels.tolist()) == {0: 12, 1: 12, 2: 12}
    assert listing.images.read(0).pixels.ndim == 3
    assert listing.images.stamp() == open_source("DTD").images.stamp()


def test_without_a_network_it_says_where_files_may_be_put(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody answers
    with pytest.raises(InputError, match=r"Flowers102 could not be downloaded .*; its files may be put into"):
        open_source("flowers102")


def test_a_data_set_without_parts_for_classification_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="saccade cannot choose the parts of this data set"):
        open_source("CocoDetection")


def test_names_of_torchvision_are_known_without_importing_it() -> None:
    import torchvision.datasets

    assert set(hub.names()) == set(torchvision.datasets.__all__)
    assert hub.known("torchvision:mnist") == hub.known("MNIST") == "MNIST"
    assert hub.known("no/where") is None
