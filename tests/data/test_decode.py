"""Decoding, on the files that Pillow and libjpeg-turbo keep because they once broke something."""

import csv
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.decode import MAX_PIXELS, decode, from_pil
from saccade.data.listing import Picture, Unusable

# Pillow says ok of these two only at the second attempt; at the first it stops within the pixels or right after them
DAMAGED = {"pillow/broken_data_stream.png", "pillow/truncated_end_chunk.png"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """As the store does it: Pillow warns about odd files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(data: Path, name: str) -> Picture:
    return decode((data / "odd-images" / name).read_bytes())


def of(image: Image.Image, kind: str = "PNG", **more: object) -> Picture:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return decode(stream.getvalue())


def test_every_odd_file_is_a_picture_or_has_a_reason(data: Path) -> None:
    with (data / "odd-images" / "MANIFEST.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) > 130
    for row in rows:
        name = row["file"]
        try:
            picture = read(data, name)
        except Unusable as reason:
            words = str(reason)
            assert words, name
            assert "Error" not in words, name
            assert "\n" not in words, name
            assert row["pillow13_load"] != "ok" or name in DAMAGED, (name, words)
            continue
        assert row["pillow13_load"] == "ok", name
        assert picture.pixels.dtype == np.uint8, name
        sizes = sorted(int(side) for side in row["size"].split("x"))
        assert sorted(picture.pixels.shape[:2]) == sizes, name
        assert picture.pixels.shape[2] == (1 if row["mode"] in ("1", "L", "LA", "I", "I;16", "I;16B", "F") else 3), name


@pytest.mark.parametrize("orientation", range(2, 9))
def test_each_exif_orientation_is_turned_upright(data: Path, orientation: int) -> None:
    upright = read(data, "pillow/hopper.jpg").pixels.astype(int)
    turned = read(data, f"pillow/hopper_orientation_{orientation}.jpg")
    assert "turned upright by EXIF" in turned.remarks
    # compressed once more, the same picture is 4.7 away; the picture turned wrongly is 59 or more away
    assert np.abs(turned.pixels.astype(int) - upright).mean() < 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_of_other_formats(kind: str) -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"lossless": True} if kind == "WEBP" else {}
    turned = of(Image.fromarray(pixels), kind, exif=exif, **more).pixels
    assert turned.shape == (8, 4, 3)
    assert turned[:4].min() == 255
    assert turned[4:].max() == 0


def test_sixteen_bits_keep_black_and_white() -> None:
    picture = of(Image.fromarray(np.array([[0, 257, 32_896, 65_535]], np.uint16)))
    assert picture.pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    assert picture.remarks == ("16 bits reduced to 8",)


def test_floats_from_0_to_1_and_beyond() -> None:
    assert from_pil(Image.fromarray(np.array([[0, 0.5, 1]], np.float32))).pixels[0, :, 0].tolist() == [0, 128, 255]
    beyond = np.array([[-9, 0, 200.4, 300, np.nan, np.inf]], np.float32)
    assert from_pil(Image.fromarray(beyond)).pixels[0, :, 0].tolist() == [0, 0, 200, 255, 0, 255]


def test_transparency_lies_on_white() -> None:
    image = Image.new("RGBA", (3, 2), (10, 20, 30, 0))
    assert of(image).pixels.min() == 255
    grey = of(Image.new("LA", (3, 2), (0, 128)))
    assert grey.pixels.shape == (2, 3, 1)
    assert abs(int(grey.pixels[0, 0, 0]) - 127) <= 1
    palette = Image.new("P", (3, 2), 0)
    palette.putpalette([200, 0, 0])
    assert of(palette, transparency=0).pixels.tolist() == [[[255] * 3] * 3] * 2
    assert of(palette).pixels[0, 0].tolist() == [200, 0, 0]


def test_cmyk_and_lab_are_colours(data: Path) -> None:
    cmyk = of(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF")
    assert cmyk.pixels[0, 0].tolist() == [255, 0, 0]
    assert cmyk.remarks == ("CMYK converted to RGB",)
    lab, rgb = read(data, "pillow/hopper.Lab.tif"), read(data, "pillow/hopper.tif")
    assert np.abs(lab.pixels.astype(int) - rgb.pixels).mean() < 12


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    picture = of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]
    assert "first frame of several" in picture.remarks


def test_a_bomb_is_refused_by_its_header() -> None:
    width = MAX_PIXELS // 1000 + 1
    header = b"P5 %d 1000 255\n" % width
    with pytest.raises(Unusable, match="pixels"):
        decode(header)


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_has_a_reason(content: bytes) -> None:
    with pytest.raises(Unusable, match=r"empty|not an image|damaged"):
        decode(content)


def test_every_cut_of_a_jpeg_has_a_reason_or_pixels() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(stream, "JPEG")
    whole = stream.getvalue()
    for length in range(0, len(whole) - 2, 37):
        with pytest.raises(Unusable):
            decode(whole[:length])


def test_an_image_of_pillow_that_is_read_late_and_damaged_has_a_reason(data: Path) -> None:
    damaged = data / "odd-images" / "pillow" / "truncated_jpeg.jpg"
    with Image.open(damaged) as image, pytest.raises(Unusable, match="truncated"):
        from_pil(image)
