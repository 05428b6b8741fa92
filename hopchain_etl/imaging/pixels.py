"""Converts the pixels of a decoded image: upright, opaque, 8 bits per channel, sRGB."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

from hopchain_etl.imaging.colour import profile_of, srgb_transform

TURNS = {  # EXIF 2.32, tag 0x0112
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb8(opened: Image.Image) -> Image.Image:
    """Return the decoded image upright in 8-bit sRGB on white: ``opened`` itself if it is already in that form."""
    turn, profile = TURNS.get(orientation(opened)), profile_of(opened.info)
    image, alpha = _split_alpha(_eight_bit(opened))
    if image.mode == "L" and "icc_profile" not in opened.info and profile:
        image = image.convert("RGB")  # a gamma holds for grey too, and its profile is one of RGB
    image = _to_srgb(image, profile)
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image = white
    return image if turn is None else image.transpose(turn)


def orientation(opened: Image.Image) -> Any:
    """Return the EXIF orientation, 1 if EXIF is absent or unreadable, or the decoder turns the picture itself.

    It does for TIFF; for HEIF and JPEG XL, whose own boxes hold the turn and make that of EXIF void; but not for a JPEG
    inside JPEG XL. For AVIF, Pillow puts the turn of its boxes into EXIF.
    """
    if opened.format == "HEIF" or (opened.format == "JXL" and not getattr(opened, "jpeg", False)):
        return 1
    try:
        return opened.getexif().get(0x0112, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, OSError, struct.error):
        return 1  # damaged EXIF is no reason to reject a photo


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return 16-bit, 32-bit and float greyscale as L (LA with a transparent colour), other images as they are."""
    deep = image.mode.startswith("I;16")
    if not deep and image.mode not in ("I", "F"):
        return image
    tags, values = getattr(image, "tag_v2", {}), np.asarray(image)
    if deep:
        bits = tags.get(258, (16,))[0]  # 12-bit TIFF uses the lower 12 of 16
        grey = Image.fromarray((values >> (bits - 8)).astype(np.uint8))
    else:
        unsigned = image.mode == "I" and tags.get(339, (2,))[0] == 1  # Pillow supports only signed 32-bit pixels
        grey = Image.fromarray(_scaled(values.view(np.uint32) if unsigned else values))
    if tags.get(262) == 0:  # white is zero: Pillow inverts 8-bit TIFF only
        grey = ImageOps.invert(grey)
    if isinstance(key := image.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey


def _scaled(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return 32-bit greyscale as uint8.

    The files do not define the white level. It is taken as the first of the usual maximum values (1 for floats, 8, 16,
    32 bits) that is not below the brightest pixel. Negative values shift the scale so that the darkest pixel is black.
    """
    usual = [255.0, 65535.0, float(2**32 - 1)]
    if values.dtype.kind == "f":
        usual = [1.0, *usual]
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, top = min(float(values.min()), 0.0), float(values.max())
    white = top if low < 0 else next((scale for scale in usual if top <= scale), top)
    shares = (values.astype(np.float64) - low) / max(white - low, 1e-300)
    return np.rint(shares * 255).astype(np.uint8)


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the opaque image and its alpha channel, None without transparency."""
    if not image.has_transparency_data:
        return image, None
    rgba = image.convert("RGBA")
    grey = image.mode in ("1", "L", "LA")  # a grey profile applies to one channel
    return (rgba.getchannel("R") if grey else rgba.convert("RGB")), rgba.getchannel("A")


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an opaque 8-bit image in sRGB; a profile that is broken or made for other pixels is ignored."""
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile and (transform := srgb_transform(profile, image.mode)):
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # it is None only for in-place conversion
        return converted
    return image if image.mode == "RGB" else image.convert("RGB")
