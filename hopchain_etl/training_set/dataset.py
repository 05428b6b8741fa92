"""Reads a training set: rows with their images, streamed, filtered, or by index. Needs the core install only.

    rows = TrainingSet("set", split="train").where("n_hops >= 5", "band != all_wrong")
    for row in rows:
        row.prompt(), row.answer(), row.image()

Rows come in the order of the files (by ``query_id``). At any time only one batch of rows and one row group of an image
part are in memory, independent of the size of the set.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.schemas import SPLITS, TRAINING_SCHEMA
from hopchain_etl.training_set.images import Images, NotPulledError
from hopchain_etl.training_set.reading import reading
from hopchain_etl.training_set.withdrawn import withdrawn_among

if TYPE_CHECKING:
    from PIL import Image

VARIANTS = ("full", "half", "single")
_BATCH = 64  # rows in memory at a time; a row with all its masks can be 100 KB
_CONDITION = re.compile(r"\s*([a-z_]+)\s*(==|!=|<=|>=|<|>|=)\s*(.*?)\s*")


class TrainingRow(dict[str, Any]):
    """One row (schemas.TRAINING_ROWS, or the selected columns), with access to its image."""

    def __init__(self, values: dict[str, Any], images: Images) -> None:
        super().__init__(values)
        self._images = images

    def prompt(self, variant: str = "full") -> str | None:
        """Return the question of a variant with the instruction how to answer; None if the row has no such variant."""
        if variant == "full":
            return str(self["prompt"])
        question = self[f"question_{variant}"]
        return None if question is None else question + self["prompt"][len(self["question"]) :]

    def answer(self, variant: str = "full") -> str | None:
        """Return the answer of a variant as an exact decimal; None if the row has no such variant."""
        answer: str | None = self["answer" if variant == "full" else f"answer_{variant}"]
        return answer

    def image_bytes(self) -> bytes:
        """Return the encoded image. Raises NotPulledError if its part has not been downloaded."""
        return self._images.read(self["image_id"])

    def image(self) -> Image.Image:
        """Return the decoded image (RGB). Raises NotPulledError if its part has not been downloaded."""
        from PIL import Image

        with Image.open(io.BytesIO(self.image_bytes())) as opened:
            return opened.convert("RGB")


class TrainingSet:
    """The rows of one target, or of one of its splits, in a folder filled by ``dvc pull``.

    ``path`` is a clone, its ``training_set/``, or the folder of one target; ``target`` is required if there are
    several. Only ``columns`` (default: all) are read. Rows of photos that were withdrawn since, as far as the clone
    knows (``training_set.withdrawn``), are left out; ``withdrawn`` names other photos to leave out instead. Raises
    NotPulledError if no rows have been downloaded, and ValueError for an unknown split, target, column or schema
    version.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        target: str | None = None,
        split: str | None = None,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
        withdrawn: Iterable[str] | None = None,
    ) -> None:
        targets, images = layout(Path(path))
        self.folder = _one(targets, target)
        self.split, self.columns, self.filter = split, list(columns) if columns is not None else None, where
        self._image_folder = images
        if split is not None and split not in SPLITS:
            raise ValueError(f"no split {split!r}; there are {' and '.join(SPLITS)}")
        self.files = sorted((self.folder / "rows").glob(f"{split or '*'}-*.parquet"))
        if not self.files:
            raise NotPulledError(f"no rows of {split or 'any split'} in {self.folder / 'rows'}; run `dvc pull`")
        self.schema = _checked_schema(self.files[0])
        if withdrawn is None:
            withdrawn = withdrawn_among(self.folder, self._each("image_id"))
        self.withdrawn = frozenset(withdrawn)
        if unknown := sorted(set(self.columns or ()) - set(self.schema.names)):
            raise ValueError(f"no column {unknown[0]!r}; `hopchain schema` describes all")

    def where(self, *conditions: str | pc.Expression) -> TrainingSet:
        """Return the rows that also meet all conditions: pyarrow expressions, or text such as ``n_hops >= 5``.

        In text conditions a column is compared with ``== != < <= > >=`` to a number, a word, ``true``, ``false`` or
        ``null``.
        """
        combined = self.filter
        for one in conditions:
            condition = parse_condition(one, self.schema) if isinstance(one, str) else one
            combined = condition if combined is None else combined & condition
        return self._with(where=combined)

    def select(self, *columns: str) -> TrainingSet:
        """Return the same rows with these columns only; images are still available if ``image_id`` is included."""
        return self._with(columns=columns)

    def __iter__(self) -> Iterator[TrainingRow]:
        for batch in self.batches():
            for values in batch.to_pylist():
                yield TrainingRow(values, self.images)

    def batches(self, rows: int = _BATCH) -> Iterator[pa.RecordBatch]:
        """Yield record batches of at most ``rows`` rows, file by file, in order."""
        import pyarrow.dataset as ds  # loads pandas, which a process that verifies does not need

        for path in self.files:
            with reading(path):
                scanner = ds.dataset(path, format="parquet").scanner(
                    columns=self.columns, filter=self._all_filters(), batch_size=rows,
                    batch_readahead=1, fragment_readahead=1, use_threads=False,
                    fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False),
                )  # fmt: skip
                yield from (batch for batch in scanner.to_batches() if batch.num_rows)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> TrainingRow: ...

    @overload
    def __getitem__(self, index: slice) -> list[TrainingRow]: ...

    def __getitem__(self, index: int | slice) -> TrainingRow | list[TrainingRow]:
        """Return one row by index, or a list of rows by slice; negative indexes count from the end."""
        if isinstance(index, slice):
            return list(self._at(self._places[index]))
        return next(self._at([self._places[index]]))

    def by_id(self, query_id: str) -> TrainingRow:
        """Return the row of a query; raise KeyError if it is not among these rows."""
        return self[self._index[query_id]]

    @cached_property
    def images(self) -> Images:
        """The images of the set (of all targets and splits)."""
        return Images(self._image_folder)

    @cached_property
    def _places(self) -> Sequence[int]:
        """The positions of the filtered rows in the files."""
        total = sum(_footer(path).num_rows for path in self.files)
        if self._all_filters() is None:
            return range(total)
        kept = set(self._ids())
        return [place for place, one in enumerate(self._each("query_id")) if one in kept]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {one: number for number, one in enumerate(self._ids())}

    def _ids(self) -> Iterator[str]:
        for batch in self._with(columns=["query_id"]).batches(10_000):
            yield from batch["query_id"].to_pylist()

    def _at(self, places: Iterable[int]) -> Iterator[TrainingRow]:
        """Yield the rows at positions in the files; neighbours are taken from one read of their row group."""
        for (path, group), located in groupby(map(self._locate, places), key=itemgetter(0, 1)):
            with reading(path):
                table = pq.ParquetFile(path).read_row_group(group, columns=self.columns, use_threads=False)
            for _, _, offset in located:
                yield TrainingRow(table.slice(offset, 1).to_pylist()[0], self.images)

    def _locate(self, place: int) -> tuple[Path, int, int]:
        """Return file, row group and offset of a row."""
        for path in self.files:
            metadata = _footer(path)
            for group in range(metadata.num_row_groups):
                size = metadata.row_group(group).num_rows
                if place < size:
                    return path, group, place
                place -= size
        raise IndexError(place)

    def _each(self, column: str) -> Iterator[str]:
        """Yield a column of every row in the files, also of rows that are left out."""
        for path in self.files:
            with reading(path):
                values = pq.read_table(path, columns=[column])[column]
            yield from values.to_pylist()

    def _all_filters(self) -> pc.Expression | None:
        if not self.withdrawn:
            return self.filter
        kept = ~pc.field("image_id").isin(sorted(self.withdrawn))
        return kept if self.filter is None else self.filter & kept

    def _with(self, **changes: Any) -> TrainingSet:
        same = {"split": self.split, "columns": self.columns, "where": self.filter, "withdrawn": self.withdrawn}
        other = TrainingSet(self.folder, **{**same, **changes})
        if "images" in self.__dict__:
            other.__dict__["images"] = self.images
        return other


