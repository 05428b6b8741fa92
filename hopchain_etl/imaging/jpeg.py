"""Decodes JPEG and sees when part of the picture is missing.

Pillow hides the warnings of libjpeg: a file that was cut and got an end marker, or whose middle is zeros, becomes a
picture that is flat or shifted from there on. simplejpeg, which wraps the same library, gives the warnings as errors
and the same pixels. It only ever adds a rejection: whatever else it refuses is left to Pillow.
"""

from __future__ import annotations

import re

import simplejpeg
from PIL import Image

_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_DAMAGE = re.compile("[Pp]remature end|bad Huffman code|instead of RST")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes")
_TOLERATED = 0.01  # of the file: some cameras leave a few bytes over before a marker


def decode_jpeg(data: bytes, opened: Image.Image) -> Image.Image:
    """Return the picture that Pillow has opened from ``data``, decoded at its size (of ``draft``, if that was called).

    Raises ValueError if data of the picture is missing, and what Pillow raises if that cannot decode it.
    """
    space = _SPACES.get(opened.mode)
    width, height = (1, 1) if space == "CMYK" else opened.size
    try:
        found = simplejpeg.decode_jpeg(data, space, min_width=width, min_height=height) if space else None
    except ValueError as error:
        if _is_damage(str(error), len(data)):
            raise
        found = None
    if found is None or found.shape[1::-1] != opened.size:  # CMYK too: Pillow knows whether its inks are inverted
        opened.load()
        return opened
    image = Image.fromarray(found[..., 0] if space == "GRAY" else found)
    image.info = opened.info
    return image


def _is_damage(warning: str, size: int) -> bool:
    """Return whether data is missing. Bytes left over tell of it too: zeros decode to more blocks than data does."""
    left_over = _EXTRANEOUS.search(warning)
    return int(left_over[1]) > _TOLERATED * size if left_over else bool(_DAMAGE.search(warning))
