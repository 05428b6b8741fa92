"""Decodes JPEG and sees when part of the picture is missing.

Pillow hides the warnings of libjpeg: a file that was cut and got an end marker, or whose middle is zeros, becomes a
picture that is flat or shifted from there on. simplejpeg, which wraps the same library, gives the first warning as an
error, and the same pixels. It only ever adds a rejection: whatever else it refuses is left to Pillow.
"""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

from hopchain_etl.imaging.metadata import strip_jpeg

_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_DAMAGE = re.compile("[Pp]remature end|bad Huffman code|instead of RST|extraneous bytes")
_AT_END = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_TOLERATED = 0.01  # of the picture's bytes: some cameras leave a few over before the end marker
_GAP = bytes(64)  # zeros that data has for flat areas only; with bytes left over too, something is overwritten
_NEEDED = 4  # zeros that padding is cut down to: the last codes may end in zeros too
_ROUNDS = 4  # of taking bytes out; the decoder reads ahead, so it counts a few less than there are
_PADDING = b"\0\xff"
_MARKER, _SCAN, _END = re.compile(rb"\xff+([^\x00\xff])"), b"\xda", b"\xff\xd9"


def decode_jpeg(data: bytes, opened: Image.Image) -> Image.Image:
    """Return the picture that Pillow has opened from ``data``, decoded at its size (of ``draft``, if that was called).

    Raises ValueError if data of the picture is missing, and what Pillow raises if that cannot decode it.
    """
    space = _SPACES.get(opened.mode)
    width, height = (1, 1) if space == "CMYK" else opened.size
    try:
        found = _decode(data, space, width, height) if space else None
    except ValueError as error:
        if space and _is_damage(data, space, str(error)):
            raise
        found = None
    if found is None or found.shape[1::-1] != opened.size:  # CMYK too: Pillow knows whether its inks are inverted
        opened.load()
        return opened
    image = Image.fromarray(found[..., 0] if space == "GRAY" else found)
    image.info = opened.info
    return image


def _decode(data: bytes, space: str, width: int, height: int) -> Any:
    """Return the pixels at the smallest size that is not below this one; raise ValueError at the first warning."""
    import simplejpeg  # of the extra ``pipeline``, and the core imports this module

    return simplejpeg.decode_jpeg(data, space, min_width=width, min_height=height)


def _is_damage(data: bytes, space: str, warning: str) -> bool:
    """Return whether data is missing, after the decoder's first warning.

    Bytes left over tell of it too: zeros decode to more blocks than data does. A few before the end are taken out, to
    see what the decoder says of the rest; but none of them if there is a gap of zeros.
    """
    picture = strip_jpeg(_without_gaps(data))
    if picture is None:
        return bool(_DAMAGE.search(warning))
    scans = picture.partition(b"\xff" + _SCAN)[2].removesuffix(_END).rstrip(_PADDING)
    tolerated = _NEEDED if _GAP in scans else _TOLERATED * len(picture)
    for _ in range(_ROUNDS):
        warning = _warning(picture, space)
        left_over = _AT_END.search(warning)
        if not left_over:
            return bool(_DAMAGE.search(warning))
        if int(left_over[1]) > tolerated and not _is_padded(picture, space):
            return True
        picture = picture[: -int(left_over[1]) - len(_END)] + _END
    return True


def _is_padded(picture: bytes, space: str) -> bool:
    """Return whether what is left over before the end is padding, of which no pixel was made."""
    data = picture.removesuffix(_END).rstrip(_PADDING)
    warning = _warning(data + bytes(_NEEDED) + _END, space)
    left_over = _AT_END.search(warning)
    return int(left_over[1]) <= _NEEDED if left_over else not _DAMAGE.search(warning)


def _without_gaps(data: bytes) -> bytes:
    """Return the file without the bytes between its segments, which decoders skip."""
    parts, at = [data[:2]], 2
    while marker := _MARKER.search(data, at):
        at = marker.start()
        if marker[1] == _SCAN:
            break
        end = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at:]])


def _warning(data: bytes, space: str) -> str:
    """Return the first warning or error of the decoder, empty if there is none."""
    try:
        _decode(data, space, 1, 1)
    except ValueError as error:
        return str(error)
    return ""
