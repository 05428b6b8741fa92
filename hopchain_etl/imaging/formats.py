"""Opens a file in one of the formats that are read, and refuses what its header alone is enough to refuse.

HEIF and JPEG XL are read by plugins of Pillow (extra ``formats``), which are imported when the first such file comes.
"""

from __future__ import annotations

import importlib
import io
import re
from typing import Any

from PIL import AvifImagePlugin, Image, ImageMode

from hopchain_etl.imaging.jxl_header import jxl_header
from hopchain_etl.imaging.png import check_png
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from hopchain_etl.imaging.tiff import check_tiff

_CORE = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")
FORMATS = (*_CORE, "HEIF", "JXL")
_HEIF = re.compile(rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
_GENERAL = re.compile(rb".{4}ftyp(heif|miaf|MiHE|1pic)", re.DOTALL)  # brands by which the plugins do not know a file
_CODECS = (b"heic", b"heix", b"hevc", b"hevx", b"avif")
_MOST_BRANDS = 256  # bytes of the first box that are looked at
_JXL = re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL ")

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the pool of decoders is parallel itself; so with the plugins below


def open_image(data: bytes, limits: Limits) -> Image.Image:
    """Return the opened picture, of which no pixel is decoded yet (JPEG XL: all are, after a look at its header).

    Raises ImageRejectedError, and what Pillow raises for damaged files.
    """
    formats: tuple[str, ...] = _CORE
    data = _with_known_brand(data)
    if _HEIF.match(data):  # "mif1" may be AVIF as well
        formats = (*_CORE, "HEIF")
        _load_heif()
    elif _JXL.match(data):
        formats = ("JXL",)
        _load_jxl()
        header = jxl_header(data)
        limits.check_size(header.width, header.height)
        _check_single("JXL", header.is_animation)
    opened = Image.open(io.BytesIO(data), formats=formats)
    limits.check_size(*opened.size)
    kind = str(opened.format)
    if kind == "TIFF":
        check_tiff(data, opened)
    elif kind == "PNG":
        check_png(data)
    elif kind == "JXL":
        _correct_depth(opened)
    # MPO is a phone's JPEG followed by a preview; HEIF names one of its pictures the primary one. Both open the photo.
    _check_single(kind, kind not in ("MPO", "HEIF") and getattr(opened, "is_animated", False))
    return opened


def source_format(opened: Image.Image) -> str:
    """Return which of FORMATS the opened file is in."""
    return "JPEG" if opened.format == "MPO" else str(opened.format)


def _with_known_brand(data: bytes) -> bytes:
    """Return a file of boxes that begins with a general brand with the codec's brand there, if it names one."""
    if not _GENERAL.match(data):
        return data
    names = data[16 : min(int.from_bytes(data[:4], "big"), _MOST_BRANDS)]
    brands = [names[at : at + 4] for at in range(0, len(names), 4)]
    codec = next((brand for brand in brands if brand in _CODECS), data[8:12])
    return data[:8] + codec + data[12:]


def _check_single(kind: str, is_several: bool) -> None:
    if is_several:
        reason = RejectReason.MULTI_PAGE if kind == "TIFF" else RejectReason.ANIMATED
        raise ImageRejectedError(reason, f"{kind} with more than one image")


def _correct_depth(opened: Any) -> None:
    """Bring 16-bit grey with transparency to 8 bits, as the plugin's mode says; refuse pixels of any other size."""
    mode = ImageMode.getmode(opened.mode)
    expected = opened.width * opened.height * len(mode.bands) * int(mode.typestr[-1])
    pixels = opened._data
    if opened.mode == "LA" and len(pixels) == 2 * expected:
        opened._data = pixels[1::2]  # the higher byte of each value
    elif len(pixels) != expected:
        raise ImageRejectedError(RejectReason.UNSUPPORTED_FORMAT, "JPEG XL in float grey with transparency")


def _load_heif() -> None:
    plugin = _plugin("pillow_heif", "HEIF (HEIC)")
    plugin.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def _load_jxl() -> None:
    _plugin("pillow_jxl", "JPEG XL").JpegXLImagePlugin.DECODE_THREADS = 0


def _plugin(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"{name} needs an extra: pip install 'hopchain-etl[formats]'"
        raise ImageRejectedError(RejectReason.UNSUPPORTED_FORMAT, message) from error
