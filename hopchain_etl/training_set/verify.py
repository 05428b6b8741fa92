"""Checks a downloaded training set with only the core package: no lake, no registry, no models.

Every row contains its program and all instances of its image, so its answer and every rule of ``hops/checks.py`` can be
recomputed from the files. Hops that code cannot check count as *unchecked*, never as correct. Rows are read and checked
batch by batch, in as many processes as there are cores.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from hopchain_etl.training_set.dataset import layout
from hopchain_etl.training_set.verify_row import Complaint, Row, verify_any, verify_row
from hopchain_etl.training_set.withdrawn import withdrawn_among

__all__ = ["VerifyResult", "verify", "verify_row"]

_SAMPLES = 5
_BATCH = 250  # rows per task of a worker process
_ALONE = 1_000  # rows that are checked first, before worker processes start
_IMAGES = 32  # a photo can be tens of MB
_FACTS = {"image_id": str, "width": int, "height": int, "group": str, "split": str, "policy": str}
_UNUSED = frozenset({"prompt", "stages", "annotators", "agreement", "difficulty", "band", "blind", "lineage", "source",
                     "license", "source_uri", "image_tokens", "author"})  # fmt: skip


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
    query_id: str
    facts: dict[str, Any]  # _FACTS; None for what is missing or of another type
    complaints: list[Complaint]
    unchecked: float


_Batch = tuple[str, list[Row] | pa.RecordBatch]  # file name, rows


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
        _add_rows(path.stem, _file_batches(path, _by_image(instances)), result, wanted, in_set=False)
    else:
        targets, image_folder = layout(path)
        for target in targets:
            _add_rows(target.name, _folder_batches(target / "rows"), result, wanted, in_set=True)
    result.unchecked /= max(1, result.rows)
    result.withdrawn = len(withdrawn_among(path, wanted))
    if images and not path.is_file():
        _verify_images(image_folder, wanted, result)
    return result


def _add_rows(
    name: str, batches: Iterable[_Batch], result: VerifyResult, wanted: dict[str, tuple[int, int]], *, in_set: bool
) -> None:
    """Check rows, add the findings to ``result`` and collect the referenced images in ``wanted``."""
    split_of_group: dict[str, str] = {}
    seen: set[str] = set()
    for row in _checked(batches):
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
            complaints.append(("duplicate_query", "released twice"))
        seen.add(row.query_id)
        for complaint in complaints:
            result.add(complaint, f"{name} {row.query_id}")


def _checked(batches: Iterable[_Batch]) -> Iterator[_Checked]:
    """Yield the rows of all batches, checked, in order: only a few batches are in progress at a time."""
    batches = iter(batches)
    rows = 0
    for batch in batches:
        yield from _check_batch(batch)
        rows += len(batch[1])
        if rows >= _ALONE:
            break
    workers = os.cpu_count() or 1
    waiting: deque[Future[list[_Checked]]] = deque()
    first = next(batches, None)
    if first is None:
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting.append(pool.submit(_check_batch, first))
        for batch in batches:
            waiting.append(pool.submit(_check_batch, batch))
            if len(waiting) > 3 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _check_batch(batch: _Batch) -> list[_Checked]:
    file, rows = batch
    checked = []
    for row in rows if isinstance(rows, list) else rows.to_pylist():
        if row.get("unchecked") is None:
            row["unchecked"] = 1.0
        complaints, unchecked = ([("unreadable_row", row["_error"])], 1.0) if "_error" in row else verify_any(row)
        facts = {key: row.get(key) for key in _FACTS}
        if odd := [key for key, value in facts.items() if not isinstance(value, _FACTS[key] | None)]:
            complaints = [*complaints, ("unreadable_row", f"{odd[0]} is a {type(facts[odd[0]]).__name__}")]
            facts |= dict.fromkeys(odd)
        checked.append(_Checked(file, str(row.get("query_id")), facts, complaints, unchecked))
    return checked


def _folder_batches(folder: Path) -> Iterator[_Batch]:
    """Yield the rows of one target; raise FileNotFoundError if they have not been downloaded."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"no rows in {folder}; run `dvc pull`")
    for path in files:
        yield from _parquet_batches(path, None)


def _file_batches(path: Path, instances: dict[str, list[Row]] | None) -> Iterator[_Batch]:
    if path.suffix in (".jsonl", ".ndjson"):
        return _json_batches(path, instances)
    if path.suffix == ".parquet":
        return _parquet_batches(path, instances)
    raise ValueError(f"{path} is neither Parquet nor JSON lines (.parquet, .jsonl); give a file of rows or a folder")


def _parquet_batches(path: Path, instances: dict[str, list[Row]] | None) -> Iterator[_Batch]:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file: {error}") from error
    names = set(file.schema_arrow.names)
    needed = {"query_id", "image_id", "expr", "hops"} | (set() if instances is not None else {"instances"})
    if missing := sorted(needed - names):
        hint = "; give the instances table with --instances" if missing == ["instances"] else ""
        raise ValueError(f"{path} is not a file of training rows or queries: {missing[0]} is missing{hint}")
    columns = [name for name in file.schema_arrow.names if name not in _UNUSED]
    for batch in file.iter_batches(_BATCH, columns=columns):
        yield path.name, batch if instances is None else [_with(row, instances) for row in batch.to_pylist()]


def _json_batches(path: Path, instances: dict[str, list[Row]] | None) -> Iterator[_Batch]:
    rows: list[Row] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                row = _json_row(line, number)
                rows.append(row if instances is None or "_error" in row else _with(row, instances))
            if len(rows) == _BATCH:
                yield path.name, rows
                rows = []
    yield path.name, rows


def _json_row(line: str, number: int) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        row = str(error)
    if isinstance(row, dict):
        return row
    return {"query_id": f"line {number}", "_error": f"line {number} is not a JSON object: {str(row)[:80]}"}


def _with(row: Row, instances: dict[str, list[Row]]) -> Row:
    return {**row, "instances": instances.get(str(row.get("image_id")), [])}


def _by_image(path: Path | None) -> dict[str, list[Row]] | None:
    """Return the rows of an instances table by image; None if none is given."""
    if path is None:
        return None
    found: dict[str, list[Row]] = defaultdict(list)
    for part in sorted(path.rglob("*.parquet")) if path.is_dir() else [path]:
        for row in pq.read_table(part).to_pylist():
            found[str(row["image_id"])].append(row)
    if not found:
        raise FileNotFoundError(f"no instances in {path}")
    return dict(found)


def _verify_images(folder: Path, wanted: dict[str, tuple[int, int]], result: VerifyResult) -> None:
    """Check that each referenced image exists, matches its checksum and decodes to its size in px."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(_IMAGES):
            for row in batch.to_pylist():
                if (name := row.get("image_id")) in wanted and name not in seen:
                    seen.add(name)
                    if complaint := _image_complaint(row, wanted[name]):
                        result.add(complaint, f"{path.name} {name}")
    result.images = len(seen)
    for missing in sorted(wanted.keys() - seen):
        result.add(("missing_image", "in no part of images/"), missing)


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
