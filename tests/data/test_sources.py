"""Sources, on the real files and on folders as people have them."""

import csv
import gzip
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade import InputError
from saccade.data.class_map import known_to, pinned
from saccade.data.listing import Unusable
from saccade.data.sources import open_source


def picture(file: Path, seed: int = 0, size: tuple[int, int] = (20, 24)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)).save(file)
    return file


def folders(root: Path, *names: str, images: int = 3) -> Path:
    for i, name in enumerate(names):
        for j in range(images):
            picture(root / name / f"{j}.png", 100 * i + j)
    return root


def test_clothing_photos(data: Path) -> None:
    listing = open_source(data / "clothing-small")
    assert len(listing.ids) == 600
    assert len(listing.classes) == 10
    assert {part: int((listing.parts == part).sum()) for part in ("train", "validation", "test")} == {
        "train": 400,
        "validation": 80,
        "test": 120,
    }
    assert {left.file for left in listing.left_out} == {"LICENSE", "README.md"}


def test_fashion_mnist(data: Path) -> None:
    listing = open_source(data / "fashion-mnist")
    assert np.bincount(listing.labels[listing.parts == "train"]).tolist() == [6000] * 10
    assert np.bincount(listing.labels[listing.parts == "test"]).tolist() == [1000] * 10
    assert listing.classes[9] == "Ankle boot"
    assert listing.images.read(0).pixels.shape == (28, 28, 1)
    assert listing.images.usual_side() == 28


@pytest.mark.slow
def test_cifar10(data: Path, tmp_path: Path) -> None:
    listing = open_source(data / "cifar-10")
    assert np.bincount(listing.labels[listing.parts == "train"]).tolist() == [5000] * 10
    assert np.bincount(listing.labels[listing.parts == "test"]).tolist() == [1000] * 10
    assert listing.classes[0] == "airplane"
    assert listing.images.read(59_999).pixels.shape == (32, 32, 3)


