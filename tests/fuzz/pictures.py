"""Photos: the decode pool, and what takes metadata off."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from fuzz.target import Target, damaged
from hopchain_etl.imaging.decode_pool import DecodePool
from hopchain_etl.imaging.metadata import strip_jpeg, strip_png, strip_webp
from hopchain_etl.imaging.normalise import ImageRejectedError, Limits, RejectReason

LIMITS = Limits(min_side=8, max_pixels=1_000_000, max_bytes=10_000_000)
NOT_THE_FILES_FAULT = (RejectReason.DECODER_CRASHED, RejectReason.DECODER_TIMEOUT)


@cache
def files() -> list[bytes]:
    """Return a photo of each kind."""
    from support.photo_files import every_kind

    return list(every_kind().values())


def of_kinds_with_metadata() -> list[bytes]:
    """Return the photos that metadata is taken from without decoding them."""
    return [data for data in files() if data[:2] in (b"\xff\xd8", b"\x89P", b"RI")]


@cache
def pool() -> DecodePool:
    """Return a pool of one worker, which lives as long as this process."""
    return DecodePool(1, LIMITS, timeout=20.0, memory=2 << 30)


def decoded_or_rejected(data: bytes) -> None:
    """A photo is rejected with a reason and a text, or gives upright RGB pixels that a second pass leaves alone."""
    try:
        picture = pool().submit(data).result()
    except ImageRejectedError as error:
        assert error.detail and error.reason not in NOT_THE_FILES_FAULT, str(error)  # noqa: PT017, PT018 - of any other
        return
    with Image.open(io.BytesIO(picture.blob)) as opened:
        assert (opened.mode, opened.size) == ("RGB", (picture.width, picture.height))
        assert not opened.getexif()
    again = pool().submit(picture.blob).result()
    assert (again.blob == picture.blob, again.phash) == (True, picture.phash)


def stripped(data: bytes) -> None:
    """Metadata goes without an error; what is left stays as it is in a second pass, and so do its pixels."""
    from support.photo_files import pixels

    for strip in (strip_jpeg, strip_png, strip_webp):
        once = strip(data)
        if once is None:
            continue
        assert strip(once) == once
        try:
            before = pixels(data)
        except Exception:  # noqa: BLE001 - what Pillow cannot read has no pixels
            continue
        if strip is {b"\xff\xd8": strip_jpeg, b"\x89P": strip_png, b"RI": strip_webp}.get(data[:2]):
            assert np.array_equal(pixels(once), before)


TARGETS = (
    Target("imaging", st.deferred(lambda: damaged(files())), decoded_or_rejected),
    Target("strip", st.deferred(lambda: damaged(of_kinds_with_metadata())), stripped),
)
