"""A lake in which one person has left traces in every place that can hold them, and the names to look for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hopchain_etl import schemas
from hopchain_etl.annotation import adjudications, batches, error_reviews, guidelines, qualification, votes
from hopchain_etl.annotation.adjudications import Adjudication
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.error_reviews import Opinion, ReviewBatch
from hopchain_etl.annotation.gold import Gold, GoldItem
from hopchain_etl.annotation.pseudonyms import fingerprint, pseudonym
from hopchain_etl.annotation.qualification import Event, Standing
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.vote_archive import pack
from hopchain_etl.annotation.votes import Vote, annotator_key, vote_key, votes_prefix
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult, write_docs
from hopchain_etl.web.desk import practice
from support import drawn_lake

NAME = "Zoë Quillfeather"  # a name that JSON and HTML write in other ways
OTHERS = ("ben", "cleo", "dan")
AT = "2026-11-03T10:17:23.456+00:00"
QUESTION = "e" * 64


def needles(lake: Lake) -> list[bytes]:
    """Return what may be found nowhere any more: the name, as written in keys, JSON and releases."""
    released = pseudonym(lake, NAME)
    texts = [NAME, json.dumps(NAME)[1:-1], annotator_key(NAME), "a secret comment"]
    return [text.encode() for text in [*texts, *([released] if released else [])]]


def collect_all(lake: Lake) -> None:
    """Collect, and settle what is final."""
    for one in collect(lake, lambda table, rows: SuiteResult(rows.num_rows)):
        settle(lake, vars(one))


def vote(lake: Lake, batch: str, query: str, seat: int, who: str, answer: str | None, **more: Any) -> None:
    """Store a vote with a comment and times."""
    said = {
        "comment": f"a secret comment of {who}",
        "seconds": 7.5,
        "active_seconds": 5.25,
        "answer_id": f"id of {who}",
    }
    body = Vote(query_id=query, seat=seat, annotator=who, answer=answer, answered_at=AT, batch=batch,
                **{"rev": 1, **said, **more})  # fmt: skip
    lake.store.put(vote_key(batch, query, seat, body.rev), body.data())


def ask(lake: Lake, lineage: str, name: str, queries: list[dict[str, Any]], people: tuple[str, ...]) -> None:
    """Store a batch, and the right answer of these people to each question."""
    asked = tuple(query["query_id"] for query in queries)
    batches.create(lake, Batch(name, f"lead:{NAME}", asked, lineage=lineage, shards=("first/0000",)))
    for query in queries:
        for seat, who in enumerate(people, start=1):
            vote(lake, name, query["query_id"], seat, who, query["answer"])


def fill(lake: Lake, *, open_batch: bool = False) -> drawn_lake.Lineages:
    """Fill a lake with two settled batches, one of which is packed, one that was closed, and all else of the person.

    ``open_batch``: and one that still asks people, and has a vote of theirs.
    """
    fingerprint(lake)
    prints, queries = drawn_lake.fill(lake, range(4))
    ask(lake, prints.queries, "settled", queries[:2], (NAME, *OTHERS))
    ask(lake, prints.queries, "packed", queries[2:4], (*OTHERS, NAME))
    ask(lake, prints.queries, "ended", queries[4:6], (NAME, "ben"))
    batches.close(lake, "ended", by=NAME)
    batches.assign(lake, "ended", [NAME, "ben"])
    query = queries[4]["query_id"]
    vote(lake, "ended", query, 3, NAME, "7", rev=1)
    vote(lake, "ended", query, 3, NAME, None, rev=2, retracted=True)
    prefix = votes_prefix("ended", query)
    late = Vote(query_id=query, seat=0, rev=0, annotator=NAME, answer="7", answered_at=AT)
    lake.store.put(f"{prefix}late-0a.json", late.data())
    lake.put_json(f"{prefix}skip-{annotator_key(NAME)}.json", {"annotator": NAME, "skipped_at": AT})
    lake.put_json(f"{prefix}lease-1.1.json", {"annotator": NAME, "until": 1.0})
    collect_all(lake)
    with batches.locked(lake):
        pack(lake, "packed", lambda: None)
    if open_batch:
        ask(lake, prints.queries, "open", queries[6:8], (NAME,))
    _judged(lake)
    _led(lake)
    _repeated(lake, prints)
    settled_batches(lake)
    return prints


def _judged(lake: Lake) -> None:
    gold = Gold(lake)
    gold.add([GoldItem(QUESTION, "How many?", "1", "listed", 1, 1, f"blobs/{QUESTION}")])
    gold.answer(NAME, QUESTION, {"answer": "1", "query_id": QUESTION, "comment": "a secret comment", "answered_at": AT})
    gold.answers()
    practice.finish(lake, NAME)
    practice.finish(lake, "ben")
    qualification.keep_practice(lake, NAME, 0, True, AT)
    events = qualification.Events(lake)
    events.add(Event(NAME, "paused", AT), Standing())
    events.add(Event(NAME, "lifted", AT, by="lead"), events.standings()[NAME])
    events.add(Event("ben", "admitted", AT, by=NAME), Standing())
    guidelines.mark_opened(lake, NAME, 1)
    for number, (kind, by) in enumerate([("comment", NAME), ("answer", "lead")], start=1):
        said = {"annotator": NAME, "kind": kind, "by": by, "at": AT, "text": "a secret comment", "query_id": QUESTION}
        lake.put_json(f"comments/{annotator_key(NAME)}/{QUESTION}/{number:04d}.{kind}.json", said)
    answered = {"annotator": "ben", "kind": "answer", "by": NAME, "at": AT, "text": "look again", "query_id": QUESTION}
    lake.put_json(f"comments/{annotator_key('ben')}/{QUESTION}/0002.answer.json", answered)
    votes.put_tombstone(lake, "eve", by=NAME, reason="guesses", voided=True)
    for on in (True, False):
        votes.finish_tombstone(lake, votes.put_tombstone(lake, NAME, by="lead", reason="a secret comment", voided=on))


def _led(lake: Lake) -> None:
    guidelines.publish(lake, "# Look", by=NAME, at=AT, note="shorter", based_on=0)
    adjudications.say(lake, Adjudication("settled", "b" * 64, 1, "misread", "a secret comment", False, NAME, AT))
    adjudications.adjudications(lake)
    lake.put_json("batches/ended.details.1.json", {"title": "First", "by": NAME, "at": AT})
    lake.put_json("reviews/wrong/batch.json", vars(ReviewBatch("wrong", NAME, 2, ())))
    for who in (NAME, "ben"):
        error_reviews.say(lake, "wrong", Opinion("d" * 64, who, "other", None, f"a secret comment of {who}", AT))


def _repeated(lake: Lake, prints: drawn_lake.Lineages) -> None:
    failed = {"name": "odd", "description": "", "severity": "warning", "success": False, "failing": 1}
    failed["samples"] = [{"row": "0", "annotator": NAME}]
    summary = {"suite": "answers", "rows": 1, "failing": 1, "max_failing_share": 0.5, "expectations": [failed]}
    write_docs(lake, [("settled/0000", summary)], "run-1")
    (fingerprint_of_table, *_) = lake.fingerprints("answers")
    (shard, *_) = lake.markers("answers", fingerprint_of_table)
    lake.put_json(lake.folder("answers", fingerprint_of_table, shard) + "validation.json", summary)
    lake.put_json("proposals/manual.json", {"snapshot": {"voided": [pseudonym(lake, NAME)]}})
    lake.store.put("reports/run-1.zip", b"PK an export")
    lake.store.put("reports/run-1.html", b"<p>figures</p>")
    assert schemas.ANSWERS.names
    assert prints.queries


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
