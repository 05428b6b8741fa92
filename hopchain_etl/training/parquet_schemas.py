"""Whether Parquet files can be read as one: what their columns are called, and where their types differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FEATURES = b"huggingface"  # the key under which `datasets` keeps which columns are images


class SchemaError(ValueError):
    """Files differ in their columns; the message names file, column, both types and the remedy."""


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file. Raises SchemaError if it is none, or has two columns of one name."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SchemaError(f"{path} is no Parquet file that can be read: {error}") from error
    if twice := [name for name in schema.names if schema.names.count(name) > 1]:
        raise SchemaError(f"{path} has two columns with the name {twice[0]}; rename or drop one")
    return schema


def differences(one: pa.Schema, other: pa.Schema) -> list[tuple[str, str, str]]:
    """Return where two schemas differ: column (``extra_info.index``), its type in ``one`` and in ``other``, or "no such
    column". The order of columns does not matter."""
    here, there = dict(_leaves(one)), dict(_leaves(other))
    absent = "no such column"
    return [
        (name, here.get(name, absent), there.get(name, absent))
        for name in here | there
        if here.get(name) != there.get(name)
    ]


def aligned(files: Sequence[Path], *, fill: bool) -> pa.Schema:
    """Return the schema that all files have, with the columns in the order of the first.

    With ``fill`` a column or field that a file lacks is allowed (null there), and the wider of two numbers is taken.
    Raises SchemaError where files differ.
    """
    schemas = [schema_of(file) for file in files]
    whole = schemas[0]
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        if not fill and (found := differences(whole, schema)):
            raise SchemaError(_told(files[0], file, found, "--align fills what one of them lacks with null"))
        if not fill:
            continue
        try:
            whole = pa.unify_schemas([whole.remove_metadata(), schema.remove_metadata()], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(_told(files[0], file, list(_clashes(whole, schema)), "convert one of them")) from error
    return whole.with_metadata(_metadata(whole, schemas))


def _clashes(one: pa.Schema, other: pa.Schema) -> Iterator[tuple[str, str, str]]:
    """Yield the columns whose types in two schemas cannot be joined, as ``differences``."""
    for name in (name for name in one.names if name in other.names):
        here, there = (pa.schema([schema.field(name)]) for schema in (one, other))
        try:
            pa.unify_schemas([here, there], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            inside = [found for found in differences(here, there) if "no such column" not in found[1:]]
            yield from inside or [(name, str(here.field(0).type), str(there.field(0).type))]


def _told(first: Path, other: Path, found: Sequence[tuple[str, str, str]], remedy: str) -> str:
    lines = [f"{other}: column {name} is {there}; in {first} it is {here}" for name, here, there in found[:5]]
    more = f"\nand {len(found) - 5} more columns" if len(found) > 5 else ""
    return "\n".join(lines) + f"{more}\nThe files must have the same columns: {remedy}"


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    for field in schema:
        yield from _leaf(field.name, field.type)


def _leaf(name: str, kind: pa.DataType) -> Iterator[tuple[str, str]]:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaf(f"{name}[]", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaf(f"{name}.{field.name}", field.type)
    else:
        yield name, str(kind)


def _metadata(whole: pa.Schema, schemas: Sequence[pa.Schema]) -> dict[bytes, bytes] | None:
    """Return what ``datasets`` has to know of all columns; None if no file says so, or not of every column."""
    features: dict[str, Any] = {}
    for schema in reversed(schemas):
        said = (schema.metadata or {}).get(_FEATURES)
        features |= json.loads(said)["info"]["features"] if said else {}
    if not set(whole.names) <= features.keys():
        return None
    return {_FEATURES: json.dumps({"info": {"features": {name: features[name] for name in whole.names}}}).encode()}
