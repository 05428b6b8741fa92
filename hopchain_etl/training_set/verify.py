"""Checks a downloaded training set with only the core package: no lake, no registry, no models.

Every row contains its program and all instances of its image, so its answer and every rule of ``hops/checks.py`` can be
recomputed from the files. Hops that code cannot check count as *unchecked*, never as correct. Rows are read and checked
piece by piece, in as many processes as there are cores.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from PIL import Image

from hopchain_etl.concurrency import submit_ahead
from hopchain_etl.training_set.dataset import layout
from hopchain_etl.training_set.reading import reading
from hopchain_etl.training_set.row_pieces import Piece, Row, by_image, file_pieces, folder_pieces
from hopchain_etl.training_set.verify_row import Complaint, LastScene, verify_any, verify_row
from hopchain_etl.training_set.withdrawn import withdrawn_among

__all__ = ["VerifyResult", "verify", "verify_row"]

_SAMPLES = 5
_ALONE = 1_000  # rows that are checked first, before worker processes start
_IMAGES = 32  # a photo can be tens of MB
_FACTS = {"image_id": str, "width": int, "height": int, "group": str, "split": str, "policy": str}


@dataclass
class VerifyResult:
    """The result. ``failures`` counts by reason; ``unchecked`` is the mean share of hops that code cannot check."""

    rows: int = 0
    images: int = 0
    unreviewed: int = 0  # rows without human answers
    withdrawn: int = 0  # photos that were withdrawn since, as far as the clone knows
    unchecked: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    samples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def ok(self) -> bool:
        """Return whether there are rows and all passed."""
        return self.rows > 0 and not self.failures

    def add(self, complaint: Complaint, where: str) -> None:
        """Count a failure and store its location if it is one of the first of its reason."""
        reason, detail = complaint
        self.failures[reason] += 1
        if len(self.samples[reason]) < _SAMPLES:
            self.samples[reason].append(f"{where}: {detail}")

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON; the same files give the same value."""
        named = {"failures": dict(sorted(self.failures.items())), "samples": dict(sorted(self.samples.items()))}
        return {**vars(self), **named, "unchecked": round(self.unchecked, 4), "ok": self.ok}


class _Checked(NamedTuple):
    """The result of checking one row."""

    file: str
    query_id: str | None
    facts: dict[str, Any]  # _FACTS; None for what is missing or of another type
    complaints: list[Complaint]
    unchecked: float


def verify(path: Path, *, images: bool = True, instances: Path | None = None) -> VerifyResult:
    """Verify the data at ``path``: a clone, its ``training_set/``, one target's folder, or a single file of rows.

    A file is Parquet or JSON lines: training rows, or rows of the queries table with the instances table beside them
    (``instances``: a Parquet file or a folder of them). For a single file only rows are checked; ``images=False`` also
    skips the images of a folder. Raises FileNotFoundError if there are no rows (not downloaded), and ValueError for an
    unsupported file type.
    """
    result = VerifyResult()
    wanted: dict[str, tuple[int, int]] = {}
    if path.is_file():
        _add_rows(path.stem, file_pieces(path, by_image(instances)), result, wanted, in_set=False)
    else:
        targets, image_folder = layout(path)
        for target in targets:
            _add_rows(target.name, folder_pieces(target / "rows"), result, wanted, in_set=True)
    result.unchecked /= max(1, result.rows)
    result.withdrawn = len(withdrawn_among(path, wanted))
    if images and not path.is_file():
        _verify_images(image_folder, wanted, result)
    return result


