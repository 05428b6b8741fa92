"""A lake in which a photo has left traces everywhere, and a search for these in stores and git repositories."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.gold import Gold, GoldItem
from hopchain_etl.annotation.vote_archive import pack
from hopchain_etl.lake.journal import ModelJournal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.lake.segments import Answer
from hopchain_etl.quality.validator import write_docs
from support import drawn_lake

FIRST = Shard("first", 0)
ETAG = "copied"
Row = dict[str, Any]


@dataclass(frozen=True)
class Taken:
    """The photo that is to go, what names it, and the fingerprints of the lake's tables."""

    image: str
    uri: str
    etag: str
    queries: frozenset[str]
    needles: frozenset[bytes]
    prints: drawn_lake.Lineages
    answers: str


def said(about: str) -> str:
    """Return a text about a photo or a question that names neither."""
    return f"a text like no other {zlib.crc32(about.encode())}"


def plain(data: bytes) -> bytes:
    """Return what is in an object: the rows of Parquet, the text of what is compressed."""
    if data[:4] == b"PAR1":
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
        raw = b"".join(value for row in rows for value in row.values() if isinstance(value, bytes))
        return json.dumps(rows, default=repr, ensure_ascii=False).encode() + raw
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        with pa.CompressedInputStream(io.BytesIO(data), "zstd") as stream:
            return bytes(stream.read())
    return data


def traces(store: ObjectStore, needles: Iterable[bytes]) -> set[str]:
    """Return the keys with any of the needles in key or content, in whatever version."""
    wanted = list(needles)
    found = set()
    for one in store.versions():
        data = b"" if one.deleted else store.version(one) if store.versioned else store.get(one.key)
        texts = (data, plain(data), one.key.encode())
        if any(needle in text for needle in wanted for text in texts):
            found.add(one.key)
    return found


def traces_in_git(bare: Path, needles: Iterable[bytes]) -> set[str]:
    """Return the ids of all objects that any reference reaches and that hold any of the needles."""

    def git(*command: str, told: bytes = b"") -> bytes:
        return subprocess.run(["git", *command], input=told, cwd=bare, capture_output=True, check=True).stdout

    ids = [line.split(b" ")[0] for line in git("rev-list", "--objects", "--all").splitlines()]
    refs = git("for-each-ref", "--format=%(objectname)").split()
    told = io.BytesIO(git("cat-file", "--batch", told=b"".join(name + b"\n" for name in {*ids, *refs})))
    wanted, found = list(needles), set()
    while head := told.readline():  # id, type and size; then the content and a line feed
        name, _, size = head.split()
        content = told.read(int(size) + 1)
        if any(needle in content for needle in wanted):
            found.add(name.decode())
    return found


def needles_of(
    image: str, data: bytes, queries: Iterable[Row], instances: Iterable[str], *more: str
) -> Iterator[bytes]:
    """Yield what may be found nowhere any more: bytes, ids and texts of a photo."""
    yield data
    yield from (text.encode() for text in (image, *instances, *more))
    for query in queries:
        yield query["query_id"].encode()


def fill(lake: Lake) -> Taken:
    """Fill a lake with three photos, of which the first is known to everything that a lake holds."""
    prints, queries = drawn_lake.fill(lake, range(3), changes=_GROUPED)
    data, objects = drawn_lake.draw(0)
    image = drawn_lake.image_row(data, 0)
    gone = image["image_id"]
    mine = [query for query in queries if query["image_id"] == gone]
    instances = [drawn_lake.instance_row(gone, *one)["instance_id"] for one in objects]
    answers = drawn_lake.answer(lake, prints.queries, queries)
    _listing(lake, image)
    _rejects(lake, prints, gone, image["uri"])
    _said_by_models(lake, prints, queries, gone)
    _people(lake, prints, queries, mine[0], gone)
    _pages(lake, prints, mine[0])
    lake.put_json(
        "contamination.json", {"images": {gone: {"benchmark": "b"}, "0" * 64: {}}, "questions": {}, "benchmarks": {}}
    )
    needles = needles_of(gone, data, mine, instances, image["uri"], "a copy.png", said(mine[0]["query_id"]), said(gone))
    return Taken(
        gone,
        image["uri"],
        image["etag"],
        frozenset(one["query_id"] for one in mine),
        frozenset(needles),
        prints,
        answers,
    )


class _KilledError(Exception):
    """The process is killed after it has written the archive of votes."""


def _killed() -> None:
    raise _KilledError


_FIRST_ID = drawn_lake.image_row(drawn_lake.draw(0)[0], 0)["image_id"]
_GROUPED = {1: {"group": _FIRST_ID}, 2: {"near": [_FIRST_ID]}}


def _listing(lake: Lake, image: Row) -> None:
    seen = [image, *(drawn_lake.image_row(drawn_lake.draw(seed)[0], seed) for seed in (1, 2))]
    rows = [{"uri": one["uri"], "etag": one["etag"], "bytes": 1} for one in seen]
    rows.append({"uri": "s3://photos/a copy.png", "etag": ETAG, "bytes": 1})
    part = lake.write_part(
        lake.folder("images", None, FIRST), "listing", pa.Table.from_pylist(rows, schema=schemas.LISTING)
    )
    lake.put_json("images/intake=first/_LISTED", {"order": 1, "listed": 4, "new": 4, "shards": [vars(part)]})


