"""Writers for the trainer formats: one function per format, which writes the examples of a split to one file.

verl 0.9 reads Parquet with ``<image>`` in the text and image structs; TRL 1.16 Parquet with ``prompt`` as a
conversation and ``images``; ms-swift 4.6 JSON lines with paths to images; ``hf`` is a flat table for any other tool
that uses ``datasets``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_GROUP_BYTES = 32_000_000  # bytes of photos in memory at a time
_GROUP_ROWS = 500


@dataclass(frozen=True)
class Example:
    """A question with its image (encoded), correct answer, and further columns."""

    source: str
    prompt: str
    answer: str
    image: bytes
    prompt_tokens: int
    facts: dict[str, Any]


@dataclass
class SplitFile:
    """The output folder and file name of a split."""

    folder: Path
    split: str
    name: str = ""

    @contextmanager
    def file(self, suffix: str) -> Iterator[Path]:
        """Yield a temporary path; it replaces the file if no error occurs."""
        self.name = f"{self.split}{suffix}"
        draft = self.folder / f".{self.name}.part"
        try:
            yield draft
            draft.replace(self.folder / self.name)
        finally:
            draft.unlink(missing_ok=True)


_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_FACTS = [
    ("query_id", pa.string()),
    ("image_id", pa.string()),
    ("split", pa.string()),
    ("variant", pa.string()),
    ("human_verified", pa.bool_()),
    ("n_hops", pa.int8()),
    ("difficulty", pa.float32()),
    ("band", pa.string()),
    ("license", pa.string()),
    ("prompt_tokens", pa.int32()),
]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_VERL = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", _MESSAGES),
        ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([("index", pa.int64()), *_FACTS])),
    ]
)


def write_verl(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the format of ``verl.utils.dataset.RLHFDataset``."""

    def row(index: int, one: Example) -> dict[str, Any]:
        return {
            "data_source": one.source,
            "prompt": [{"role": "user", "content": f"<image>{one.prompt}"}],
            "images": [{"bytes": one.image}],
            "ability": "visual_multi_hop",
            "reward_model": {"style": "rule", "ground_truth": one.answer},
            "extra_info": {"index": index, **one.facts},
        }

    write_parquet(examples, place, _VERL, row)


def write_trl(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the format that ``trl.GRPOTrainer`` gets from ``datasets.load_dataset("parquet", ...)``."""
    schema = pa.schema([("prompt", _MESSAGES), ("images", pa.list_(IMAGE)), ("answer", pa.string()), *_FACTS])

    def row(_: int, one: Example) -> dict[str, Any]:
        images = [{"bytes": one.image, "path": None}]
        return {
            "prompt": [{"role": "user", "content": one.prompt}], "images": images, "answer": one.answer, **one.facts,
        }  # fmt: skip

    messages = {"role": _value("string"), "content": _value("string")}
    kinds = {"prompt": _list(messages), "images": _list({"_type": "Image"})}
    write_parquet(examples, place, for_datasets(schema, kinds), row)


def write_hf(examples: Iterable[Example], place: SplitFile) -> None:
    """Write a flat table with an image column that ``datasets`` decodes."""
    schema = pa.schema([("image", IMAGE), ("prompt", pa.string()), ("answer", pa.string()), *_FACTS])

    def row(_: int, one: Example) -> dict[str, Any]:
        image = {"bytes": one.image, "path": None}
        return {"image": image, "prompt": one.prompt, "answer": one.answer, **one.facts}

    write_parquet(examples, place, for_datasets(schema, {"image": {"_type": "Image"}}), row)


def write_swift(examples: Iterable[Example], place: SplitFile) -> None:
    """Write JSON lines, and the images in the same folder; ``ROOT_IMAGE_DIR`` must name the folder when training."""
    images = place.folder / "images"
    images.mkdir(exist_ok=True)
    with place.file(".jsonl") as path, path.open("w", encoding="utf-8") as file:
        for one in examples:
            image = images / f"{one.facts['image_id']}.{_suffix(one.image)}"
            if not image.exists() or image.stat().st_size != len(one.image):
                image.write_bytes(one.image)
            row = {
                "messages": [{"role": "user", "content": f"<image>{one.prompt}"}],
                "images": [f"images/{image.name}"],
                "answer": one.answer,
                **one.facts,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


FORMATS: dict[str, Callable[[Iterable[Example], SplitFile], None]] = {
    "verl": write_verl,
    "trl": write_trl,
    "swift": write_swift,
    "hf": write_hf,
}


def write_parquet(
    examples: Iterable[Example], place: SplitFile, schema: pa.Schema, row: Callable[[int, Example], dict[str, Any]]
) -> None:
    """Write rows in row groups of bounded size, so that neither writer nor reader has more than one in memory."""
    with place.file(".parquet") as path, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for index, one in enumerate(examples):
            rows.append(row(index, one))
            size += len(one.image)
            if size >= _GROUP_BYTES or len(rows) >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows, size = [], 0
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def for_datasets(schema: pa.Schema, kinds: dict[str, Any]) -> pa.Schema:
    """Return the schema with the metadata that tells ``datasets`` which columns are images."""
    plain = {field.name: _value(_DTYPES.get(str(field.type), str(field.type))) for field in schema}
    features = {name: kinds.get(name, plain[name]) for name in schema.names}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


_DTYPES = {"float": "float32"}


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"feature": of, "_type": "List"}


def _suffix(image: bytes) -> str:
    """Return the suffix of an encoded image, by its first bytes."""
    if image.startswith(b"\xff\xd8"):
        return "jpg"
    return "webp" if image[8:12] == b"WEBP" else "png"
