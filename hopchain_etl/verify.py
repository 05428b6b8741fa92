"""Checks a training set as it was pulled, with nothing but the core package: no lake, no registry, no models.

Every row carries its program and all instances of its image, so its answer and every rule of ``hops/checks.py`` are
recomputed from the files alone. What no code can check is counted as *unchecked*, never as right.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from hopchain_etl.hops.checks import check
from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.geometry import Scene, instance_from_row
from hopchain_etl.hops.query import QueryError, decimal_text, query_from_row, query_id
from hopchain_etl.stages.assemble import ANNOTATORS
from hopchain_etl.stages.assemble import number_of as plain_number

_SAMPLES = 5
_BATCH = 500  # rows in memory at a time
_IMAGES = 32  # a photo can be tens of MB

Row = dict[str, Any]
Complaint = tuple[str, str]  # reason code, detail


@dataclass
class VerifyResult:
    """What was found. ``failures`` counts by reason; ``unchecked`` is the mean share of hops beyond code."""

    rows: int = 0
    images: int = 0
    unreviewed: int = 0  # rows that no human has answered
    unchecked: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    samples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def ok(self) -> bool:
        """Return whether there were rows and none failed."""
        return self.rows > 0 and not self.failures

    def add(self, complaint: Complaint, where: str) -> None:
        """Count a failure, with its place among the first few samples of its reason."""
        reason, detail = complaint
        self.failures[reason] += 1
        if len(self.samples[reason]) < _SAMPLES:
            self.samples[reason].append(f"{where}: {detail}")

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON; the same files give the same value."""
        named = {"failures": dict(sorted(self.failures.items())), "samples": dict(sorted(self.samples.items()))}
        return {**vars(self), **named, "unchecked": round(self.unchecked, 4), "ok": self.ok}


def verify(path: Path, *, images: bool = True) -> VerifyResult:
    """Verify the training set below ``path``: a clone, its ``training_set/``, or one target's folder.

    ``images=False`` leaves out the pixels. Raises FileNotFoundError where there are no rows, or none were pulled.
    """
    targets, image_folder = _layout(path)
    result = VerifyResult()
    wanted: dict[str, tuple[int, int]] = {}
    unchecked = sum(_verify_rows(target, result, wanted) for target in targets)
    result.unchecked = unchecked / max(1, result.rows)
    if images:
        _verify_images(image_folder, wanted, result)
    return result


def _layout(path: Path) -> tuple[list[Path], Path]:
    """Return the folders of the targets, and that of the images."""
    root = path / "training_set" if (path / "training_set").is_dir() else path
    targets = [root] if (root / "rows").is_dir() else sorted(rows.parent for rows in root.glob("*/rows"))
    if not targets:
        raise FileNotFoundError(f"no training set below {path}; clone the registry at a tag and run `dvc pull` there")
    return targets, (root.parent if targets == [root] else root) / "images"


def _verify_rows(target: Path, result: VerifyResult, wanted: dict[str, tuple[int, int]]) -> float:
    """Check the rows of one target, note the images that they want, and return the sum of their unchecked shares."""
    split_of_group: dict[str, str] = {}
    seen: set[str] = set()
    unchecked = 0.0
    for name, row in _rows(target / "rows"):
        result.rows += 1
        result.unreviewed += row["policy"] == "unreviewed"
        wanted[row["image_id"]] = (row["width"], row["height"])
        complaints, share = verify_row(row)
        unchecked += share
        if not name.startswith(f"{row['split']}-"):
            complaints.append(("wrong_split_file", f"split {row['split']} in {name}"))
        if split_of_group.setdefault(row["group"], row["split"]) != row["split"]:
            complaints.append(("group_in_two_splits", f"group {row['group']}"))
        if row["query_id"] in seen:
            complaints.append(("duplicate_query", "released twice"))
        seen.add(row["query_id"])
        for complaint in complaints:
            result.add(complaint, f"{target.name} {row['query_id']}")
    return unchecked


