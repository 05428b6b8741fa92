"""Writers for the trainer formats: one function per format, which writes the examples of a split to one file.

verl 0.9 reads Parquet with ``<image>`` in the text and image structs; TRL 1.16 Parquet with ``prompt`` as a
conversation and ``images``; ms-swift 4.6 JSON lines with paths to images; EasyR1 Parquet with ``problem``, ``answer``
and ``images``; ``hf`` is a flat table for any other tool that uses ``datasets``. ``sft`` and ``sft-jsonl`` are
conversations with the model's turn, for TRL's SFTTrainer, and for ms-swift and LLaMA-Factory.
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

from hopchain_etl.concurrency import read_ahead
from hopchain_etl.lake.parquet import compression

_GROUP_BYTES = 32_000_000  # bytes of photos in memory at a time
_GROUP_ROWS = 500


@dataclass(frozen=True)
class Example:
    """A question with its image (encoded), correct answer, and further columns; ``response`` is the turn to imitate."""

    source: str
    prompt: str
    answer: str
    image: bytes
    prompt_tokens: int
    facts: dict[str, Any]
    response: str | None = None


@dataclass
class SplitFile:
    """The output folder and file name of a split, and whether examples have hops among their facts."""

    folder: Path
    split: str
    with_hops: bool = False
    name: str = ""

    @property
    def facts(self) -> list[tuple[str, pa.DataType]]:
        """The columns of ``Example.facts``."""
        return [*_FACTS, ("hops", HOPS)] if self.with_hops else _FACTS

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
_SOURCE = [("data_source", pa.string())]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# A hop of ``--with-hops``; ``value`` is JSON. Boxes are x1, y1, x2, y2 as shares of the image's width and height, and
# in thousandths of them, as Qwen3-VL states boxes.
HOPS = pa.list_(
    pa.struct(
        [
            ("text", pa.string()),
            *((name, pa.string()) for name in ("category", "rel", "to", "read", "arg", "words", "value")),
            ("boxes", pa.list_(pa.list_(pa.float32()))),
            ("boxes_1000", pa.list_(pa.list_(pa.int32()))),
        ]
    )
)


def write_verl(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the format of ``verl.utils.dataset.RLHFDataset``."""

    schema = pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", _MESSAGES),
            ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
            ("ability", pa.string()),
            ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
            ("extra_info", pa.struct([("index", pa.int64()), *place.facts])),
        ]
    )

    def row(index: int, one: Example) -> dict[str, Any]:
        return {
            "data_source": one.source,
            "prompt": [{"role": "user", "content": f"<image>{one.prompt}"}],
            "images": [{"bytes": one.image}],
            "ability": "visual_multi_hop",
            "reward_model": {"style": "rule", "ground_truth": one.answer},
            "extra_info": {"index": index, **one.facts},
        }

    write_parquet(examples, place, schema, row)


