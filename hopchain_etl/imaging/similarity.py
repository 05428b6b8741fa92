"""Finds copies of a photo (resized, recompressed, slightly cropped, mirrored): candidates by descriptors, then content.

A descriptor is a 32 px grey thumbnail's low frequencies (as in a perceptual hash, before it is reduced to bits),
weighted by frequency so that two photos are not similar only because both have sky above and ground below. Each photo
is described whole and in windows of 85 to 97 % of its sides, and mirrored; for two photos, each whole photo is compared
with the windows of the other. Pages of one layout look alike too, whatever their words: ``imaging.same_content`` then
compares what the candidates show. Larger crops, rotations and overlays are not detected.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hopchain_etl.imaging.same_content import LONGEST, SAME_CONTENT, shared_content

LOOK_ALIKE = 0.65  # cosine from which the content of two photos is compared; see benchmarks/decontaminate.py
ALIKE_ALONE = 0.80  # cosine from which photos without content to compare, such as of the sky, are copies
MOST_COMPARED = 32  # look-alikes of one photo, the most alike, whose content is compared
_SIDE, _KEPT = 32, 12  # px of a thumbnail; lowest frequencies kept in each direction
_THUMBNAIL = 192  # px of the picture that windows are cut from
_SHARES = (0.97, 0.94, 0.91, 0.88, 0.85)  # of the sides, for each window
_PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)  # position of a window within the remaining space
_BLOCK = 2_000_000  # maximum number of cosines in memory at once

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Descriptor:
    """A photo's unit vectors: ``whole`` has one row, ``windows`` one per window, including whole and mirrored ones.

    ``preview`` is the photo in grey, encoded.
    """

    whole: Vectors
    windows: Vectors
    preview: bytes


def compute_descriptor(data: bytes) -> Descriptor:
    """Return the descriptor of an encoded image, of about 250 KB; OSError or ValueError if it is not an image."""
    with Image.open(io.BytesIO(data)) as opened:
        opened.draft("L", (LONGEST, LONGEST))
        grey = ImageOps.exif_transpose(opened).convert("L")
    grey.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR, reducing_gap=2.0)
    preview = io.BytesIO()
    grey.save(preview, "JPEG", quality=92)
    small = grey.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX, reducing_gap=2.0)
    cut = [_thumbnail(small, window) for window in ((0.0, 0.0, 1.0, 1.0), *_windows())]
    pictures = np.stack(cut + [one[:, ::-1] for one in cut])
    vectors = _vectors(pictures)
    return Descriptor(vectors[:1], vectors, preview.getvalue())


def similarity(one: Descriptor, others: Sequence[Descriptor]) -> Vectors:
    """Return the largest cosine of a photo with each of ``others``: either one whole, the other in windows."""
    if not others:
        return np.zeros(0, np.float32)
    wholes = np.concatenate([other.whole for other in others])
    best: Vectors = (one.windows @ wholes.T).max(axis=0)
    step = max(1, _BLOCK // len(one.windows))
    for at in range(0, len(others), step):
        windows = np.stack([other.windows for other in others[at : at + step]])
        best[at : at + step] = np.maximum(best[at : at + step], (windows @ one.whole[0]).max(axis=1))
    return best


def look_alikes(photo: Descriptor, others: Sequence[Descriptor]) -> list[tuple[int, float]]:
    """Return the number and likeness of the ``others`` that look like a photo, the most alike first, at most 32."""
    alike = similarity(photo, others)
    first = np.argsort(-alike, kind="stable")[:MOST_COMPARED].tolist()
    return [(number, float(alike[number])) for number in first if alike[number] >= LOOK_ALIKE]


def is_copy(photo: Descriptor, other: Descriptor) -> bool:
    """Return whether two photos that look alike also show the same; takes some 50 ms.

    Where they show too little to tell, a higher likeness decides.
    """
    with Image.open(io.BytesIO(photo.preview)) as one, Image.open(io.BytesIO(other.preview)) as another:
        share = shared_content(one, another)
    if share is None:
        return float(similarity(photo, [other])[0]) >= ALIKE_ALONE
    return share >= SAME_CONTENT


def _windows() -> Iterator[tuple[float, float, float, float]]:
    """Yield windows as left, top, width, height, in shares of the sides."""
    for share in _SHARES:
        for left in _PLACES:
            for top in _PLACES:
                yield left * (1 - share), top * (1 - share), share, share
    for share in (0.94, 0.88):  # cut on two sides only
        for place in (0.0, 0.5, 1.0):
            yield place * (1 - share), 0.0, share, 1.0
            yield 0.0, place * (1 - share), 1.0, share


def _thumbnail(picture: Image.Image, window: tuple[float, float, float, float]) -> NDArray[np.float32]:
    left, top, width, height = (_THUMBNAIL * share for share in window)
    box = (left, top, left + width, top + height)
    return np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box), np.float32)


def _vectors(pictures: NDArray[np.float32]) -> Vectors:
    """Return a unit vector for each thumbnail; zeros for one of a single colour."""
    coefficients = _COSINES @ pictures @ _COSINES.T * _WEIGHTS
    flat = coefficients.reshape(len(pictures), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: Vectors = np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 100)
    return unit


def _cosines() -> Vectors:
    """Return the first rows of the discrete cosine transform (type II)."""
    rows, columns = np.arange(_KEPT)[:, None], np.arange(_SIDE)[None, :]
    return np.cos(np.pi * rows * (2 * columns + 1) / (2 * _SIDE)).astype(np.float32)


def _weights() -> Vectors:
    """Return the weight of each frequency, which compensates that amplitudes in photos fall with frequency."""
    rows, columns = np.arange(_KEPT)[:, None], np.arange(_KEPT)[None, :]
    frequency = np.hypot(rows, columns)
    return np.where((frequency < 1) | (frequency >= _KEPT), 0.0, frequency).astype(np.float32)


_COSINES, _WEIGHTS = _cosines(), _weights()
