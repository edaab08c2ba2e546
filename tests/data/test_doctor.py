"""What the doctor finds: duplicates within and across parts, contradictions, tiny classes, conversions."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade import commands
from saccade.data.doctor import (
    EXACT,
    across_parts,
    conversions,
    diagnose,
    digests_of,
    duplicates,
    exact_pairs,
    groups_across_parts,
    one_group,
    small_classes,
)
from saccade.data.listing import Finding, LeftOut, in_words
from saccade.data.near_duplicates import clusters_of, near_pairs, thumbnail
from saccade.data.sources import open_source
from saccade.data.store import build
from saccade.events import finish


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_duplicate_across_given_parts_is_said_aloud(data: Path, tmp_path: Path, own_cache: Path) -> None:
    for part in ("train", "test"):
        for klass in ("hat", "dress"):
            for file in sorted((data / "clothing-small" / part / klass).iterdir())[:5]:
                target = tmp_path / "p" / part / klass / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
    image = Image.open(next((tmp_path / "p" / "train" / "hat").iterdir())).convert("RGB")
    image.save(tmp_path / "p" / "test" / "hat" / "again.jpg", quality=80)
    store = finish(build(open_source(tmp_path / "p"), 64, None))
    found = [finding for finding in store.findings if finding.kind == "near duplicates across parts"]
    assert len(found) == 1
    assert "again.jpg" in found[0].text


def found_in(parts: list[str]) -> dict[str, Finding]:
    """By text, the findings about equal images in these parts, in this order."""
    pixels = np.zeros((len(parts), 4, 4, 1), np.uint8)
    where = np.array(parts)
    names = [f"{part}{i}" for i, part in enumerate(parts)]
    return {
        each.text: each for each in duplicates(EXACT, across_parts(exact_pairs(digests_of(pixels)), where), names, where)
    }


def test_a_copy_in_train_and_test_is_seen_behind_one_in_validation() -> None:
    text = "1 image of test is also in train, such as train1 = test2; not scored in test"
    assert found_in(["validation", "train", "test"])[text].kind == "exact duplicates across parts"


def test_an_image_is_counted_once_however_many_copies_it_has() -> None:
    texts = " | ".join(found_in(["test", "train", "train", "train", "test"]))
    assert "2 images of test are also in train" in texts
    assert "2 in train" in texts
    assert "1 in test" in texts


def test_images_without_a_part_are_named_so() -> None:
    assert "1 image without a part is also in test" in next(iter(found_in(["", "test"])))
    assert next(iter(found_in(["", ""]))).startswith("1 in the data")


def test_near_pairs_are_those_of_a_plain_loop() -> None:
    """More rows than one block, so that pairs within and across blocks are met."""
    generator = np.random.default_rng(0)
    thumbs = generator.uniform(0, 255, (1100, 256)).astype(np.float32)
    for copy, original in ((7, 3), (600, 3), (1099, 700)):
        thumbs[copy] = thumbs[original] + generator.normal(0, 1, 256)
    thumbs[[9, 10]] = 100.0  # flat
    expected = [
        [a, b]
        for a in range(len(thumbs))
        for b in (a + 1 + np.flatnonzero(np.square(thumbs[a + 1 :] - thumbs[a]).mean(1) <= 9)).tolist()
        if thumbs[a].std() >= 8 and thumbs[b].std() >= 8
    ]
    assert expected == [[3, 7], [3, 600], [7, 600], [700, 1099]]
    parts = np.array(["train", "test"])[np.arange(len(thumbs)) % 2]
    found = near_pairs(thumbs, parts).tolist()
    assert all(pair in expected for pair in found)
    assert np.array_equal(clusters_of(len(thumbs), np.array(found)), clusters_of(len(thumbs), np.array(expected)))


def test_frames_of_a_film_need_no_memory_for_every_pair() -> None:
    """2,000 images that are all alike are two million pairs; what is kept connects them, and train with test."""
    thumbs = np.random.default_rng(0).uniform(0, 255, (1, 256)) + np.zeros((2000, 1))
    parts = np.array(["train", "test"])[np.arange(2000) % 2]
    pairs = near_pairs(thumbs.astype(np.float32), parts)
    assert len(pairs) <= 5 * 2000
    assert len(set(clusters_of(2000, pairs).tolist())) == 1
    crossing = {int(i) for pair in pairs if parts[pair[0]] != parts[pair[1]] for i in pair}
    assert crossing == set(range(2000))


@pytest.mark.parametrize(("side", "channels"), [(64, 3), (37, 3), (16, 1), (9, 1)])
def test_thumbnails_are_means_of_cells(side: int, channels: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, channels), np.uint8)
    edges = np.linspace(0, side, min(16, side) + 1).astype(int)
    spans = list(pairwise(edges))
    expected = [pixels[a:b, c:d].mean() for a, b in spans for c, d in spans]
    np.testing.assert_allclose(thumbnail(pixels), expected, rtol=1e-5)


def test_clusters_are_connected_components() -> None:
    found = clusters_of(5, np.array([[0, 2], [2, 4]]))
    assert found[0] == found[2] == found[4]
    assert len(set(found.tolist())) == 3


def test_tiny_classes_and_conversions() -> None:
    assert [each.kind for each in small_classes(np.array([0, 0, 1]), ("a", "b"))] == ["tiny classes"]
    assert not list(small_classes(np.array([0, 0, 1, 1]), ("a", "b")))
    texts = [each.text for each in conversions({"turned": ["a", "b"], "cut": ["c"]})]
    assert texts == ["2 images: turned", "1 image: cut"]


def test_the_diagnosis_accounts_for_every_image_and_decodes_for_training(
    data: Path, tmp_path: Path, own_cache: Path
) -> None:
    root = tmp_path / "p"
    for klass in ("hat", "dress"):
        shutil.copytree(data / "clothing-small" / "test" / klass, root / "train" / klass)
        shutil.copytree(data / "clothing-small" / "validation" / klass, root / "test" / klass)
    (root / "train" / "hat" / "broken.jpg").write_bytes(b"no image")
    found = finish(diagnose(open_source(root), 40))
    files = [path for path in root.rglob("*") if path.is_file()]
    assert found["used"] + len(found["left_out"]) == len(files)
    assert [each["file"] for each in found["left_out"]] == ["train/hat/broken.jpg"]
    assert set(found["classes"]) == {"hat", "dress"}
    assert sum(n for counts in found["classes"].values() for n in counts.values()) == found["used"]
    assert set(found["classes"]["hat"]) == {"train", "test"}
    assert finish(build(open_source(root), 40, None)).warm


def test_groups_that_the_data_tears_apart_are_said() -> None:
    groups = np.array(["anna", "anna", "ben", "ben", "", ""])
    parts = np.array(["train", "test", "train", "train", "train", "test"])
    found = list(groups_across_parts(groups, parts))
    assert [each.text for each in found] == [
        "1 group is in more than one part, such as anna in train and test; scores are optimistic"
    ]


def test_a_class_whose_images_are_all_broken_is_said() -> None:
    assert [each.text for each in small_classes(np.array([0, 0]), ("a", "b"))] == [
        "no usable image: b; nothing can be learned of it"
    ]


def test_a_series_of_one_scene_is_said_and_can_still_be_divided(tmp_path: Path) -> None:
    """A fixed camera: every image is a near duplicate of every other, and none a copy."""
    generator = np.random.default_rng(0)
    scene = generator.integers(0, 255, (8, 8), np.uint8).repeat(16, 0).repeat(16, 1)
    for i in range(40):
        folder = tmp_path / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        noisy = np.clip(scene + generator.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i}.png")
    store = finish(build(open_source(tmp_path), 128, None))
    assert [finding.kind for finding in store.findings] == ["series"]
    assert len(np.unique(store.clusters)) == 40


def test_images_that_are_all_of_one_group_are_said() -> None:
    one = np.array(["film"] * 4)
    [finding] = one_group(one, np.array([""] * 4))
    assert finding.text == "every image is of group film: nothing can be held back to measure a network by"
    assert not list(one_group(one, np.array(["train", "train", "test", "test"])))
    assert not list(one_group(np.array([""] * 4), np.array([""] * 4)))
    assert not list(one_group(np.array(["film", "film", "film", "other"]), np.array([""] * 4)))


def test_odd_files_are_findings_and_no_warnings(
    data: Path, own_cache: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """Pillow warns of some of them, where their headers are read and where they are decoded."""
    found = finish(commands.doctor(data / "odd-images"))
    assert [str(each.message) for each in recwarn] == []
    assert capfd.readouterr().err == ""
    several = next(each for each in found["findings"] if each["text"].endswith("first frame of several"))
    assert "pillow/frozenpond.mpo" in several["files"]
    exact = next(each for each in found["findings"] if each["kind"] == EXACT)
    assert exact["text"].endswith("(compared at 256 px)")


def test_what_is_left_out_is_named_by_an_image_before_a_file_that_is_none() -> None:
    left = [LeftOut("LICENSE", "not in a class folder"), LeftOut("hat/1.jpg", "the file is empty")]
    assert (
        in_words(left) == "left out: 2: 1 such as hat/1.jpg (the file is empty); 1 such as LICENSE (not in a class folder)"
    )
    many = [*left, *(LeftOut(f"cat/{i}.jpg", "unknown") for i in range(3)), LeftOut("x", "odd"), LeftOut("y", "odder")]
    assert in_words(many).startswith(
        "left out: 7: 3 such as cat/2.jpg (unknown); 1 such as y (odder); 1 such as x (odd); and"
    )
    assert in_words(many[2:5]) == "left out: 3, such as cat/2.jpg (unknown)"


def classes_of(labels: list[str]) -> dict[str, str]:
    """The findings about these classes, by kind."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(labels), 8, 8), np.uint8)
    store = finish(build(open_source((images, np.array(labels))), 8, None))
    return {each.kind: each.text for each in store.findings}


def test_a_class_that_is_called_like_a_missing_label_is_asked_about(own_cache: Path) -> None:
    text = classes_of(["cat", "dog", "NaN", "NaN"])["missing labels"]
    assert text == '2 images of a class called "NaN": is that a class, or are their labels missing?'
    assert '1 image of a class called ""' in classes_of(["cat", "dog", ""])["missing labels"]
    assert "missing labels" not in classes_of(["cat", "dog", "banana"])


def test_classes_of_very_different_sizes_are_found_with_the_field_that_helps(own_cache: Path) -> None:
    text = classes_of(["cat"] * 100 + ["dog"] * 2)["unequal classes"]
    assert text.startswith("cat has 100 images to train on, dog 2; ")
    assert "train --balance.by weights" in text
    assert not classes_of(["cat"] * 18 + ["dog"] * 2)
