"""Decoding and the store, on the real odd and broken files and on scikit-learn's digits."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade import InputError
from saccade.data.decode import decode
from saccade.data.images import Files
from saccade.data.listing import LeftOut, Listing, Picture, Unusable
from saccade.data.resize import fit
from saccade.data.sources import open_source
from saccade.data.store import DAY, Store, build, open_stored, stores
from saccade.events import Progress, finish


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def odd(data: Path, tmp_path: Path) -> Path:
    """All odd files, in two classes by turns."""
    files = sorted(path for path in (data / "odd-images").rglob("*") if path.is_file() and path.name != "MANIFEST.tsv")
    for i, file in enumerate(files):
        target = tmp_path / "odd" / "ab"[i % 2] / f"{i:03}-{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path / "odd"


def manifest(data: Path) -> dict[str, str]:
    rows = [line.split("\t") for line in (data / "odd-images" / "MANIFEST.tsv").read_text().splitlines()[1:]]
    # Two files load for Pillow only at the second attempt, after an error about their broken stream: we refuse them.
    return {row[0]: "broken" if row[6] == "exif-error" else row[1] for row in rows}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_odd_file_is_used_or_refused_with_a_reason(data: Path) -> None:
    refused: dict[str, str] = {}
    for name in manifest(data):
        try:
            picture = decode((data / "odd-images" / name).read_bytes())
        except Unusable as reason:
            refused[name] = str(reason)
        else:
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.shape[2] in (1, 3)
    assert set(refused) == {name for name, loads in manifest(data).items() if loads != "ok"}
    assert all(refused.values())


def test_every_odd_file_lands_in_exactly_one_place(odd: Path, own_cache: Path) -> None:
    names = {path.relative_to(odd).as_posix() for path in odd.rglob("*") if path.is_file()}
    store = finish(build(open_source(odd), 32, None))
    used, left_out = set(store.ids.tolist()), {left.file for left in store.left_out}
    assert used | left_out == names
    assert not used & left_out
    assert store.pixels.shape == (len(used), 32, 32, 3)


def test_orientation_is_applied(data: Path) -> None:
    folder = data / "odd-images" / "pillow"
    upright = decode((folder / "hopper.jpg").read_bytes()).pixels.astype(float)
    for i in range(2, 9):
        turned = decode((folder / f"hopper_orientation_{i}.jpg").read_bytes())
        assert np.abs(turned.pixels - upright).mean() < 12, i
        assert "turned upright by EXIF" in turned.remarks


def test_a_bomb_is_refused_by_its_pixels(data: Path) -> None:
    with pytest.raises(Unusable, match="pixels"):
        decode((data / "odd-images" / "pillow" / "decompression_bomb.gif").read_bytes())


def test_resize_is_torchvisions(data: Path) -> None:
    from torchvision.transforms import v2

    image = Image.open(next((data / "clothing-small" / "train" / "hat").iterdir())).convert("RGB")
    # long sides that torchvision rounds down, where rounding to the nearest would shift the middle
    for size in (image.size, (101, 71), (71, 101), (90, 31), (47, 130)):
        turned = image.resize(size)
        theirs = np.asarray(v2.Compose([v2.Resize(64, antialias=True), v2.CenterCrop(64)])(turned)).astype(int)
        assert np.abs(fit(np.asarray(turned), 64, 3).astype(int) - theirs).max() <= 2, size


def test_resize_keeps_what_fits_and_converts_channels() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert (fit(colour, 16, 3) == colour).all()
    luma = np.asarray(Image.fromarray(colour).convert("L"))
    assert (fit(colour, 16, 1)[:, :, 0] == luma).all()
    assert (fit(luma[:, :, None], 16, 3) == luma[:, :, None]).all()
    assert fit(np.zeros((1, 5000, 3), np.uint8), 16, 3).shape == (16, 16, 3)


def same(a: Store, b: Store) -> bool:
    return bool((a.pixels == b.pixels).all()) and a.ids.tolist() == b.ids.tolist()


def test_the_store_is_found_again_by_names_by_content_and_not_after_a_change(
    data: Path, tmp_path: Path, own_cache: Path
) -> None:
    root = tmp_path / "photos"
    for klass in ("hat", "dress"):
        shutil.copytree(data / "clothing-small" / "test" / klass, root / klass)
    first = finish(build(open_source(root), 40, None))
    second = finish(build(open_source(root), 40, None))
    assert (first.warm, second.warm) == (False, True)
    assert same(first, second)
    assert isinstance(second.pixels, np.memmap)
    moved = shutil.move(root, tmp_path / "elsewhere")
    third = finish(build(open_source(moved), 40, None))
    assert third.fingerprint == first.fingerprint
    assert third.name == "elsewhere"
    shutil.copy(next((tmp_path / "elsewhere" / "hat").iterdir()), tmp_path / "elsewhere" / "dress" / "zzz.jpg")
    fourth = finish(build(open_source(moved), 40, None))
    assert fourth.fingerprint != first.fingerprint
    kinds = {finding.kind for finding in fourth.findings}
    assert {"exact duplicates", "contradicting labels"} <= kinds
    assert not list(stores().glob("building-*"))


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="SACCADE_CACHE"):
        finish(build(open_source("digits"), 8, None))


class Digits:
    """scikit-learn's digits; `colour` and `broken` are indices; counts what is opened."""

    def __init__(self, colour: tuple[int, ...] = (), broken: tuple[int, ...] = (), at: str = "now"):
        from sklearn.datasets import load_digits

        self.pixels = np.round(load_digits().images * (255 / 16)).astype(np.uint8)[:300, :, :, None]
        self.colour, self.broken, self.at, self.reads, self.digests = colour, broken, at, 0, 0

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> Picture:
        self.reads += 1
        if index in self.broken:
            raise Unusable("broken on purpose")
        grey = self.pixels[index]
        return Picture(np.concatenate([grey, grey // 2, grey // 4], 2) if index in self.colour else grey)

    def stamp(self) -> str:
        return self.at

    def digest(self, index: int) -> bytes:
        self.digests += 1
        return blake2b(self.pixels[index].tobytes() + bytes([index in self.colour, index in self.broken])).digest()

    def usual_side(self) -> int | None:
        return 8


def listed(images: Digits) -> Listing:
    count = len(images)
    labels = np.arange(count) % 10
    ids = [f"digit {i}" for i in range(count)]
    return Listing("digits", "digits", tuple("0123456789"), images, ids, labels, np.full(count, "", "<U10"))


def test_a_warm_store_opens_no_image_and_a_touched_one_decodes_none(own_cache: Path) -> None:
    finish(build(listed(Digits()), 8, None))
    again, touched = Digits(), Digits(at="later")
    assert finish(build(listed(again), 8, None)).warm
    assert (again.reads, again.digests) == (0, 0)
    store = finish(build(listed(touched), 8, None))
    assert not store.warm
    assert (touched.reads, touched.digests) == (0, 300)
    assert finish(build(listed(touched), 8, None)).warm
    assert finish(build(listed(touched), 9, None)).fingerprint != store.fingerprint


def test_a_touched_and_a_changed_file(data: Path, tmp_path: Path, own_cache: Path) -> None:
    for klass in ("hat", "dress"):
        shutil.copytree(data / "clothing-small" / "test" / klass, tmp_path / "p" / klass)
    first = finish(build(open_source(tmp_path / "p"), 40, None))
    file = next((tmp_path / "p" / "hat").iterdir())
    os.utime(file, (1, 1))
    touched = finish(build(open_source(tmp_path / "p"), 40, None))
    assert (touched.fingerprint, touched.warm) == (first.fingerprint, False)
    Image.new("RGB", (50, 50), "red").save(file, "JPEG")
    assert finish(build(open_source(tmp_path / "p"), 40, None)).fingerprint != first.fingerprint


def test_other_labels_and_groups_are_another_store(own_cache: Path) -> None:
    listing = listed(Digits())
    others = [replace(listing, labels=listing.labels[::-1]), replace(listing, groups=np.array(["a", "b"] * 150))]
    stores_of = [finish(build(each, 8, None)) for each in (listing, *others)]
    assert len({store.fingerprint for store in stores_of}) == 3
    assert stores_of[2].groups is not None


@pytest.mark.parametrize("colour", [(), (0,), (1,), (299,), (64, 65, 130, 200)])
def test_grey_stays_compact_until_the_first_colour_image(own_cache: Path, colour: tuple[int, ...]) -> None:
    images = Digits(colour, broken=(5, 70))
    store = finish(build(listed(images), 8, None))
    kept = [i for i in range(300) if i not in (5, 70)]
    assert store.pixels.shape == (298, 8, 8, 3 if colour else 1)
    assert store.left_out == [LeftOut(f"digit {i}", "broken on purpose") for i in (5, 70)]
    expected = [np.broadcast_to(images.read(i).pixels, store.pixels.shape[1:]) for i in kept]
    assert (store.pixels == np.stack(expected)).all()
    assert store.ids.tolist() == [f"digit {i}" for i in kept]
    assert store.labels.tolist() == [i % 10 for i in kept]


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_as_asked_for(own_cache: Path, channels: int) -> None:
    assert finish(build(listed(Digits(colour=(7,))), 8, channels)).pixels.shape == (300, 8, 8, channels)


def test_progress_goes_up_to_the_total(own_cache: Path) -> None:
    events = [event for event in build(listed(Digits()), 8, None) if isinstance(event, Progress)]
    done = [event.done for event in events if event.what == "reading images"]
    assert done == [100, 200, 300]


def test_pixels_are_mapped_and_cannot_be_written_to(own_cache: Path) -> None:
    store = finish(build(listed(Digits()), 8, None))
    assert isinstance(store.pixels, np.memmap)
    assert store.pixels.mode == "r"
    with pytest.raises(ValueError, match="read-only"):
        store.pixels[0] = 77


def test_a_damaged_store_is_built_again(own_cache: Path) -> None:
    whole = finish(build(listed(Digits()), 8, None))
    for name in ("pixels.npy", "table.npz", "about.json"):
        file = stores() / whole.fingerprint / name
        start = file.read_bytes()[:100]
        file.unlink()  # to cut a mapped file short would kill this process
        file.write_bytes(start)
        assert open_stored(whole.fingerprint) is None, name
        mended = finish(build(listed(Digits()), 8, None))
        assert same(mended, whole)
        assert not mended.warm


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_store import Digits, build, finish, listed
class Fatal(Digits):
    def read(self, index):
        if index == 250:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)
finish(build(listed(Fatal()), 8, None))
"""


def test_a_killed_build_leaves_nothing_half_and_is_swept_after_a_day(own_cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(Path(__file__).parent)], check=False)
    assert done.returncode == -signal.SIGKILL
    left = list(stores().iterdir())
    assert [path.name.startswith("building-") for path in left] == [True]
    assert len(finish(build(listed(Digits()), 8, None)).ids) == 300
    assert left[0].exists()  # it might be another process at work
    old = time.time() - 2 * DAY
    for path in (*left[0].rglob("*"), left[0]):
        os.utime(path, (old, old))
    finish(build(listed(Digits()), 10, None))
    assert not list(stores().glob("building-*"))


def test_an_interrupted_build_leaves_nothing(own_cache: Path) -> None:
    images = Digits()
    work = build(listed(images), 8, None)
    next(event for event in work if event == Progress("reading images", 100, 300))
    work.close()
    assert images.reads < 300
    assert not list(stores().iterdir())


def test_two_builders_at_once_share_one_store(own_cache: Path) -> None:
    work = build(listed(Digits()), 8, None)
    next(event for event in work if event == Progress("reading images", 300, 300))
    faster = finish(build(listed(Digits()), 8, None))
    slower = finish(work)
    assert slower.fingerprint == faster.fingerprint
    assert same(slower, faster)
    assert len([path for path in stores().iterdir() if path.is_dir()]) == 1


def test_no_usable_image_is_one_line_with_the_first_reason(own_cache: Path) -> None:
    with pytest.raises(InputError, match=r"none of 300 images is usable; the first: digit 0: broken on purpose"):
        finish(build(listed(Digits(broken=tuple(range(300)))), 8, None))
    assert not list(stores().iterdir())


def test_too_little_space_is_said_before_decoding(own_cache: Path) -> None:
    images = Digits()
    with pytest.raises(InputError, match=r"[\d,]+ bytes are needed, [\d,]+ are free.*SACCADE_CACHE"):
        finish(build(listed(images), 1_000_000, None))
    assert images.reads == 0


def test_a_write_that_the_system_refuses_is_one_line(own_cache: Path) -> None:
    """The limit on the size of files stands for the full disk: both are an OSError in the middle of a write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"File too large.*SACCADE_CACHE"):
            finish(build(listed(Digits()), 32, None))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(stores().iterdir())


def test_the_same_bytes_in_another_shape_are_other_images() -> None:
    x = np.random.default_rng(0).integers(0, 255, (40, 32, 96), np.uint8)
    y = np.arange(40) % 2
    grey = finish(build(open_source((x, y)), 32, None))
    colour = finish(build(open_source((x.reshape(40, 32, 32, 3), y)), 32, None))
    assert (grey.pixels.shape, colour.pixels.shape) == ((40, 32, 32, 1), (40, 32, 32, 3))
    assert (colour.pixels[0] == x[0].reshape(32, 32, 3)).all()


def test_files_of_equal_names_sizes_and_times_elsewhere_are_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, grey in (("p1", 40), ("p2", 200)):
        for klass in "ab":
            folder = tmp_path / place / "photos" / klass
            folder.mkdir(parents=True)
            Image.new("L", (16, 16), grey).save(folder / "x.bmp")
            os.utime(folder / "x.bmp", (0, 0))
    means = []
    for place in ("p1", "p2"):
        monkeypatch.chdir(tmp_path / place)
        means.append(finish(build(open_source("photos"), 16, None)).pixels.mean())
    assert means[0] != means[1]


def test_new_rights_of_a_file_are_seen(tmp_path: Path) -> None:
    for klass in "ab":
        (tmp_path / klass).mkdir()
        Image.new("L", (16, 16), ord(klass)).save(tmp_path / klass / "x.png")
    source = Files(tmp_path, ["a/x.png", "b/x.png"])
    before = source.stamp()
    (tmp_path / "a" / "x.png").chmod(0o600)
    assert source.stamp() != before