def layout(path: Path) -> tuple[list[Path], Path]:
    """Return the folders of the targets, and the folder of the images; raise NotPulledError if there are none.

    ``path`` may also be the folder of a target's rows.
    """
    root = path / "training_set" if (path / "training_set").is_dir() else path
    if root.resolve().name == "rows" and any(root.glob("*.parquet")):
        root = root.resolve().parent
    targets = [root] if (root / "rows").is_dir() else sorted(rows.parent for rows in root.glob("*/rows"))
    if not targets and (path / "export.json").exists():
        raise NotPulledError(f"{path} is an export for a trainer; give the training set that it was made from")
    if not targets:
        raise NotPulledError(f"no training set below {path}; clone the registry at a tag and run `dvc pull` there")
    return targets, (root.parent if targets == [root] else root) / "images"


def parse_condition(text: str, schema: pa.Schema) -> pc.Expression:
    """Return ``column op value`` as an expression, the value cast to the column's type; raise ValueError if invalid.

    Comparisons (except with ``null``) exclude rows where the column is null.
    """
    match = _CONDITION.fullmatch(text)
    if not match or match[1] not in schema.names:
        names = ", ".join(field.name for field in schema if not pa.types.is_nested(field.type))
        raise ValueError(
            f"{text!r} is not a valid condition; write `column op value` with op == != < <= > >= on one of: {names}"
        )
    column, sign, word = match.groups()
    kind = schema.field(column).type
    if word == "null":
        if sign not in ("==", "=", "!="):
            raise ValueError(f"{text!r}: null is only equal or not equal")
        return pc.field(column).is_null() if sign != "!=" else pc.field(column).is_valid()
    try:
        value = pa.scalar(word.strip("\"'")).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{text!r}: {word!r} is not a valid {kind} for column {column}") from error
    field = pc.field(column)
    return {
        "==": field == value, "=": field == value, "!=": field != value,
        "<": field < value, "<=": field <= value, ">": field > value, ">=": field >= value,
    }[sign]  # fmt: skip


def _one(targets: list[Path], target: str | None) -> Path:
    names = [folder.name for folder in targets]
    if target is None and len(targets) == 1:
        return targets[0]
    if target not in names:
        problem = "several targets" if target is None else f"no target {target!r}"
        raise ValueError(f"{problem} found; choose one of: {', '.join(names)}")
    return targets[names.index(target)]


def _footer(path: Path) -> pq.FileMetaData:
    with reading(path):
        return pq.read_metadata(path)


def _checked_schema(path: Path) -> pa.Schema:
    with reading(path):
        schema = pq.read_schema(path)
    version = (schema.metadata or {}).get(b"hopchain_schema", b"1").decode()
    if version != TRAINING_SCHEMA:
        remedy = "pull a newer version of the set" if version < TRAINING_SCHEMA else "upgrade hopchain-etl"
        raise ValueError(
            f"{path} is of schema version {version}, this reader supports version {TRAINING_SCHEMA}: {remedy}"
        )
    return schema
