"""What the order of rows depends on, read without their images: a hash of each row, its band and difficulty."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.training.mix.spec import MixError
from hopchain_etl.training_set.reading import reading

BANDS = ("all_right", "easy", "medium", "hard", "all_wrong")  # as a curriculum takes them
_ASKED = ("prompt", "problem", "messages", "question")  # where trainers keep what is asked
_RIGHT = ("reward_model", "answer", "solution", "ground_truth")  # and what is right
_BATCH = 1_000


@dataclass(frozen=True)
class Source:
    """What orders the rows of a source; the arrays have one value a row, in the order of its files."""

    name: str
    files: tuple[Path, ...]
    counts: tuple[int, ...]  # rows of each file
    hashes: np.ndarray[Any, np.dtype[np.uint64]]  # seeded
    bands: np.ndarray[Any, np.dtype[np.int8]]  # place in BANDS; -1: none
    difficulty: np.ndarray[Any, np.dtype[np.float64]]  # share of right tries; nan: none

    @property
    def count(self) -> int:
        """How many rows it has."""
        return len(self.hashes)

    @classmethod
    def read(cls, name: str, files: Sequence[Path], seed: int) -> Source:
        """Return what orders the rows of these files. A row is known by its query_id and variant, any other by its
        prompt and answer, so its place does not depend on the file it is in. Of rows that share these only the order
        in the files is known: each is hashed with how many came before, else they would stay together unshuffled."""
        seeded = seed.to_bytes(16, "little", signed=True)
        hashes, bands, difficulty, counts = list[int](), list[int](), list[float](), list[int]()
        seen = Counter[int]()
        for file in files:
            before = len(hashes)
            for row in _facts(file):
                known = _hash(row["key"], seeded)
                hashes.append(_hash(f"{seen[known]} {row['key']}", seeded) if seen[known] else known)
                seen[known] += 1
                bands.append(BANDS.index(row["band"]) if row["band"] in BANDS else -1)
                difficulty.append(_number(row["difficulty"]))
            counts.append(len(hashes) - before)
        if not hashes:
            raise MixError(f"{', '.join(map(str, files))}: source {name} has no rows")
        return cls(
            name, tuple(files), tuple(counts), np.array(hashes, np.uint64), np.array(bands, np.int8),
            np.array(difficulty, np.float64),
        )  # fmt: skip

    def bands_of(self, rows: np.ndarray[Any, Any]) -> dict[str, int]:
        """Return how many of these rows are in each band; rows without one are left out."""
        counts = {band: int(np.count_nonzero(self.bands[rows] == rank)) for rank, band in enumerate(BANDS)}
        return {band: count for band, count in counts.items() if count}


def _number(difficulty: object) -> float:
    """Return a difficulty as a number; NaN if it is none: other data may say it in words."""
    return float(difficulty) if isinstance(difficulty, int | float) else float("nan")


def _hash(key: str, seeded: bytes) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8, key=seeded).digest()
    return int.from_bytes(digest, "little")


def _facts(file: Path) -> Iterator[dict[str, Any]]:
    """Yield key, band and difficulty of each row; trainers keep ours in a struct or among the columns."""
    with reading(file):
        parquet = pq.ParquetFile(file)
    schema = parquet.schema_arrow
    inside = "extra_info" in schema.names and pa.types.is_struct(schema.field("extra_info").type)
    nested = {field.name for field in schema.field("extra_info").type} if inside else set()
    told = [name for name in (*_ASKED, *_RIGHT) if name in schema.names]
    if not set(told) & set(_ASKED):
        raise MixError(f"{file} has no column {', '.join(_ASKED[:-1])} or {_ASKED[-1]}: its rows ask nothing")
    wanted = ("query_id", "variant", "band", "difficulty")
    places = {name: name if name in schema.names else f"extra_info.{name}" if name in nested else None
              for name in wanted}  # fmt: skip
    # A mix has a query_id in some rows only, so the prompt is read whatever the columns are.
    columns = [*(place for place in places.values() if place), *told]
    with reading(file):
        batches = parquet.iter_batches(_BATCH, columns=columns)
        for row in (row for batch in batches for row in batch.to_pylist()):
            flat = {**(row.get("extra_info") or {}), **row}
            facts = {name: flat.get(name) if places[name] else None for name in wanted}
            if facts["query_id"] is None:
                said = {name: row[name] for name in told if row[name] is not None}  # another mix may add columns
                key = json.dumps(said, sort_keys=True, ensure_ascii=False, default=str)
            else:
                key = f"{facts['query_id']} {facts['variant']}"
            yield {"key": key, "band": facts["band"], "difficulty": facts["difficulty"]}
