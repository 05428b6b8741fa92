"""Says how much of their content two images share that look alike, which two filled-in forms of one layout do as well.

The descriptors of ``imaging.similarity`` are too coarse for words. Here both images are brought to the size of the
smaller one and laid over each other: rows and columns are placed apart, by profiles of one dimension that are scaled
and shifted as a crop would do it, and the best combination is refined by least squares. Tiles are then compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAME_CONTENT = 0.97  # share from which two images that look alike are copies; see benchmarks/decontaminate.py
LONGEST = 640  # px of the longer side: lines of print on a page are still apart
_LEAST = 32  # px of a side; smaller ones are enlarged
_TILE = 8  # px
_NOISE = 4.0  # of 255: standard deviation that compression and scaling may add
_SHOWN = 0.8  # least share of a side, of each image, that both show
_SEEN = 0.75  # likewise after the refinement, of one image
_FAINT = 4.0  # mean variance of tiles above noise under which there is too little to compare
_SCALES = np.exp(np.linspace(np.log(0.84), -np.log(0.84), 57))[:, None]
_PLACES = 3  # best placements of each direction that are tried together
_ROUNDS = 4  # of least squares

Grey = NDArray[Any]  # float32
Indices = tuple[NDArray[Any], ...]


class _Line(NamedTuple):
    """A placement in one direction: ``px in the other image = scale * px + shift``."""

    scale: float
    shift: float

    def halved(self) -> _Line:
        """Return it for images of half the size, whose pixels are two by two of these."""
        return _Line(self.scale, (self.shift + (self.scale - 1) / 2) / 2)

    def doubled(self) -> _Line:
        """Return it for images of twice the size."""
        return _Line(self.scale, 2 * self.shift - (self.scale - 1) / 2)

    def inverse(self) -> _Line:
        """Return where the px of the other image lie on this one."""
        return _Line(1 / self.scale, -self.shift / self.scale)


class _Placement(NamedTuple):
    """How the other image, mirrored or not, lies on this one."""

    mirrored: bool
    down: _Line
    across: _Line


def shared_content(one: Image.Image, other: Image.Image) -> float | None:
    """Return the share of content, 0 to 1, that two grey images of at most ``LONGEST`` px have in common.

    None if they show too little to tell: fog, sky, a wall.

    Each may be a mirrored, resized, recompressed or slightly cropped copy of the other; only what both show counts. The
    share is 1 minus what differs in brightness, squared, within tiles of 8 px, whatever their contrast; differences as
    small as those of compression do not count.
    """
    width, height = (max(_LEAST, min(sides) // 4 * 4) for sides in zip(one.size, other.size, strict=True))
    mine, theirs = (_smooth(each.resize((width, height), Image.Resampling.BILINEAR)) for each in (one, other))
    mirrored, down, across = _place(_half(mine), _half(theirs))
    theirs = theirs[:, ::-1] if mirrored else theirs
    if down.scale * across.scale < 1:  # the one that shows less detail stays as it is
        mine, theirs, down, across = theirs, mine, down.inverse(), across.inverse()
    for _ in range(_ROUNDS):
        down, across = _refined(_half(mine), _half(theirs), down, across)
    shown, seen = _laid(theirs, mine, down.doubled(), across.doubled())
    if any(part.size < _SEEN * side for part, side in zip(seen, mine.shape, strict=True)):
        return 0.0  # the refinement has pushed one off the other: no copy lies like that
    ours, its = _tiles(mine, seen), _tiles(shown, seen)
    contrast, its_contrast = ours.std(axis=1), its.std(axis=1)
    content = np.maximum(contrast, its_contrast) ** 2
    if np.maximum(content - _NOISE**2, 0).mean() < _FAINT:
        return None
    alike = (ours * its).mean(axis=1) / np.maximum(contrast * its_contrast, 1e-3)  # whatever the contrast of each
    differs = np.maximum(content * (1 - alike) - _NOISE**2, 0)
    return max(0.0, 1 - float(differs.sum() / max(float(content.sum()), 1e-3)))


def _place(mine: Grey, theirs: Grey) -> _Placement:
    """Return how the other image lies on this one."""
    small, others = _half(mine), _half(theirs)
    tried = []
    for place in _combinations(_profiles(mine), _profiles(theirs)):
        image = others[:, ::-1] if place.mirrored else others
        shown, seen = _laid(image, small, place.down.halved(), place.across.halved())
        tried.append((_correlation(small[seen], shown[seen]), place))
    return max(tried)[1]


def _combinations(mine: tuple[Grey, Grey], theirs: tuple[Grey, Grey]) -> Iterator[_Placement]:
    """Yield the best placements of rows with the best of columns."""
    rows = _lines(mine[0], theirs[0])
    for mirrored, columns in ((False, theirs[1]), (True, theirs[1][:, ::-1])):
        for across in _lines(mine[1], columns):
            for down in rows:
                yield _Placement(mirrored, down, across)


def _profiles(image: Grey) -> tuple[Grey, Grey]:
    """Return brightness and edges by row, and by column: three lines each, without what changes slowly."""
    edges = [np.abs(np.gradient(image, axis=axis)) for axis in (0, 1)]
    return _profile([image, *edges], 1), _profile([image, *edges], 0)


def _profile(features: list[Grey], axis: int) -> Grey:
    lines = np.stack([feature.mean(axis=axis) for feature in features])
    width = max(8, lines.shape[1] // 6) // 2 * 2 + 1
    padded = np.pad(lines, ((0, 0), (width // 2, width // 2)), mode="edge")
    level = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).mean(axis=2)
    changes = lines - level
    profile: Grey = changes / (changes.std(axis=1, keepdims=True) + 1e-6)
    return profile


def _lines(mine: Grey, theirs: Grey) -> list[_Line]:
    """Return where two profiles correlate best over the part that both show; unmoved if they correlate nowhere."""
    length = mine.shape[1]
    size = 1 << int(np.ceil(np.log2(1.5 * length)))
    at = np.arange(size) * _SCALES
    there = (at <= length - 1).astype(np.float32)
    low = np.minimum(at.astype(np.intp), length - 2)
    part = (at - low).astype(np.float32)
    scaled = (theirs[:, low] * (1 - part) + theirs[:, low + 1] * part) * there
    one, every = np.ones(length, np.float32), there.sum(axis=1, keepdims=True)
    product = _slid(mine[:, None], scaled).sum(axis=0)
    energy = _slid((mine**2).sum(axis=0), there) * _slid(one, (scaled**2).sum(axis=0))
    share = _slid(one, there) / np.maximum(length, every)
    score = np.where(share >= _SHOWN, product / np.sqrt(np.maximum(energy, 1e-3)), -1)
    shifts = (np.arange(size) + size // 2) % size - size // 2
    centres = _SCALES * (length / 2 + shifts)
    found = []
    for _ in range(_PLACES):
        best = np.unravel_index(score.argmax(), score.shape)
        if score[best] > 0:
            found.append(_Line(scale := float(_SCALES[best[0], 0]), scale * float(shifts[best[1]])))
        score[np.abs(centres - centres[best]) < 3] = -1
    return found or [_Line(1.0, 0.0)]


def _slid(mine: Grey, theirs: Grey) -> Grey:
    """Return the sums of products of two signals for each shift of the second; as long as the second, and circular."""
    size = theirs.shape[-1]
    sums: Grey = np.fft.irfft(np.conj(np.fft.rfft(mine, size)) * np.fft.rfft(theirs), size)
    return sums


def _laid(image: Grey, mine: Grey, down: _Line, across: _Line) -> tuple[Grey, Indices]:
    """Return the other image as it lies on this one, and the rows and columns that both show."""
    top, y, rows = _positions(down, mine.shape[0], image.shape[0])
    left, x, columns = _positions(across, mine.shape[1], image.shape[1])
    lines = image[top] * (1 - y)[:, None] + image[top + 1] * y[:, None]
    return lines[:, left] * (1 - x) + lines[:, left + 1] * x, np.ix_(rows, columns)


def _positions(line: _Line, count: int, length: int) -> tuple[Any, Grey, Any]:
    """Return for each px the px before it in the other image, the rest, and the numbers of those that are in it."""
    at = np.arange(count) * line.scale + line.shift
    seen = np.flatnonzero((at >= 0) & (at <= length - 1))
    low = at.clip(0, length - 1.001).astype(np.intp)
    return low, (at.clip(0, length - 1) - low).astype(np.float32), seen


def _refined(mine: Grey, theirs: Grey, down: _Line, across: _Line) -> tuple[_Line, _Line]:
    """Return a placement after one round of least squares on scale, shift, brightness and contrast."""
    shown, seen = _laid(theirs, mine, down, across)
    shown = shown * float(mine[seen].std() / max(float(shown[seen].std()), 1e-3))
    by_y, by_x = np.gradient(shown)
    y: Grey = np.arange(mine.shape[0], dtype=np.float32) / mine.shape[0] - 0.5
    x: Grey = np.arange(mine.shape[1], dtype=np.float32) / mine.shape[1] - 0.5
    terms = (by_y, by_y * y[:, None], by_x, by_x * x, np.ones_like(shown), shown)
    slopes = np.stack([np.asarray(term)[seen].ravel() for term in terms])
    rest = (mine[seen] - shown[seen]).ravel()
    steps: Grey = np.clip(np.linalg.lstsq(slopes @ slopes.T, slopes @ rest, rcond=None)[0], -3, 3)
    move_y, grow_y, move_x, grow_x = (float(step) for step in steps[:4])
    return (
        _Line(down.scale + grow_y / mine.shape[0], down.shift + move_y - grow_y / 2),
        _Line(across.scale + grow_x / mine.shape[1], across.shift + move_x - grow_x / 2),
    )


def _tiles(image: Grey, seen: Indices) -> Grey:
    """Return the tiles of what both show, one a row, each about its mean."""
    shown = image[seen]
    down, across = (side // _TILE for side in shown.shape)
    cut = shown[: down * _TILE, : across * _TILE].reshape(down, _TILE, across, _TILE)
    tiles = cut.swapaxes(1, 2).reshape(down * across, _TILE * _TILE)
    centred: Grey = tiles - tiles.mean(axis=1, keepdims=True)
    return centred


def _correlation(one: Grey, other: Grey) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / np.sqrt(max(float((one**2).sum() * (other**2).sum()), 1e-3)))


def _smooth(grey: Image.Image) -> Grey:
    """Return pixels, each blended with its neighbours: scaling and compression differ in the finest detail."""
    padded = np.pad(np.asarray(grey, np.float32), 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    smooth: Grey = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return smooth


def _half(image: Grey) -> Grey:
    """Return an image at half its size; of an even size."""
    half: Grey = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
    return half