def _add_rows(
    name: str, pieces: Iterable[Piece], result: VerifyResult, wanted: dict[str, tuple[int, int]], *, in_set: bool
) -> None:
    """Check rows, add the findings to ``result`` and collect the referenced images in ``wanted``."""
    split_of_group: dict[str, str] = {}
    seen: set[str] = set()
    for row in _checked(pieces):
        facts, complaints = row.facts, list(row.complaints)
        result.rows += 1
        result.unreviewed += facts["policy"] == "unreviewed"
        result.unchecked += row.unchecked
        if facts["image_id"] is not None:
            wanted[facts["image_id"]] = (facts["width"], facts["height"])
        if in_set and not row.file.startswith(f"{facts['split']}-"):
            complaints.append(("wrong_split_file", f"split {facts['split']} in {row.file}"))
        if facts["group"] and split_of_group.setdefault(facts["group"], facts["split"]) != facts["split"]:
            complaints.append(("group_in_two_splits", f"group {facts['group']}"))
        if row.query_id in seen:
            complaints.append(("duplicate_query", "it is there twice"))
        if row.query_id is not None:
            seen.add(row.query_id)
        for complaint in complaints:
            result.add(complaint, f"{name} {row.query_id or f'row {result.rows}'}")


def _checked(pieces: Iterable[Piece]) -> Iterator[_Checked]:
    """Yield all rows, checked, in the order of the files."""
    window: dict[int, _Checked] = {}
    for piece, checked in _checked_pieces(iter(pieces)):
        window.update(zip(piece.places, checked, strict=True))
        if piece.ends_window:
            yield from (window[place] for place in sorted(window))
            window = {}


def _checked_pieces(pieces: Iterator[Piece]) -> Iterator[tuple[Piece, list[_Checked]]]:
    """Yield pieces with their rows, checked: only a few are in progress at a time."""
    rows = 0
    for piece in pieces:
        yield piece, _check_piece(piece)
        rows += len(piece.rows)
        if rows >= _ALONE:
            break
    first = next(pieces, None)
    if first is None:
        return
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for piece, future in submit_ahead(pool, _check_piece, chain([first], pieces), 3 * workers):
            yield piece, future.result()


def _check_piece(piece: Piece) -> list[_Checked]:
    checked = []
    scene_of = LastScene()
    for row in piece.to_rows():
        if row.get("unchecked") is None:
            row["unchecked"] = 1.0
        error = row.get("_error")
        complaints, unchecked = verify_any(row, scene_of) if error is None else ([("unreadable_row", error)], 1.0)
        facts = {key: row.get(key) for key in _FACTS}
        if odd := [key for key, value in facts.items() if not isinstance(value, _FACTS[key] | None)]:
            complaints = [*complaints, ("unreadable_row", f"{odd[0]} is a {type(facts[odd[0]]).__name__}")]
            facts |= dict.fromkeys(odd)
        query = row.get("query_id")
        name = None if query is None else str(query)
        checked.append(_Checked(piece.file, name, facts, complaints, unchecked))
    return checked


def _verify_images(folder: Path, wanted: dict[str, tuple[int, int]], result: VerifyResult) -> None:
    """Check that each referenced image exists, matches its checksum and decodes to its size in px."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.parquet")):
        for row in _photos(path):
            if (name := row.get("image_id")) in wanted and name not in seen:
                seen.add(name)
                if complaint := _image_complaint(row, wanted[name]):
                    result.add(complaint, f"{path.name} {name}")
    result.images = len(seen)
    for missing in sorted(wanted.keys() - seen):
        result.add(("missing_image", f"in no part of {folder}; run `dvc pull` in the clone"), missing)


def _photos(path: Path) -> Iterator[Row]:
    with reading(path):
        for batch in pq.ParquetFile(path).iter_batches(_IMAGES):
            yield from batch.to_pylist()


def _image_complaint(row: Row, size: tuple[int, int]) -> Complaint | None:
    try:
        if hashlib.sha256(row["bytes"]).hexdigest() != row["blob_sha"]:
            return ("damaged_image", "its bytes do not match its blob_sha")
        with Image.open(io.BytesIO(row["bytes"])) as image:
            image.load()
            found = image.size
        stated = row["width"], row["height"]
    except Exception as error:  # noqa: BLE001 - decoders raise anything, and it is this photo's failure
        return ("undecodable_image", f"{type(error).__name__}: {error}")
    return None if found == size == stated else ("wrong_size", f"{found}, rows say {size}")
