"""Compares ingest with tools that fetch photos: ``python -m benchmarks.peers.ingest``.

All fetch the same photos from the embedded S3 server, decode them, compute a perceptual hash and a sha256, store each
photo below its sha256 and write a Parquet file of what they found; each in processes of its own, in turn. Ingest also
rejects, removes metadata, finds near-duplicates and writes markers; the bare loop has no perceptual hash and no table.
It prints a table for small and one for large photos, medians of the rounds, and last the same as JSON:

- ``rate``: photos a second, as a share of the bare loop's; the server has its part of the same processors;
- ``cpu_ms``: processor time a photo, without the server's; ``peak_mib``: memory of all processes of the tool together.

The tools:

- ``threads``: as img2dataset does it, processes with threads in each, which fetch, decode and store;
- ``huggingface``: a ``datasets`` map with a process for each core, whose batches fetch and store in threads;
- ``daft_frame``: Daft's ``download`` and ``decode_image``, functions for the hashes, and ``upload``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.ingest import photo
from benchmarks.own_s3 import own_s3
from benchmarks.peers.figures import BARE, OURS, Told, in_turn, rank, relative, show, table
from benchmarks.peers.ingest_tools import TOOLS
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings

ROOT = Path(__file__).parents[2]
SIZES = {"small": (0.3, 0.3), "large": (12.0, 12.0)}  # megapixels
LIMIT = 600  # seconds for one tool


def compare(size: str, photos: int, rounds: int, tools: list[str]) -> dict[str, Told]:
    """Return the figures of each tool for photos of one size."""
    told: dict[str, list[Told]] = {name: [] for name in tools}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with own_s3(folder / "s3") as endpoint_url:
            source = open_store(S3Settings(uri="s3://bench/photos", endpoint_url=endpoint_url, path_style=True))
            source.ensure_bucket()
            for number in range(photos):
                source.put(f"{number:05d}.jpg", photo(number, SIZES[size]))
            for at in range(rounds):
                for tool in in_turn(tools, at):
                    target, found = f"s3://bench/{tool}-{at}", folder / f"{tool}-{at}"
                    told[tool].append(run(tool, photos, endpoint_url, target, found))
                    if not isinstance(told[tool][-1], str):
                        check(photos, S3Settings(uri=target, endpoint_url=endpoint_url, path_style=True), found)
                    print(f"{size}, round {at + 1}: {tool} {show(told[tool][-1])}", file=sys.stderr, flush=True)
    return relative(told, {"rate"})


def check(photos: int, target: S3Settings, found: Path) -> None:
    """Every photo must be stored below its sha256, and a tool's own table must have a row for each."""
    import pyarrow.parquet as pq

    keys = {entry.key.split("/")[-1] for entry in open_store(target).list_objects()}
    assert sum(len(key) == 64 for key in keys) == photos, f"{target.uri} has not all photos"
    if found.exists():  # ingest's table is in its lake, the bare loop has none
        rows = pq.read_table(found).to_pylist()
        assert len(rows) == photos
        assert {row["sha256"] for row in rows} <= keys
        assert all(len(row["phash"]) == 16 for row in rows)


def run(tool: str, photos: int, endpoint: str, target: str, found: Path) -> Told:
    """Return the figures of one run of a tool, or why there are none. Ours must have some."""
    folder = found.parent
    command = ["-m", "benchmarks.peers.ingest_tools", tool, str(photos), endpoint, target, str(found)]
    command = [sys.executable, "-m", "benchmarks.peers.process_tree", str(LIMIT), sys.executable, *command]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "HOME": str(folder)}
    with (folder / "log.txt").open("w") as log:
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    usage = json.loads(told.stdout)
    if usage["status"] != 0:
        print(f"{tool}:\n{(folder / 'log.txt').read_text()[-3000:]}", file=sys.stderr, flush=True)
        if tool in (OURS, BARE):
            raise RuntimeError(f"{tool} ended with status {usage['status']}")
        return f"cannot: ended with status {usage['status']}"
    seconds = usage["ended"] - usage["started"]
    return {"rate": photos / seconds, "cpu_ms": 1_000 * usage["cpu"] / photos, "peak_mib": usage["peak_mib"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1200, help="small ones; a sixth as many large ones")
    parser.add_argument("--rounds", type=int, default=3)
    asked = "beside ours and the bare loop, which the figures are shares of"
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=list(TOOLS), help=asked)
    options = parser.parse_args()
    names = list(dict.fromkeys([BARE, OURS, *options.tools]))
    numbers = {"small": options.photos, "large": max(1, options.photos // 6)}
    told = {size: compare(size, photos, options.rounds, names) for size, photos in numbers.items()}
    for size, tools in told.items():
        print(f"\n### {size}\n\n{table(tools)}")
    ranks = {f"{size}_{figure}": rank(tools, figure, lowest=figure != "rate")
             for size, tools in told.items() for figure in ("rate", "cpu_ms")}  # fmt: skip
    print(json.dumps({**ranks["small_rate"], "ranks": ranks, **told}))


if __name__ == "__main__":
    main()
