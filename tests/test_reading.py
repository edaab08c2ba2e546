"""Files of arrays that are missing, cut, or something else."""

from pathlib import Path

import numpy as np
import pytest

from saccade import InputError
from saccade.reading import read_npz


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    np.savez_compressed(tmp_path / "whole.npz", a=np.arange(1000), b=np.array(["x", "y"]))
    return (tmp_path / "whole.npz").read_bytes()


def test_a_whole_file_gives_what_is_asked_for(whole: bytes, tmp_path: Path) -> None:
    found = read_npz(tmp_path / "whole.npz", "it is needed", "b")
    assert list(found) == ["b"]
    assert found["b"].tolist() == ["x", "y"]


def test_every_damage_is_told_with_the_file_and_its_purpose(whole: bytes, tmp_path: Path) -> None:
    file, middle = tmp_path / "damaged.npz", whole.index(b"a.npy") + 60
    changed = whole[:middle] + bytes(9) + whole[middle + 9 :]
    np.save(tmp_path / "one.npy", np.arange(3))
    alone = (tmp_path / "one.npy").read_bytes()
    np.savez(tmp_path / "objects.npz", allow_pickle=True, a=np.array([{}]))
    objects = (tmp_path / "objects.npz").read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-9], b"nothing", changed, alone, alone[:20], objects):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged\.npz: cannot be read \(.+\); it is needed$"):
            read_npz(file, "it is needed", "a")


def test_what_is_not_there_is_told(whole: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz: cannot be read \(No such file or directory\); it is needed"):
        read_npz(tmp_path / "none.npz", "it is needed", "a")
    with pytest.raises(InputError, match=r"whole\.npz: cannot be read \(c is not a file in the archive\)"):
        read_npz(tmp_path / "whole.npz", "it is needed", "c")