def verify_row(row: Row) -> tuple[list[Complaint], float]:
    """Return what is wrong with one row (records.TRAINING_ROWS), and the share of its hops that no code checked."""
    try:
        query = query_from_row({**row, "answer": _program_answer(row)})
    except (QueryError, ExpressionError, ValueError) as error:
        return [("unreadable_query", str(error))], 1.0
    if not row.get("combination"):  # rows that do not name it: what the chain visits stands for it
        query = type(query)(query.question, query.hops, query.expr, query.answer, query.referents)
    scene = Scene(tuple(map(instance_from_row, row["instances"])), row["width"], row["height"])
    found, unchecked = check(query, scene)
    complaints = [(one.reason, one.detail) for one in found if not _of_combination_only(one.reason, row, query.hops)]
    complaints += _answer_complaints(row, decimal_text(query.answer))
    if query_id(row["image_id"], row["question"]) != row["query_id"]:
        complaints.append(("wrong_query_id", "not the sha256 of its image and question"))
    if foreign := [one["instance_id"] for one in row["instances"] if one["image_id"] != row["image_id"]]:
        complaints.append(("foreign_instance", f"{foreign[0]} is of another image"))
    if abs(unchecked - row["unchecked"]) > 1e-6:
        complaints.append(("wrong_unchecked", f"states {row['unchecked']:.3f}, is {unchecked:.3f}"))
    return complaints, unchecked


def _program_answer(row: Row) -> str:
    """Return what the row's expression gives over what its hops read."""
    hops = query_from_row({**row, "answer": "0"})
    return decimal_text(number_of(parse(row["expr"]), hops.values))


def _of_combination_only(reason: str, row: Row, hops: Sequence[Any]) -> bool:
    """A chain may leave one of its instances unused: two referents are not too few where the row names no more."""
    referents = {hop.referent for hop in hops if hop.referent}
    return reason == "instance_count" and not row.get("combination") and len(referents) == 2


def _answer_complaints(row: Row, program: str) -> Iterator[Complaint]:
    """Yield what is wrong with a row's answer, given what its program gives."""
    if row["program_agrees"] != (row["answer"] == program):
        yield ("wrong_answer", f"answer {row['answer']}, its expression gives {program}")
    humans = row["human_answers"]
    if row["policy"] == "unreviewed":
        if not row["program_agrees"]:
            yield ("wrong_answer", "nobody has answered, and the program does not agree")
        if humans:
            yield ("wrong_policy", f"unreviewed with {len(humans)} human answers")
    elif len(humans) < ANNOTATORS or {plain_number(one) for one in humans} != {plain_number(row["answer"])}:
        yield ("not_unanimous", f"answer {row['answer']}, humans {humans}")


def _verify_images(folder: Path, wanted: dict[str, tuple[int, int]], result: VerifyResult) -> None:
    """Check that each wanted image is there, holds the bytes of its name and decodes to its size in px."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(_IMAGES):
            for row in batch.to_pylist():
                if row["image_id"] in wanted and row["image_id"] not in seen:
                    seen.add(row["image_id"])
                    if complaint := _image_complaint(row, wanted[row["image_id"]]):
                        result.add(complaint, f"{path.name} {row['image_id']}")
    result.images = len(seen)
    for missing in sorted(wanted.keys() - seen):
        result.add(("missing_image", "in no part of images/"), missing)


def _image_complaint(row: Row, size: tuple[int, int]) -> Complaint | None:
    if hashlib.sha256(row["bytes"]).hexdigest() != row["blob_sha"]:
        return ("damaged_image", "its bytes are not those of its blob_sha")
    try:
        with Image.open(io.BytesIO(row["bytes"])) as image:
            image.load()
            found = image.size
    except (OSError, ValueError, SyntaxError) as error:
        return ("undecodable_image", str(error))
    return None if found == size == (row["width"], row["height"]) else ("wrong_size", f"{found}, rows say {size}")


def _rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """Yield file name and row; raise FileNotFoundError where nothing was pulled."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"no rows in {folder}; run `dvc pull`")
    for path in files:
        file = pq.ParquetFile(path)
        missing = {"query_id", "expr", "instances"} - set(file.schema_arrow.names)
        if missing:
            raise FileNotFoundError(f"{path} is not a file of training rows: {sorted(missing)[0]} is missing")
        for batch in file.iter_batches(_BATCH):
            for row in batch.to_pylist():
                row["unchecked"] = row["unchecked"] if row["unchecked"] is not None else 1.0
                yield path.name, row
