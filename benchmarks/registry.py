"""Releases ten nights in a row from a growing lake, twice, and looks at what travelled and what is still there.

Run it as ``python -m benchmarks.registry``. The last line is JSON. ``pushed_over_new`` is the worst night: bytes pushed
over the bytes of the photos and rows that the night brought (rows as Parquet on their own). ``old_tags_ok``: every tag
still pulls the bytes that it had when it was made. ``same_bytes``: a second lake with the same nights, released from
clones of its own into a registry of its own, makes the same objects.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.own_s3 import own_s3
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.parquet import parquet_bytes
from hopchain_etl.lake.stores import open_store
from hopchain_etl.release.registry import publish
from hopchain_etl.settings import Settings
from support import drawn_lake


class Registry:
    """A lake and a registry of its own on one S3 server."""

    def __init__(self, name: str, endpoint_url: str, folder: Path) -> None:
        self._folder = folder / name
        self._folder.mkdir()
        self._bucket = SimpleNamespace(bucket=name, endpoint_url=endpoint_url)
        self._bare = self._folder / "registry.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self._bare)], check=True)
        open_store(self.settings().lake).ensure_bucket()

    def settings(self, *lineages: str) -> Settings:
        release = {"policy": "unreviewed", "lineages": lineages}
        return drawn_lake.settings_for(self._bucket, release=release, registry={"git_url": str(self._bare)})

    def release(self, night: int, photos: int) -> tuple[str, int, int]:
        """Add a night to the lake and release; return tag, bytes pushed, and bytes of the night's photos and rows."""
        lake = Lake(self.settings().lake)
        seeds = range(night * photos, (night + 1) * photos)
        prints, queries = drawn_lake.fill(lake, seeds, intake=f"night-{night:02d}", noise=True)
        result = publish(self.settings(prints.queries))
        assert result.tag, result.note
        clone = self.pull(result.tag)
        mine = {query["query_id"] for query in queries}
        rows = pq.read_table(sorted((clone / "training_set/default/rows").glob("*.parquet")))
        own = rows.filter(pa.compute.is_in(rows["query_id"], pa.array(sorted(mine))))
        assert own.num_rows == len(mine)
        images = {query["image_id"] for query in queries}  # drawn as PNG: the photo's bytes are the blob's
        return result.tag, result.pushed_bytes, len(parquet_bytes(own)) + sum(len(lake.blob(one)) for one in images)

    def pull(self, tag: str) -> Path:
        """Return a fresh clone at a tag with everything pulled."""
        clone = Path(tempfile.mkdtemp(dir=self._folder)) / "clone"
        quiet = ["git", "clone", "-q", "-c", "advice.detachedHead=false", "--branch", tag]
        subprocess.run([*quiet, str(self._bare), str(clone)], check=True)
        subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], cwd=clone, check=True)
        return clone

    def objects(self) -> dict[str, int]:
        """Return every object of the DVC remote, whose key is its content's hash, with its size."""
        remote = self.settings().registry.remote
        assert remote is not None
        return {entry.key: entry.size for entry in open_store(remote).list_objects()}


def digest(clone: Path) -> str:
    """Return one hash over all data files of a clone."""
    total = hashlib.sha256()
    for path in sorted((clone / "training_set").rglob("*.parquet")):
        total.update(str(path.relative_to(clone)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--photos", type=int, default=40, help="a night")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "aws").write_text("[default]\ns3 =\n    addressing_style = path\n")
        (folder / "gitconfig").write_text("[user]\n\tname = bench\n\temail = bench@localhost\n")
        with own_s3(folder / "s3") as endpoint_url:
            os.environ |= {"AWS_CONFIG_FILE": str(folder / "aws"), "GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}
            os.environ |= {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "site")}
            one, two = (Registry(each, endpoint_url, folder) for each in ("one", "two"))
            ratios, held = [], {}
            for night in range(options.nights):
                tag, pushed, new = one.release(night, options.photos)
                two.release(night, options.photos)
                held[tag] = digest(one.pull(tag))
                ratios.append(pushed / new)
                print(f"{tag}: {pushed} bytes pushed for {new} new ones", file=sys.stderr)
            ok = sum(digest(one.pull(tag)) == data for tag, data in held.items())
            same = one.objects() == two.objects()
    print(json.dumps({"pushed_over_new": round(max(ratios), 3), "old_tags_ok": ok == len(held), "same_bytes": same}))


if __name__ == "__main__":
    main()