def _rejects(lake: Lake, prints: drawn_lake.Lineages, gone: str, uri: str) -> None:
    copy = {
        "stage": "ingest",
        "scope": "input",
        "outcome": "rejected",
        "reason": "duplicate",
        "uri": "s3://photos/a copy.png",
    }
    copy |= {
        "detail": f"same picture as {uri}",
        "payload": json.dumps({"image_id": gone}),
        "etag": ETAG,
        "input_id": copy["uri"],
    }
    _with_rejects(lake, "images", None, [copy], rejected=1)
    draft = {
        "stage": "generate",
        "scope": "output",
        "outcome": "rejected",
        "reason": "dead_hop",
        "detail": "",
        "input_id": gone,
    }
    rows = [{**draft, "image_id": gone, "payload": "{}"}, {**draft, "image_id": "f" * 64, "input_id": "f" * 64}]
    _with_rejects(lake, "queries", prints.queries, rows)


def _with_rejects(lake: Lake, table: str, fingerprint: str | None, rows: list[Row], rejected: int = 0) -> None:
    marker, folder = lake.marker(table, fingerprint, FIRST), lake.folder(table, fingerprint, FIRST)
    assert marker is not None
    part = lake.write_part(folder, "rejects-00000", pa.Table.from_pylist(rows, schema=schemas.REJECTS))
    counts = {"read": marker.read + rejected, "rejected": rejected, "reasons": {rows[0]["reason"]: len(rows)}}
    lake.replace_marker(table, fingerprint, FIRST, replace(marker, rejects=(part,), **counts))


def _said_by_models(lake: Lake, prints: drawn_lake.Lineages, queries: list[Row], gone: str) -> None:
    drawn_lake.about(
        lake,
        "attempts",
        prints,
        [row for query in queries for row in drawn_lake.tries(query, (1, 0, 0), "3")],
        "a" * 12,
    )
    verdicts = [
        {"query_id": query["query_id"], "model": "weak", "verdict": "fine", "reason": said(query["query_id"])}
        for query in queries
    ]
    drawn_lake.about(lake, "judgements", prints, verdicts, "b" * 12)
    for image in (gone, queries[-1]["image_id"]):
        ModelJournal(lake, "eyes", FIRST).put_all([Answer("0" * 64, image, {"said": said(image)})])
        lake.put_json(f"journal/eyes/{image[:2]}/{image}/{'0' * 64}.json", {"said": said(image)})
    stray = lake.folder("queries", "c" * 12, FIRST)  # of an attempt that was killed, under settings of the past
    lake.write_part(stray, "part-00000", pa.Table.from_pylist(queries, schema=schemas.QUERIES))


def _people(lake: Lake, prints: drawn_lake.Lineages, queries: list[Row], mine: Row, gone: str) -> None:
    asked = tuple(query["query_id"] for query in queries)
    batches.create(lake, Batch("batch-1", "run", asked, lineage=prints.queries, shards=(str(FIRST),)))
    for query in queries:
        vote = {"query_id": query["query_id"], "answer": "1"}
        lake.put_json(f"answers/{query['query_id']}/seat-0.0.json", vote)
        lake.put_json(f"votes/batch-1/{query['query_id']}/seat-0.0.json", vote)
        lake.put_json(f"votes/batch-1/{query['query_id']}/lease-0.0.json", vote)
        lake.put_json(f"comments/{'a' * 16}/{query['query_id']}/0001.comment.json", {"text": query["question"]})
        lake.put_json(f"adjudications/batch-1/{query['query_id']}/0001.json", {**vote, "comment": "the hidden sign"})
    with suppress(_KilledError):  # both the objects and the archive of them are there
        pack(lake, "batch-1", _killed)
    gold = Gold(lake)
    gold.add(
        [
            GoldItem(query["query_id"], said(query["query_id"]), "1", "listed", 1, 1, f"blobs/{query['image_id']}")
            for query in (mine, queries[-1])
        ]
    )
    for query in (mine, queries[-1]):
        gold.answer("ann", query["query_id"], {"answer": "1", "query_id": query["query_id"]})


def _pages(lake: Lake, prints: drawn_lake.Lineages, mine: Row) -> None:
    lake.put_json("proposals/manual.json", {"versions": [{"examples": [{"question": said(mine["query_id"])}]}]})
    sample = {"row": "0", "query_id": repr(mine["query_id"]), "question": said(mine["query_id"])}
    failed = {
        "name": "odd",
        "description": "",
        "severity": "warning",
        "success": False,
        "failing": 1,
        "samples": [sample],
    }
    summary = {"suite": "queries", "rows": 6, "failing": 1, "max_failing_share": 0.5, "expectations": [failed]}
    lake.put_json(lake.folder("queries", prints.queries, FIRST) + "validation.json", summary)
    write_docs(lake, [(str(FIRST), summary)], "run-1")
    lake.store.put("reports/run-1.html", f"<img alt='{mine['image_id']}'>".encode())
    lake.put_json("runs/run-1.json", {"fingerprints": {"generate": prints.queries}})
