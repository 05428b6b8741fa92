"""Where the columns of files differ, and what `datasets` is told of the columns of a mix."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.training.parquet_schemas import SchemaError, aligned, differences, schema_of

ONE = pa.schema([("a", pa.int32()), ("b", pa.struct([("c", pa.string()), ("d", pa.list_(pa.float32()))]))])


def put(file: Path, schema: pa.Schema, features: dict[str, object] | None = None) -> Path:
    if features is not None:
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(schema.empty_table(), file)
    return file


def test_differences_are_named_down_to_the_field() -> None:
    other = pa.schema([("b", pa.struct([("d", pa.list_(pa.string())), ("e", pa.int8())])), ("a", pa.int32())])
    assert differences(ONE, ONE) == []
    assert sorted(differences(ONE, other)) == [
        ("b.c", "string", "no such column"),
        ("b.d[]", "float", "string"),
        ("b.e", "no such column", "int8"),
    ]


def test_the_order_of_columns_and_the_names_of_items_do_not_matter() -> None:
    items = pa.list_(pa.field("item", pa.float32()))
    other = pa.schema([("b", pa.struct([("d", items), ("c", pa.string())])), ("a", pa.int32())])
    assert differences(ONE, other) == []


def test_columns_that_datasets_decodes_stay_so(tmp_path: Path) -> None:
    image, text = {"_type": "Image"}, {"_type": "Value", "dtype": "string"}
    one = put(tmp_path / "one.parquet", pa.schema([("image", pa.binary())]), {"image": image})
    two = put(
        tmp_path / "two.parquet", pa.schema([("image", pa.binary()), ("t", pa.string())]), {"t": text, "image": image}
    )
    whole = aligned([one, two], fill=True)
    assert json.loads(whole.metadata[b"huggingface"])["info"]["features"] == {"image": image, "t": text}
    plain = put(tmp_path / "plain.parquet", pa.schema([("x", pa.int8())]))
    assert not aligned([one, plain], fill=True).metadata  # of x nobody says what it is


def test_the_wider_number_is_taken_and_text_is_no_number(tmp_path: Path) -> None:
    files = [
        put(tmp_path / f"{kind}.parquet", pa.schema([("a", kind)])) for kind in (pa.int32(), pa.int64(), pa.string())
    ]
    assert aligned(files[:2], fill=True).field("a").type == pa.int64()
    with pytest.raises(SchemaError, match=r"string\.parquet: column a is string; in .*int32\.parquet it is int"):
        aligned(files, fill=True)


@pytest.mark.parametrize(
    ("here", "there", "told"),
    [
        (pa.list_(pa.struct([("content", pa.string())])), pa.string(), "column a is string; in .* it is list<"),
        (pa.list_(pa.struct([("bytes", pa.binary())])), pa.list_(pa.binary()), r"column a is list<.*it is list<"),
        (pa.struct([("c", pa.string()), ("d", pa.int8())]), pa.struct([("c", pa.int8())]), r"column a\.c is int8"),
    ],
)
def test_types_that_cannot_be_joined_are_named(
    tmp_path: Path, here: pa.DataType, there: pa.DataType, told: str
) -> None:
    one = put(tmp_path / "one.parquet", pa.schema([("a", here), ("b", pa.int8())]))
    two = put(tmp_path / "two.parquet", pa.schema([("b", pa.int16()), ("a", there)]))
    with pytest.raises(SchemaError, match=rf"two\.parquet: {told}"):
        aligned([one, two], fill=True)


def test_two_columns_of_one_name_are_told(tmp_path: Path) -> None:
    file = put(tmp_path / "a.parquet", pa.schema([("x", pa.int8()), ("y", pa.int8()), ("x", pa.string())]))
    with pytest.raises(SchemaError, match=r"a\.parquet has two columns with the name x"):
        schema_of(file)


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("{}")
    with pytest.raises(SchemaError, match=r"a\.parquet is no Parquet file"):
        schema_of(tmp_path / "a.parquet")
