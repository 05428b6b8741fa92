"""Mixes 200,000 rows with images in a process of its own: rows a second, and memory at its peak.

Run it as ``python -m benchmarks.mix``. Two sources of the same size, one of them a single huge row group as other tools
write it, are mixed in two phases. The last line is JSON: ``peak_mb`` (the goal is below 1,000), ``rows_per_s``, and the
same for a quarter of the rows: memory must not grow with them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl.training.mix import MixSpec, mix
from support.peak_memory import peak_mib
from support.trainer_rows import VERL, verl_row


def main() -> None:
    """Draw the sources, mix them in fresh processes, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--image-bytes", type=int, default=20_000, help="of each row's image")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mix-") as name:
        small, large = (measured(Path(name), rows, given.image_bytes) for rows in (given.rows // 4, given.rows))
    print(json.dumps({"rows": given.rows, "image_bytes": given.image_bytes, **large, "quarter": small}))


def measured(folder: Path, rows: int, image_bytes: int) -> dict[str, float]:
    """Return peak and speed of one mix."""
    for name, group in (("hops", 500), ("base", rows)):
        draw(folder / f"{name}.parquet", name, rows // 2, image_bytes, group)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=run, args=(folder, rows, theirs))
    process.start()
    told: dict[str, float] = ours.recv()
    process.join()
    return told


def run(folder: Path, rows: int, pipe: Connection) -> None:
    """Mix half of the base rows first, then the rest with all of ours."""
    spec = MixSpec.of(
        {
            "sources": {name: [folder / f"{name}.parquet"] for name in ("base", "hops")},
            "phases": [{"shares": {"base": 1}, "rows": rows // 4}, {"order": "curriculum"}],
        },
        "benchmark",
    )
    started, processor = time.perf_counter(), time.process_time()
    told = mix(spec, folder / "out")
    seconds, processor = time.perf_counter() - started, time.process_time() - processor
    assert told["rows"] == rows
    pipe.send(
        {
            "peak_mb": round(peak_mib() * 1.048576),
            "rows_per_s": round(rows / seconds),
            "processor_s": round(processor, 1),
        }
    )


def draw(file: Path, name: str, rows: int, image_bytes: int, group: int) -> None:
    """Write rows with random bytes for images, in row groups of ``group`` rows, without holding more than one batch."""
    random = np.random.default_rng(0)
    with pq.ParquetWriter(file, VERL, compression="zstd") as writer:
        table = []
        for number in range(rows):
            table.append(verl_row(name, number, random.bytes(image_bytes)))
            if len(table) == 500 or number == rows - 1:
                writer.write_batch(pa.RecordBatch.from_pylist(table, VERL), row_group_size=group)
                table = []


if __name__ == "__main__":
    main()
