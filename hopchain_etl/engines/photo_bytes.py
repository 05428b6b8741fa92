"""Decoding of a photo in an engine: whatever is wrong with its bytes is one error, which no other try will mend."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hopchain_etl.engines.base import UnreadablePhotoError

if TYPE_CHECKING:
    from PIL import Image


@contextmanager
def opened(data: bytes) -> Iterator[Image.Image]:
    """Yield the image in ``data``; raise UnreadablePhotoError if it cannot be opened, or not decoded inside."""
    from PIL import Image  # not needed to say which engine it is

    with readable(), Image.open(io.BytesIO(data)) as image:
        yield image


@contextmanager
def readable() -> Iterator[None]:
    """Convert the many errors of decoding to UnreadablePhotoError. Load the bytes outside: the network may recover."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    except (OSError, SyntaxError, EOFError, struct.error, zlib.error, DecompressionBombError) as error:
        raise UnreadablePhotoError(f"{type(error).__name__}: {error}") from error
