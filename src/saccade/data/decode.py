"""From the bytes of an image file to upright 8-bit pixels."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from saccade.data.listing import Picture, Unusable

MAX_PIXELS = 89_478_485  # a quarter of a gigabyte as RGB; Pillow warns from here on
WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode(data: bytes) -> Picture:
    """The first frame, upright by its EXIF orientation; raises Unusable with a reason for a person.

    Grey (modes 1, L, LA, I, F) becomes (H, W, 1), all else (H, W, 3). 16-bit grey is divided by 257 and
    rounded (32-bit integers are taken as 8 bits when none is above 255, else as 16); floats are taken as 0..1 when none
    is above 1, else cut to 0..255; transparency lies on white; CMYK and Lab become RGB without profiles.
    """
    if not data:
        raise Unusable("the file is empty")
    with reasons(), Image.open(io.BytesIO(data)) as image:
        return from_pil(image)


@contextmanager
def unwarned() -> Iterator[None]:
    """Pillow warns about odd files, which are used or left out by name. To be opened around threads, not in one: the
    filters of warnings are those of the whole process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def reasons() -> Iterator[None]:
    """Whatever Pillow raises on an image becomes Unusable."""
    try:
        yield
    except Unusable:
        raise
    except UnidentifiedImageError:
        raise Unusable("not an image, or damaged beyond its first bytes") from None
    except Image.DecompressionBombError:
        raise Unusable(f"claims more pixels than any photo has (limit {MAX_PIXELS:,})") from None
    except MemoryError:
        raise Unusable("too large for the memory") from None
    except Exception as error:  # Pillow's decoders fail in many ways: OSError, ValueError, SyntaxError, struct.error ...
        raise Unusable(f"damaged: {str(error).strip() or 'unreadable'}") from None


def from_pil(image: Image.Image) -> Picture:
    """The same for an image of Pillow's, which may still have to be read from its file."""
    with reasons():
        return upright_picture(image)


def upright_picture(image: Image.Image) -> Picture:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unusable(f"claims {width:,} x {height:,} pixels (limit {MAX_PIXELS:,})")
    if width * height == 0:
        raise Unusable(f"has no pixels ({width} x {height})")
    remarks = []
    if getattr(image, "n_frames", 1) > 1:
        remarks.append("first frame of several")
    image.load()
    try:
        upright = ImageOps.exif_transpose(image)
        if image.getexif().get(0x0112, 1) in range(2, 9):
            remarks.append("turned upright by EXIF")
    except Exception:  # EXIF is written by careless programs; the pixels are fine
        upright = image
        remarks.append("unreadable EXIF ignored")
    pixels, remark = to_eight_bit(upright)
    return Picture(pixels, (*remarks, remark) if remark else tuple(remarks))


def to_eight_bit(image: Image.Image) -> tuple[np.ndarray, str]:
    """uint8 (H, W, 1) or (H, W, 3), and what was converted, if worth a remark."""
    mode, remark = image.mode, ""
    if mode in WIDE:
        values = np.asarray(image).astype(np.int64)
        if mode == "I" and values.size and values.max() <= 255:
            return np.clip(values, 0, 255).astype(np.uint8)[:, :, None], ""
        return np.clip((values + 128) // 257, 0, 255).astype(np.uint8)[:, :, None], "16 bits reduced to 8"
    if mode == "F":
        values = np.nan_to_num(np.asarray(image))
        scale = 255 if values.max() <= 1 else 1
        return np.clip(np.round(values * scale), 0, 255).astype(np.uint8)[:, :, None], "floats reduced to 8 bits"
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        grey = mode in ("LA", "La", "L", "1")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image, remark = Image.alpha_composite(white, image).convert("L" if grey else "RGB"), "transparency laid on white"
    elif mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        image, remark = converted, "Lab converted to RGB"
    elif mode == "CMYK":
        image, remark = image.convert("RGB"), "CMYK converted to RGB"
    elif mode in ("1", "L"):
        image = image.convert("L")
    elif mode != "RGB":
        image = image.convert("RGB")
    pixels = np.asarray(image)
    return (pixels[:, :, None] if pixels.ndim == 2 else pixels), remark