def write_trl(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the format that ``trl.GRPOTrainer`` gets from ``datasets.load_dataset("parquet", ...)``."""

    def own(one: Example) -> dict[str, Any]:
        return {"prompt": [_turn("user", one.prompt)], "images": [_image(one)]}

    _write_for_datasets(examples, place, {"prompt": _MESSAGES, "images": pa.list_(IMAGE)}, own)


def write_sft(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the format that ``trl.SFTTrainer`` gets from ``datasets``: conversations with the model's turn."""

    def own(one: Example) -> dict[str, Any]:
        turns = [_turn("user", one.prompt), _turn("assistant", one.response or "")]
        return {"messages": turns, "images": [_image(one)]}

    _write_for_datasets(examples, place, {"messages": _MESSAGES, "images": pa.list_(IMAGE)}, own)


def write_hf(examples: Iterable[Example], place: SplitFile) -> None:
    """Write a flat table with an image column that ``datasets`` decodes."""
    columns = {"image": IMAGE, "prompt": pa.string()}
    _write_for_datasets(examples, place, columns, lambda one: {"image": _image(one), "prompt": one.prompt})


def write_easyr1(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the format of EasyR1's ``RLHFDataset``, whose other columns travel with a batch.

    Hops are JSON text: EasyR1 makes an array of each column, and lists of one length and of several do not join. There
    is no metadata of ``datasets``: EasyR1 takes undecoded images, and any release of ``datasets`` can read them.
    """
    facts = [(name, pa.string() if name == "hops" else kind) for name, kind in place.facts]
    columns = [("problem", pa.string()), ("answer", pa.string()), ("images", pa.list_(IMAGE)), *_SOURCE, *facts]

    def row(_: int, one: Example) -> dict[str, Any]:
        own = {"problem": f"<image>{one.prompt}", "answer": one.answer, "images": [_image(one)]}
        hops = {"hops": json.dumps(one.facts["hops"], ensure_ascii=False)} if place.with_hops else {}
        return {**own, "data_source": one.source, **one.facts, **hops}

    write_parquet(examples, place, pa.schema(columns), row)


def write_swift(examples: Iterable[Example], place: SplitFile) -> None:
    """Write JSON lines, and the images in the same folder; ``ROOT_IMAGE_DIR`` must name the folder when training."""
    _write_lines(examples, place, lambda one: [_turn("user", f"<image>{one.prompt}")])


def write_sft_jsonl(examples: Iterable[Example], place: SplitFile) -> None:
    """Write the same with the model's turn: for ``swift sft``, and for LLaMA-Factory as ``sharegpt``."""

    def turns(one: Example) -> list[dict[str, str]]:
        return [_turn("user", f"<image>{one.prompt}"), _turn("assistant", one.response or "")]

    _write_lines(examples, place, turns)


Writer = Callable[[Iterable[Example], SplitFile], None]
FORMATS: dict[str, Writer] = {
    "verl": write_verl,
    "trl": write_trl,
    "swift": write_swift,
    "easyr1": write_easyr1,
    "hf": write_hf,
    "sft": write_sft,
    "sft-jsonl": write_sft_jsonl,
}
WITH_RESPONSE = frozenset({"sft", "sft-jsonl"})  # formats whose examples have one


def write_parquet(
    examples: Iterable[Example], place: SplitFile, schema: pa.Schema, row: Callable[[int, Example], dict[str, Any]]
) -> None:
    """Write rows in row groups of bounded size, so that neither writer nor reader has more than two in memory."""
    with place.file(".parquet") as path, pq.ParquetWriter(path, schema, compression=compression(schema)) as writer:
        for group in read_ahead(_groups(examples, schema, row)):
            writer.write_table(group)


def _groups(
    examples: Iterable[Example], schema: pa.Schema, row: Callable[[int, Example], dict[str, Any]]
) -> Iterator[pa.Table]:
    rows: list[dict[str, Any]] = []
    size = 0
    for index, one in enumerate(examples):
        rows.append(row(index, one))
        size += len(one.image)
        if size >= _GROUP_BYTES or len(rows) >= _GROUP_ROWS:
            group = pa.Table.from_pylist(rows, schema=schema)
            rows, size = [], 0
            yield group
    yield pa.Table.from_pylist(rows, schema=schema)  # an empty file has the schema


def for_datasets(schema: pa.Schema) -> pa.Schema:
    """Return the schema with the metadata that tells ``datasets`` which columns are images: those of type IMAGE."""
    features = {field.name: _feature(field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """Return a type as ``datasets`` writes it."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": "float32" if kind == pa.float32() else str(kind), "_type": "Value"}


def _write_for_datasets(
    examples: Iterable[Example],
    place: SplitFile,
    columns: dict[str, pa.DataType],
    own: Callable[[Example], dict[str, Any]],
) -> None:
    """Write the format's ``own`` columns, and the answer, source and facts, for ``datasets``."""
    schema = pa.schema([*columns.items(), ("answer", pa.string()), *_SOURCE, *place.facts])

    def row(_: int, one: Example) -> dict[str, Any]:
        return {**own(one), "answer": one.answer, "data_source": one.source, **one.facts}

    write_parquet(examples, place, for_datasets(schema), row)


def _write_lines(
    examples: Iterable[Example], place: SplitFile, turns: Callable[[Example], list[dict[str, str]]]
) -> None:
    images = place.folder / "images"
    images.mkdir(exist_ok=True)
    with place.file(".jsonl") as path, path.open("w", encoding="utf-8") as file:
        for one in examples:
            image = images / f"{one.facts['image_id']}.{_suffix(one.image)}"
            if not image.exists() or image.stat().st_size != len(one.image):
                image.write_bytes(one.image)
            own = {"messages": turns(one), "images": [f"images/{image.name}"], "answer": one.answer}
            row = {**own, "data_source": one.source, **one.facts}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _image(one: Example) -> dict[str, Any]:
    return {"bytes": one.image, "path": None}


def _suffix(image: bytes) -> str:
    """Return the suffix of an encoded image, by its first bytes."""
    if image.startswith(b"\xff\xd8"):
        return "jpg"
    return "webp" if image[8:12] == b"WEBP" else "png"
