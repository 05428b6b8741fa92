"""Mixes several training files into one, in phases with exact shares: the same order on every machine.

Images are in the rows, so rows are streamed: at any time one batch of a source and one bucket of the output are in
memory, whatever their number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hopchain_etl.training.mix.order import Plan, planned
from hopchain_etl.training.mix.rows import Source
from hopchain_etl.training.mix.spec import MixError, MixSpec, Phase
from hopchain_etl.training.mix.write import copy_rows, write_rows
from hopchain_etl.training.parquet_schemas import aligned

__all__ = ["MixError", "MixSpec", "Phase", "mix"]

MIX_FILE, ROWS_FILE, VALIDATION_FILE = "mix.json", "train.parquet", "validation.parquet"


def mix(spec: MixSpec, out: Path, advance: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """Write ``train.parquet`` and ``mix.json`` to the folder ``out``; return what ``mix.json`` says.

    The spec's validation file is written beside them as ``validation.parquet``: its rows as they are, with the columns
    of the mix, because trainers load both as one data set.

    ``advance`` is called with numbers of rows that were written. Raises MixError where a phase cannot be filled, and
    SchemaError where files differ.
    """
    files = [file for files in spec.sources.values() for file in files] + ([spec.validation] if spec.validation else [])
    if missing := [file for file in files if not file.is_file()]:
        raise MixError(f"{missing[0]} is no file; sources are Parquet files")
    target, validation = out / ROWS_FILE, out / VALIDATION_FILE
    if found := {target.resolve(), validation.resolve()} & {file.resolve() for file in files}:
        raise MixError(f"{min(found)} is a source and would be overwritten; choose another folder")
    schema = aligned(files, fill=spec.align)
    sources = {name: Source.read(name, files, spec.seed) for name, files in spec.sources.items()}
    plan = planned(spec, sources)
    out.mkdir(parents=True, exist_ok=True)
    (out / MIX_FILE).unlink(missing_ok=True)  # never beside rows of another mix
    write_rows(plan, sources, schema, target, advance)
    validation.unlink(missing_ok=True)
    if spec.validation:
        copy_rows(spec.validation, schema, validation)
    told = _told(spec, sources, plan)
    (out / MIX_FILE).write_text(json.dumps(told, indent=1) + "\n")
    return told


def _told(spec: MixSpec, sources: dict[str, Source], plan: Plan) -> dict[str, Any]:
    phases, first = [], 0
    for phase, part in zip(spec.phases, plan.phases, strict=True):
        taken = {}
        for place, (name, source) in enumerate(sources.items()):
            rows = part.rows[part.sources == place]
            if len(rows):
                taken[name] = {"rows": len(rows), "bands": source.bands_of(rows)}
        phases.append({"first": first, "rows": len(part.rows), "order": phase.order, "sources": taken})
        first += len(part.rows)
    return {
        "file": ROWS_FILE,
        "rows": first,
        "seed": spec.seed,
        "order_sha256": _digest(plan),
        "sources": {
            name: {
                "files": [str(file) for file in source.files],
                "rows": source.count,
                "used": len(np.unique(plan.rows[plan.sources == place])),
            }
            for place, (name, source) in enumerate(sources.items())
        },
        "phases": phases,
    }


def _digest(plan: Plan) -> str:
    """Return a digest of which rows come in which order: equal on all machines for the same files and seed."""
    digest = hashlib.sha256()
    for part in plan.phases:
        digest.update(part.sources.astype("<i4").tobytes() + part.rows.astype("<i8").tobytes())
    return digest.hexdigest()
