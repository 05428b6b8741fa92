"""Rows that fail in every attempt: given up, carried over as they are, and counted once, whatever comes in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.object_store import Fetched, RefusedError, StoreError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.stages import ingest as ingest_module
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Rejected, Row, run_shard
from support.bad_decoders import moody
from support.intake import images, parts, photo, rejects, store_at, take, upload
from support.s3 import S3Location
from support.toy_build import passing, settings_at

pytestmark = pytest.mark.s3

SHARD = Shard("first", 0)
FOLDER = "0" * 12
PLACE = ("categories", FOLDER, SHARD)
LOST = ("transient", "permanent", "in part")  # outcomes of a row with an error
OUTCOMES = ("ok", "rejected", *LOST)


class ChangingLake(Lake):
    """A lake whose shards can be told that what is above them has changed."""

    above = ""

    def inputs_digest(self, sources: Iterable[tuple[str, str | None]], shard: Shard) -> str:
        return self.above


class Scripted:
    """Gives each row the outcome that ``script`` names, and remembers which rows it was asked for."""

    name, table = "detect", "categories"
    sources: Sequence[tuple[str, str | None]] = ()

    def __init__(self, script: Mapping[str, str]) -> None:
        self.script, self.asked = script, list[str]()

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        return [{"input_id": name, "image_id": name} for name in self.script]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        for row in rows:
            name = row["input_id"]
            self.asked.append(name)
            half, small = [category(name, "cup")], [Rejected("small", "one of them", {"at": name})]
            yield {
                "ok": Accepted([*half, category(name, "lid")]),
                "rejected": Rejected("dull"),
                "transient": Failed("timeout"),
                "permanent": Failed("HTTP 400", permanent=True),
                "in part": Failed("HTTP 413", half, small, permanent=True),
            }[self.script[name]]


def category(image_id: str, name: str) -> Row:
    told = {"count_estimate": 1, "complexity": 5, "quality": "high", "found": None}
    return {"image_id": image_id, "category": name, **told}


def lake_at(bucket: S3Location, name: str = "lake") -> ChangingLake:
    return ChangingLake(settings_at(bucket.bucket, bucket.endpoint_url, name).lake)


def inputs_of(lake: Lake) -> dict[str, tuple[str, str]]:
    """Return outcome and detail of each input that has a reject row; it may have one only."""
    rows = [row for row in lake.rejects(*PLACE).to_pylist() if row["scope"] == "input"]
    assert not [name for name, count in Counter(row["input_id"] for row in rows).items() if count > 1]
    return {row["input_id"]: (row["outcome"], row["detail"]) for row in rows}


def things(lake: Lake) -> Counter[str]:
    return Counter(lake.read(*PLACE)["image_id"].to_pylist())


def test_a_row_is_given_up_after_its_attempts_and_then_carried_over(bucket: S3Location) -> None:
    lake = lake_at(bucket)
    stage = Scripted({"a": "in part", "b": "transient", "c": "ok"})

    def run(**how: bool) -> Marker:
        stage.asked.clear()
        return run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=3, **how)

    for attempt in (1, 2):
        marker = run()
        assert (marker.ok, marker.failed, marker.quarantined, marker.attempts) == (1, 2, 0, {"a": attempt})
        assert inputs_of(lake)["a"] == ("failed", "HTTP 413")
    third = run()
    assert stage.asked == ["a", "b", "c"]
    assert (third.read, third.ok, third.failed, third.quarantined, third.attempts) == (3, 1, 1, 1, {"a": 3})
    assert inputs_of(lake) == {"a": ("quarantined", "HTTP 413"), "b": ("failed", "timeout")}

    fourth = run()  # because of b
    assert stage.asked == ["b", "c"], "a is not asked for again"
    assert (fourth.parts, fourth.rejects) == (third.parts, third.rejects), "the same bytes"
    stage.script = {"a": "ok", "b": "ok", "c": "ok"}
    fifth = run()
    assert (fifth.failed, fifth.quarantined, things(lake)) == (0, 1, Counter(a=1, b=2, c=2))
    assert run() == fifth
    assert stage.asked == [], "only a quarantined row is left: the shard is complete"

    lake.above = "the shard is run for another reason"
    assert run().parts == fifth.parts
    assert stage.asked == ["b", "c"]
    healed = run(retry_quarantined=True)
    assert stage.asked == ["a", "b", "c"]
    assert (healed.ok, healed.quarantined, healed.attempts) == (3, 0, {})
    assert inputs_of(lake) == {}


def test_a_retry_on_request_that_fails_again_is_quarantined_at_once(bucket: S3Location) -> None:
    lake, stage = lake_at(bucket), Scripted({"a": "permanent", "b": "ok"})
    for _ in range(2):
        first = run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=2)
    again = run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=2, retry_quarantined=True)
    assert (first.quarantined, again.quarantined, again.attempts) == (1, 1, {"a": 3})
    assert stage.asked.count("a") == 3


def test_where_nothing_is_answered_nothing_is_given_up(bucket: S3Location) -> None:
    lake, stage = lake_at(bucket), Scripted({"a": "permanent", "b": "permanent"})
    for attempt in (1, 2, 3):
        marker = run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=2)
        assert (marker.failed, marker.quarantined, marker.attempts) == (2, 0, {"a": attempt, "b": attempt})
    stage.script = {"a": "permanent", "b": "ok"}  # the server is set up rightly now
    run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=2)
    marker = run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=2)
    assert (marker.ok, marker.quarantined) == (1, 1)


def test_a_quarantined_row_that_is_read_no_more_is_counted_no_more(bucket: S3Location) -> None:
    lake, stage = lake_at(bucket), Scripted({"a": "in part", "b": "ok"})
    for _ in range(2):
        run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=1)
    lake.above, stage.script = "a was withdrawn", {"b": "ok"}
    marker = run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=1)
    assert (marker.read, marker.ok, marker.quarantined, marker.attempts) == (1, 1, 0, {})
    assert things(lake) == Counter(b=2)


SERIAL = count()
NIGHT = st.tuples(st.fixed_dictionaries({name: st.sampled_from(OUTCOMES) for name in "abcd"}), st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(NIGHT, min_size=1, max_size=6), most=st.integers(1, 3))
def test_nothing_is_lost_or_counted_twice(
    bucket: S3Location, nights: list[tuple[dict[str, str], bool]], most: int
) -> None:
    lake = lake_at(bucket, f"lake-{next(SERIAL)}")
    attempts: Counter[str] = Counter()
    given_up: dict[str, str] = {}  # quarantined rows with the outcome that is kept
    answered = False  # whether an earlier night processed any row
    for number, (script, retry) in enumerate(nights):
        lake.above = str(number)
        stage = Scripted(script)
        marker = run_shard(stage, lake, FOLDER, SHARD, validate=passing, max_attempts=most, retry_quarantined=retry)
        if retry:
            given_up = {}
        assert stage.asked == [name for name in script if name not in given_up]
        for name in stage.asked:
            attempts[name] = attempts[name] + (script[name] in LOST[1:]) if script[name] in LOST else 0
            if script[name] in LOST[1:] and attempts[name] >= most and answered:
                given_up[name] = script[name]
        now = {**script, **given_up}
        found = {name: word for name, (word, _) in inputs_of(lake).items()}
        words = {"ok": None, "rejected": "rejected"}
        assert found == {
            name: word
            for name, what in now.items()
            if (word := "quarantined" if name in given_up else words.get(what, "failed"))
        }
        assert things(lake) == +Counter({name: {"ok": 2, "in part": 1}.get(what, 0) for name, what in now.items()})
        assert sum(part.rows for part in marker.parts) == things(lake).total()
        counts = Counter(found.values())
        assert (marker.read, marker.ok) == (4, 4 - len(found))
        assert (marker.rejected, marker.failed) == (counts["rejected"], counts["failed"])
        assert marker.quarantined == counts["quarantined"] == len(given_up)
        assert marker.attempts == dict(+attempts)
        answered = marker.ok + marker.rejected + marker.quarantined > 0
        assert marker.reasons == Counter(row["reason"] for row in lake.rejects(*PLACE).to_pylist())


# --- ingest: errors that lie in one object ---


class Refusing(S3Store):
    """A store that lets nobody read keys with ``hidden`` in them, and cannot be reached for those with "far"."""

    hidden = "secret"

    def fetch(self, key: str) -> Fetched:
        if self.hidden in key:
            raise RefusedError(f"{self.uri(key)}: 403 Forbidden")
        if "far" in key:
            raise StoreError(f"{self.uri(key)}: connection refused")
        return super().fetch(key)


def test_an_object_that_nobody_may_read_is_given_up_after_some_attempts(bucket: S3Location) -> None:
    lake, source = lake_at(bucket), store_at(bucket)
    upload(source, {"a.jpg": photo(1), "secret.jpg": photo(2)})
    refusing = Refusing(source.settings)
    results = [take(lake, refusing, f"night-{night}", max_attempts=2) for night in range(1, 4)]
    assert [(one.failed, one.quarantined, len(one.shards)) for one in results] == [(1, 0, 1), (0, 1, 1), (0, 0, 0)]
    refused = rejects(lake)["secret.jpg"]
    assert (refused["outcome"], "403 Forbidden" in refused["detail"]) == ("quarantined", True)
    before = parts(lake)
    assert take(lake, source, "night-4").shards == ()
    assert parts(lake) == before
    again = take(lake, source, "night-5", retry_quarantined=True)
    assert (again.ok, again.failed, again.quarantined, len(images(lake))) == (2, 0, 0, 2)


def test_a_bucket_that_refuses_everything_gives_up_nothing(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, source = lake_at(bucket), store_at(bucket)
    upload(source, {"a.jpg": photo(1), "empty.jpg": b"", "later.jpg": photo(2)})
    monkeypatch.setattr(Refusing, "hidden", "later")
    assert take(lake, Refusing(source.settings), "night-1").failed == 1
    monkeypatch.setattr(Refusing, "hidden", "jpg")  # the keys may no longer read the bucket
    results = [take(lake, Refusing(source.settings), f"night-{night}", max_attempts=2) for night in range(2, 6)]
    assert [(one.failed, one.quarantined) for one in results] == [(1, 0)] * 4
    assert (take(lake, source, "night-6").failed, len(images(lake))) == (0, 2)


def test_a_refusal_counts_against_an_object_while_a_stored_photo_can_still_be_read(bucket: S3Location) -> None:
    lake, source = lake_at(bucket), store_at(bucket)
    upload(source, {**{f"secret-{n}.jpg": photo(n) for n in range(3)}, "z.jpg": photo(3)})
    for attempts in (set(), {1}):  # in the first night the refusals come before anything was given
        take(lake, Refusing(source.settings), concurrency=1)
        marker = lake.marker("images", None, Shard("night-1", 0))
        assert marker is not None
        assert (marker.ok, marker.failed, set(marker.attempts.values())) == (1, 3, attempts)


def test_a_bug_of_the_decoder_gives_its_object_up_and_a_store_that_does_not_answer_gives_up_none(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, source = lake_at(bucket), store_at(bucket)
    monkeypatch.setattr(ingest_module, "WORKERS", 1)
    monkeypatch.setattr(ingest_module, "Ingest", partial(ingest_module.Ingest, decode=moody))
    upload(source, {"a": b"fine", "b": b"bug", "far": b"also fine"})
    results = [take(lake, Refusing(source.settings), f"night-{night}") for night in range(1, 5)]
    assert [(one.ok, one.failed, one.quarantined) for one in results] == [(1, 2, 0)] * 2 + [(1, 1, 1)] * 2
    assert {key: row["outcome"] for key, row in rejects(lake).items()} == {"b": "quarantined", "far": "failed"}
    assert take(lake, source, "night-5").ok == 2