def test_idx_of_wrong_length_is_named_with_both_numbers(data: Path, tmp_path: Path) -> None:
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        shutil.copy(data / "fashion-mnist" / f"{name}.gz", tmp_path)
    whole = gzip.decompress((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(whole[:-5])
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte: 60,008 bytes are announced, 60,003 are there"):
        open_source(tmp_path)


def test_hidden_folders_and_files_are_listed_and_no_class(tmp_path: Path) -> None:
    folders(tmp_path, "cat", "dog", ".ipynb_checkpoints")
    picture(tmp_path / "cat" / ".hidden.png")
    (tmp_path / "cat" / "notes.txt").write_text("x")
    listing = open_source(tmp_path)
    assert listing.classes == ("cat", "dog")
    reasons = {left.file: left.reason for left in listing.left_out}
    assert reasons == {
        ".ipynb_checkpoints/": "hidden folder (3 files)",
        "cat/.hidden.png": "hidden file",
        "cat/notes.txt": "not an image file (.txt)",
    }


def test_a_class_that_validation_lacks_shifts_no_label(tmp_path: Path) -> None:
    folders(tmp_path / "train", "ant", "bee", "cow")
    folders(tmp_path / "valid", "ant", "cow")
    listing = pinned(open_source(tmp_path))
    where = [i for i, name in enumerate(listing.ids) if name.startswith("valid/cow")]
    assert set(listing.labels[where]) == {2}
    assert any("validation has no images of bee" in finding.text for finding in listing.findings)


def test_a_class_that_train_lacks_is_left_out_by_name(tmp_path: Path) -> None:
    folders(tmp_path / "train", "ant", "bee")
    folders(tmp_path / "test", "aardvark", "ant", "bee")
    listing = pinned(open_source(tmp_path))
    assert listing.classes == ("ant", "bee")
    assert sum('"aardvark" is not in train' in left.reason for left in listing.left_out) == 3
    assert [listing.classes[label] for label in listing.labels] == [name.split("/")[1] for name in listing.ids]
    for i, name in enumerate(listing.ids):
        assert np.array_equal(listing.images.read(i).pixels, np.asarray(Image.open(tmp_path / name)))


def test_a_folder_with_test_alone_can_be_listed_for_evaluation(tmp_path: Path) -> None:
    assert open_source(folders(tmp_path, "test/cat", "test/dog")).classes == ("cat", "dog")


@pytest.mark.parametrize("names", [("Training", "Testing"), ("train", "dev")])
def test_parts_under_other_names(tmp_path: Path, names: tuple[str, str]) -> None:
    listing = open_source(folders(tmp_path, *(f"{name}/{klass}" for name in names for klass in ("cat", "dog"))))
    assert listing.classes == ("cat", "dog")
    assert set(listing.parts) == {"train", "test" if names[1] == "Testing" else "validation"}


def test_parts_that_are_not_known_are_not_taken_for_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"seg_test, seg_train hold the same folders \(cat, dog\), so they are no classes"):
        open_source(folders(tmp_path, "seg_train/cat", "seg_train/dog", "seg_test/cat", "seg_test/dog"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no images in class folders"),
        (("cat",), "one class only"),
        (("test/cat", "test/dog"), "there is test but no train part"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        pinned(open_source(folders(tmp_path, *names)))


def test_names_that_differ_in_case_and_names_beyond_ascii(tmp_path: Path) -> None:
    listing = pinned(open_source(folders(tmp_path, "Katze", "katze", "Bär", "犬")))
    assert set(listing.classes) == {"Katze", "katze", "Bär", "犬"}
    assert any(finding.kind == "similar names" for finding in listing.findings)


def test_csv_with_split_and_group(tmp_path: Path) -> None:
    folders(tmp_path, "a", "b")
    file = tmp_path / "list.csv"
    rows = [
        ("path", "label", "split", "patient"),
        *((f"{k}/{i}.png", k, "val" if i == 2 else "train", i) for k in "ab" for i in range(3)),
    ]
    with file.open("w", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows([*rows, ("a/none.png", "a", "train", 0)])
    listing = open_source(file, "patient")
    assert listing.groups is not None
    assert listing.groups.tolist() == ["0", "1", "2"] * 2
    assert (listing.parts == "validation").sum() == 2
    assert [(left.file, left.reason) for left in listing.left_out] == [("a/none.png", "no such file")]
    with pytest.raises(InputError, match=r'no column "patent", did you mean "patient"'):
        open_source(file, "patent")


def test_a_path_with_a_typo_is_answered_with_the_nearest(tmp_path: Path) -> None:
    folders(tmp_path / "photos", "a", "b")
    with pytest.raises(InputError, match=r'no such file or folder, did you mean ".*photos"'):
        open_source(tmp_path / "photo")


def test_arrays_and_pairs() -> None:
    x = np.random.default_rng(0).random((6, 10, 12, 3))
    listing = open_source((x, ["b", "a"] * 3))
    assert listing.classes == ("a", "b")
    assert listing.labels.tolist() == [1, 0] * 3
    pairs = [(Image.fromarray((255 * image).astype(np.uint8)), "ab"[i % 2]) for i, image in enumerate(x)]
    assert open_source(pairs).images.read(2).pixels.shape == (10, 12, 3)
    with pytest.raises(InputError, match=r"these are \(6, 10, 12, 3\) and \(5,\)"):
        open_source((x, np.zeros(5)))
    with pytest.raises(InputError, match=r"pixels are 0..255 or floats 0..1"):
        open_source((x * 700, [0, 1] * 3))


def test_floats_that_are_neither_0_to_1_nor_clearly_8_bit_are_refused() -> None:
    """The digits of scikit-learn go from 0 to 16: taken for 0..255 they would be nearly black."""
    x = np.arange(6 * 64).reshape(6, 8, 8) % 17.0
    with pytest.raises(InputError, match=r"X: floats are 0..1, or clearly 0..255, these are float64 from 0 to 16; divide"):
        open_source((x, [0, 1] * 3))
    clear = open_source((x * 8, [0, 1] * 3)).images.read(0).pixels[..., 0]
    assert np.array_equal(clear, x[0] * 8)
    whole = open_source((x.astype(np.uint8), [0, 1] * 3)).images.read(0).pixels[..., 0]
    assert np.array_equal(whole, x[0])
    pairs = open_source([(image, "ab"[i % 2]) for i, image in enumerate(x * 8)])  # of which a dark one says nothing alone
    pairs.images.pairs[1][0][:] = 3.0
    assert np.array_equal(pairs.images.read(1).pixels[..., 0], np.full((8, 8), 3))


def test_a_folder_beside_train_and_test_does_not_turn_them_into_classes(tmp_path: Path) -> None:
    listing = open_source(folders(tmp_path, "train/a", "train/b", "test/a", "test/b", "unlabelled"))
    assert listing.classes == ("a", "b")
    assert [(left.file, left.reason) for left in listing.left_out] == [
        ("unlabelled/", "neither train, validation nor test (3 files)")
    ]


def test_train_and_test_that_hold_images_are_classes_beside_others(tmp_path: Path) -> None:
    assert open_source(folders(tmp_path, "train", "bus", "car")).classes == ("bus", "car", "train")


def test_two_folders_of_one_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="val and valid are both validation"):
        open_source(folders(tmp_path, "train/a", "train/b", "val/a", "valid/b"))


def idx(folder: Path, images: bytes, labels: bytes) -> Path:
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08" + images)
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08" + labels)
    return folder


def test_idx_without_images_or_of_other_dimensions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images are announced"):
        open_source(idx(tmp_path, b"\x03" + bytes(12), b"\x01" + bytes(4)))
    with pytest.raises(InputError, match="3 dimensions are expected by its name, 1 are announced"):
        open_source(idx(tmp_path, b"\x01\0\0\0\x02ab", b"\x01\0\0\0\x02\0\1"))


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte.gz", "data_batch_1.bin.gz"])
def test_a_damaged_gz_is_named(data: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(data / "fashion-mnist" / "train-images-idx3-ubyte.gz", tmp_path)
    damaged = bytearray((data / "fashion-mnist" / "train-labels-idx1-ubyte.gz").read_bytes())
    damaged[2000:2100] = bytes(100)
    if name.startswith("data"):
        (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(InputError, match=f"{name}: cannot be unpacked"):
        open_source(tmp_path)


def test_cifar_test_batch(data: Path, tmp_path: Path) -> None:
    for name, source in (("data_batch_1.bin.xz", "test_batch.bin.xz"), ("batches.meta.txt",) * 2):
        shutil.copy(data / "cifar-10" / source, tmp_path / name)
    listing = open_source(tmp_path)
    assert np.bincount(listing.labels).tolist() == [1000] * 10
    assert listing.classes[3] == "cat"


def test_cifar_labels_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(bytes([200]) * 3073)
    with pytest.raises(InputError, match="labels are 0 to 9 in this version of CIFAR, met 200"):
        open_source(tmp_path)


def test_csv_with_blanks_and_capitals(tmp_path: Path) -> None:
    folders(tmp_path, "a", "b", images=1)
    (tmp_path / "list.csv").write_text("Path, Label, Patient\na/0.png, a, p\nb/0.png, b, q\nb/0.png,b,q\n")
    listing = open_source(tmp_path / "list.csv", "Patient")
    assert listing.classes == ("a", "b")
    assert listing.groups is not None
    assert listing.groups.tolist() == ["p", "q", "q"]


@pytest.mark.parametrize("data", [[1, 2, 3], {"a": 1}, None, (np.zeros((0, 8, 8)), [])])
def test_what_is_no_data_is_answered_in_words(data: object) -> None:
    with pytest.raises(InputError, match=r"sequence of \(image, label\)|no pixels"):
        open_source(data)


def test_pairs_whose_file_is_missing_or_damaged_have_a_reason(data: Path, tmp_path: Path) -> None:
    damaged = data / "odd-images" / "pillow" / "truncated_jpeg.jpg"
    with Image.open(damaged) as image:
        images = open_source([(tmp_path / "none.png", "a"), (image, "b"), (str(damaged), "b")]).images
        for i, reason in enumerate(("cannot be read", "truncated", "truncated")):
            with pytest.raises(Unusable, match=reason):
                images.read(i)
        assert len(images.stamp()) == 32
        assert images.usual_side() is None


def test_booleans_are_black_and_white() -> None:
    listing = open_source((np.stack([np.eye(8, dtype=bool)] * 2), [0, 1]))
    assert sorted(np.unique(listing.images.read(0).pixels).tolist()) == [0, 255]


def test_links_in_a_circle_and_to_nothing(tmp_path: Path) -> None:
    folders(tmp_path, "a", "b")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "all").symlink_to(tmp_path)
    (tmp_path / "a" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    listing = open_source(tmp_path)
    reasons = {left.file: left.reason for left in listing.left_out}
    assert reasons == {
        "a/again/": "link to a folder above it",
        "a/all/": "link to a folder above it",
        "a/lost.png": "link to a file that is not there",
    }


@contextmanager
def rights_of_nobody() -> Iterator[None]:
    """The superuser may read everything, so that nothing could be tested."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_left_out_by_name() -> None:
    from saccade.data.sources import folders as source

    source.extensions()  # imports what only the owner may import
    with tempfile.TemporaryDirectory() as place:
        root = folders(Path(place), "a", "b", "c")
        root.chmod(0o755)
        (root / "c").chmod(0o000)
        with rights_of_nobody():
            listing = source.read(root)
        assert ("c/", "folder that cannot be opened (Permission denied)") in [(e.file, e.reason) for e in listing.left_out]
        assert listing.classes == ("a", "b")
        root.chmod(0o000)
        with rights_of_nobody(), pytest.raises(InputError, match=r"this folder cannot be opened \(Permission denied\)"):
            source.read(root)
        root.chmod(0o755)
        (root / "c").chmod(0o755)


def test_class_folders_that_look_the_same_are_one_class_and_said(data: Path, tmp_path: Path) -> None:
    photo = next((data / "clothing-small" / "test" / "hat").iterdir())
    for name in ("caf\u00e9", "cafe\u0301", "tea"):
        (tmp_path / name).mkdir()
        shutil.copy(photo, tmp_path / name / "a.jpg")
    listing = open_source(tmp_path)
    assert listing.classes == ("caf\u00e9", "tea")
    assert [finding.kind for finding in listing.findings] == ["similar names"]


def idx_files(folder: Path, part: str, size: tuple[int, int]) -> None:
    """Four blank images of this size, and their labels."""
    head = b"".join(number.to_bytes(4, "big") for number in (0x803, 4, *size))
    (folder / f"{part}-images-idx3-ubyte").write_bytes(head + bytes(4 * size[0] * size[1]))
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(bytes.fromhex("0000080100000004") + bytes([0, 1, 0, 1]))


def test_idx_parts_of_several_sizes_or_of_none(tmp_path: Path) -> None:
    idx_files(tmp_path, "train", (28, 28))
    idx_files(tmp_path, "t10k", (32, 30))
    with pytest.raises(
        InputError, match=r"t10k-images-idx3-ubyte: images of 32x30 pixels, and those of train-images.* 28x28"
    ):
        open_source(tmp_path)
    idx_files(tmp_path, "train", (0, 0))
    with pytest.raises(InputError, match="train-images-idx3-ubyte: images of 0x0 pixels are announced"):
        open_source(tmp_path)


def test_names_of_classes_that_are_no_utf8_or_no_pickle(data: Path, tmp_path: Path) -> None:
    idx_files(tmp_path, "train", (28, 28))
    (tmp_path / "classes.txt").write_bytes("Café\nBar\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"classes\.txt: this is no UTF-8 text \(.*\); save it as UTF-8"):
        open_source(tmp_path)
    cifar = tmp_path / "cifar"
    cifar.mkdir()
    record = bytes([1]) + bytes(3072)
    (cifar / "data_batch_1.bin").write_bytes(record)
    (cifar / "batches.meta.txt").write_bytes("Café\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"batches\.meta\.txt: this is no UTF-8 text"):
        open_source(cifar)
    (cifar / "data_batch_1.bin").rename(cifar / "data_batch_1")
    batch = {b"labels": [1], b"data": np.zeros((1, 3072), np.uint8)}
    (cifar / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    for damaged in (b"", b"nothing", pickle.dumps([1], protocol=2)):
        (cifar / "batches.meta").write_bytes(damaged)
        with pytest.raises(InputError, match=r"batches\.meta: the names of the classes cannot be read \("):
            open_source(cifar)


X = np.zeros((3, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([(X[0], None), (X[1], None)], "the label of image 0 is None"),
        ([(X[0], "a"), (X[1], float("nan"))], "the label of image 1 is nan"),
        ((X, [0.0, 1.0, float("nan")]), "the label of image 2 is nan"),
        ((X, np.array([0, np.inf, 1], np.float32)), "the label of image 1 is inf"),
        ((X, np.array(["a", "b", np.nan], object)), "the label of image 2 is nan"),
        ((X, ["a", None, "b"]), "the label of image 1 is None"),
        ((X, np.array(["a", 1, "b"], object)), "labels are all numbers or all words"),
        ((X, [[0], [1, 2], [3]]), "these are of several shapes"),
    ],
)
def test_labels_that_are_missing_or_of_two_kinds(data: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_source(data)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are Unix's")
def test_a_pipe_among_the_images_is_left_out_by_name(tmp_path: Path) -> None:
    folders(tmp_path, "cat", "dog")
    os.mkfifo(tmp_path / "cat" / "x.png")
    listing = open_source(tmp_path)
    assert {left.file: left.reason for left in listing.left_out} == {
        "cat/x.png": "neither a file nor a folder (a pipe, a socket, a device)"
    }
    assert len(listing.ids) == 6


def test_a_path_that_is_too_long_is_one_row_left_out(tmp_path: Path) -> None:
    folders(tmp_path, "cat", "dog")
    rows = [f"{name}/{i}.png,{name}" for name in ("cat", "dog") for i in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", "a" * 300 + ".png,cat", *rows]))
    listing = open_source(tmp_path / "list.csv")
    assert len(listing.ids) == 6
    assert [left.reason for left in listing.left_out] == ["no file that can be opened (File name too long)"]


@pytest.mark.parametrize("data", ["digits", "FakeData", "photos", ([(X[0], 0), (X[1], 1)])])
def test_groups_are_refused_wherever_they_would_be_ignored(data: object, tmp_path: Path) -> None:
    data = folders(tmp_path / "photos", "cat", "dog") if data == "photos" else data
    with pytest.raises(InputError, match='groups are a column of a CSV, here "patient", and this is none'):
        open_source(data, "patient")


def test_images_of_classes_that_a_run_does_not_know(tmp_path: Path) -> None:
    folders(tmp_path, "train/cat", "train/dog", "test/ant", "test/cat", "test/dog", "test/emu")
    listing = known_to(open_source(tmp_path), ("cat", "cow", "dog"))
    assert listing.classes == ("cat", "dog")
    assert np.unique(listing.labels[listing.parts == "test"]).tolist() == [0, 1]
    assert [listing.classes[i] for i in listing.labels] == [name.split("/")[1] for name in listing.ids]
    assert {(left.file.split("/")[1], left.reason) for left in listing.left_out} == {
        ("ant", 'class "ant" is not one that the run knows'),
        ("emu", 'class "emu" is not one that the run knows'),
    }
    shutil.rmtree(tmp_path / "test" / "cat")
    shutil.rmtree(tmp_path / "test" / "dog")
    with pytest.raises(InputError, match="no image to score is of the 2 classes that the run knows"):
        known_to(open_source(tmp_path), ("cat", "dog"))


def test_spellings_of_a_class_that_differ_in_case_are_told_in_other_parts_too(tmp_path: Path, data: Path) -> None:
    for part, names in (("train", ("Hat", "pants")), ("test", ("hat", "pants"))):
        for name in names:
            target = tmp_path / "photos" / part / name
            target.mkdir(parents=True)
            for file in sorted((data / "clothing-small" / part / name.lower()).iterdir())[:2]:
                shutil.copy(file, target)
    listing = pinned(open_source(tmp_path / "photos"))
    said = [finding.text for finding in listing.findings]
    assert "Hat and hat differ only in case; are they one class?" in said
    with pytest.raises(InputError, match="HAT and hat differ only in case"):
        known_to(replace(listing, classes=("hat", "trousers")), ["HAT", "shoes"])


def test_every_line_of_a_csv_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    folders(tmp_path, "a", "b")
    good = ["a/0.png,a,train", "b/0.png,b,train"]
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["path,label,split", *good, "a/1.png,,train", "b/1.png,b,trian"]))
    with pytest.raises(InputError) as one:
        open_source(file)
    assert str(one.value).splitlines() == [
        f"{file}: 2 of 4 lines cannot be used:",
        "  line 4: a path and a label are needed, met ['a/1.png', '', 'train']",
        '  line 5: split is train, validation or test, not "trian"',
    ]
    file.write_text("\n".join(["path,label", *["a/1.png,"] * 13]))
    with pytest.raises(InputError) as many:
        open_source(file)
    assert str(many.value).splitlines()[-1] == "  and 3 more"
    assert len(str(many.value).splitlines()) == 12
    file.write_text("path,label\na/1.png,")
    with pytest.raises(InputError, match=r"list.csv, line 2: a path and a label are needed"):
        open_source(file)
