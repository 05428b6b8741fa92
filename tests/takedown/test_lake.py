"""Erasing a photo from the lake: nothing of it is left, wherever it was cut off, and all others are as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl import schemas
from hopchain_etl.engines.base import Identity, Photo, Reply, SolveJob
from hopchain_etl.lake.journal import Journal, ModelJournal, answers
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.lake.segments import Answer
from hopchain_etl.stages.response_cache import ResponseCache
from hopchain_etl.takedown import documents, views
from hopchain_etl.takedown.lake import EraseError, erase
from hopchain_etl.takedown.photos import unfinished, withdraw
from support import drawn_lake, intake, taken
from support.memory_store import KilledError, MemoryStore, lake_in
from support.s3 import S3Location, s3_client
from support.taken import FIRST, Taken


def in_memory(objects: dict[str, bytes], writes: int | None = None) -> Lake:
    return lake_in(MemoryStore(dict(objects), writes))


@pytest.fixture
def lake() -> Lake:
    """A lake in memory, whose store keeps every version."""
    return in_memory({})


@pytest.fixture
def real(bucket: Any) -> Lake:
    """A lake in a real bucket."""
    return Lake(drawn_lake.settings_for(bucket).lake)


def everything(lake: Lake) -> dict[str, bytes]:
    """Return all objects but locks; views and manifests only repeat others, in whatever form."""
    aside = ("views/", "manifests/", "locks/")
    keys = [entry.key for entry in lake.store.list_objects() if not entry.key.startswith(aside)]
    return {key: lake.store.get(key) for key in keys}


def keep_versions(bucket: S3Location, server: Any) -> None:
    client = s3_client(bucket.endpoint_url, server.credentials["admin"])
    client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})


def left(lake: Lake, photo: Taken) -> set[str]:
    """Return where the photo still is; the view of the tombstones repeats these."""
    return {key for key in taken.traces(lake.store, photo.needles) if not key.startswith("views/withdrawn/")}


@pytest.mark.s3
@pytest.mark.parametrize("versioned", [False, True], ids=["plain", "versioned"])
def test_nothing_of_an_erased_photo_is_left_but_its_tombstone(
    real: Lake, bucket: S3Location, s3_server: Any, versioned: bool
) -> None:
    if versioned:
        keep_versions(bucket, s3_server)
    photo = taken.fill(real)
    gone_before = f"queries/{'d' * 12}/intake=first/shard=0000/part-00000-0.parquet"
    real.store.put(gone_before, f"of a lineage that gc collected: {photo.image}".encode())
    ModelJournal(real, "past", FIRST).put_all([Answer("0" * 64, photo.image, {"said": "of old"})])
    real.store.delete([gone_before, "journal/past/intake=first/shard=0000/00000001.jsonl.zst"])
    real.tombstones()
    assert len(left(real, photo)) > 20

    done = erase(real, photo.uri, "asked")

    assert (done["images"], done["remains"]) == ([photo.image], [])
    assert left(real, photo) == {f"withdrawn/{photo.image}.json"}
    stone = real.tombstones()[photo.image]
    assert (stone["erased"], stone["reason"]) == (True, "asked")
    assert photo.uri not in json.dumps(stone)
    assert not set(map(str.encode, photo.queries)) & {text.encode() for text in stone.values() if isinstance(text, str)}
    assert unfinished(real) == {}


@pytest.mark.s3
def test_all_other_photos_are_as_they_were(real: Lake) -> None:
    photo = taken.fill(real)
    places: list[tuple[str, str | None, Shard]] = [
        ("images", None, FIRST),
        ("categories", photo.prints.categories, FIRST),
        ("instances", photo.prints.instances, FIRST),
        ("queries", photo.prints.queries, FIRST),
        ("attempts", "a" * 12, FIRST),
        ("judgements", "b" * 12, FIRST),
        ("answers", photo.answers, Shard("batch-1", 0)),
    ]
    before = {at: real.read(*at, withdrawn=()).to_pylist() for at in places}
    objects = everything(real)

    erase(real, photo.image, "asked")

    for at, rows in before.items():
        kept = [row for row in rows if row.get("image_id") != photo.image and row.get("query_id") not in photo.queries]
        assert 0 < len(kept) < len(rows)
        now = real.read(*at, withdrawn=()).to_pylist()
        if at[0] == "images":  # near-duplicates of it have a group of another name
            assert now[0]["group"] == now[1]["near"][0] != photo.image
            kept = [{**row, "group": one["group"], "near": one["near"]} for row, one in zip(kept, now, strict=True)]
        assert now == kept
        marker = real.marker(*at)
        assert marker == real.markers(*at[:2])[at[2]]
    images, queries = (real.marker(*places[index]) for index in (0, 3))
    assert images is not None
    assert queries is not None
    assert (images.read, images.ok, images.rejected, images.reasons) == (2, 2, 0, {})
    assert (queries.read, queries.ok, queries.rejected, queries.reasons) == (5, 5, 0, {"dead_hop": 1})  # one input of 6
    assert real.rejects(*places[3])["image_id"].to_pylist() == ["f" * 64]
    batch = json.loads(real.store.get("batches/batch-1.json"))
    assert batch["query_ids"] == [row["query_id"] for row in real.read(*places[3]).to_pylist()]
    assert real.get_json("contamination.json")["images"] == {"0" * 64: {}}
    assert b"of 6" in real.store.get("runs/run-1/data_docs/index.html")  # only its samples are gone
    same = {key for key, data in everything(real).items() if objects.get(key) == data}
    stays = {f"answers/{query}/seat-0.0.json" for query in batch["query_ids"]}
    assert stays | {"gold/items/" + batch["query_ids"][-1] + ".json"} <= same
    assert sum(key.startswith("blobs/") for key in same) == 2


@pytest.mark.s3
def test_erasing_again_changes_nothing(real: Lake) -> None:
    photo = taken.fill(real)
    erase(real, photo.image, "asked")
    before = everything(real)
    for name in (photo.image, photo.uri):
        again = erase(real, name, "for another reason")
        assert (again["images"], again["rows"], again["objects"]) == ([photo.image], 0, 0)
        assert everything(real) == before


@pytest.mark.slow
def test_an_erase_that_was_cut_off_anywhere_is_finished_by_the_next(lake: Lake) -> None:
    photo = taken.fill(lake)
    lake.manifest("queries", photo.prints.queries).fold()
    objects = {entry.key: lake.store.get(entry.key) for entry in lake.store.list_objects()}
    whole = in_memory(objects)
    erase(whole, photo.uri, "asked")
    complete = everything(whole)
    for turn, writes in enumerate(range(0, 1_000, 5)):
        first = in_memory(objects, writes)
        try:
            erase(first, (photo.uri, photo.image)[turn % 2], "asked")
        except KilledError:
            assert isinstance(first.store, MemoryStore)
            then = in_memory(first.store.objects)
            name = (photo.image, photo.uri)[turn // 2 % 2]
            done = erase(then, name, "asked")
            assert done["remains"] == []
            assert everything(then) == complete, f"cut off after {writes} writes"
            assert left(then, photo) == {f"withdrawn/{photo.image}.json"}
        else:
            break
    assert 40 < writes < 999


def stone_of(lake: Lake, photo: Taken) -> dict[str, Any]:
    return lake.get_json(f"withdrawn/{photo.image}.json") or {}


def test_an_error_says_what_remains_and_the_photo_is_already_out_of_all_reads(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = taken.fill(lake)

    def refuse(versions: Iterable[Any]) -> None:
        if any(one.key.startswith("gold/") for one in versions):
            raise StoreError("no permission; ask for it")

    with monkeypatch.context() as patch:
        patch.setattr(lake.store, "erase_versions", refuse)
        with pytest.raises(EraseError, match=r"checks: no permission.*\n.*what remains: checks\. .*again"):
            erase(lake, photo.uri, "asked")
    assert photo.image not in lake.read("queries", photo.prints.queries, FIRST)["image_id"].to_pylist()
    assert unfinished(lake) == {photo.image: ["checks"]}
    assert erase(lake, photo.uri, "asked")["remains"] == []


@pytest.mark.parametrize("damage", [None, b"", b"PAR1 and no more"], ids=["missing", "empty", "odd"])
@pytest.mark.parametrize("table", ["images", "instances", "queries", "answers"])
def test_a_damaged_shard_keeps_nothing_else_from_being_erased(lake: Lake, table: str, damage: bytes | None) -> None:
    photo = taken.fill(lake)
    drawn_lake.fill(lake, [7], intake="second")
    place = {
        "images": ("images", None, Shard("second", 0)),
        "instances": ("instances", photo.prints.instances, FIRST),
        "queries": ("queries", photo.prints.queries, FIRST),
        "answers": ("answers", photo.answers, Shard("batch-1", 0)),
    }[table]
    key = lake.folder(*place) + _marker(lake, place).parts[0].name
    whole = lake.store.get(key)
    lake.store.delete([key])
    if damage is not None:
        lake.store.put(key, damage)

    with pytest.raises(EraseError, match=f"tables: {table} .*\n.*what remains: tables\\."):
        erase(lake, photo.uri, "asked")
    assert not lake.store.exists(f"blobs/{photo.image}")
    assert photo.image not in lake.read("images", None, FIRST, withdrawn=())["image_id"].to_pylist()
    lake.store.put(key, whole)
    assert erase(lake, photo.image, "asked")["remains"] == []
    assert left(lake, photo) == {f"withdrawn/{photo.image}.json"}


def test_what_remains_of_the_registry_is_left_to_a_call_that_knows_it(lake: Lake) -> None:
    photo = taken.fill(lake)

    def unreachable(plan: Any) -> dict[str, Any]:
        raise StoreError("no registry; try again")

    with pytest.raises(EraseError, match="what remains: registry"):
        erase(lake, photo.uri, "asked", registry=unreachable)
    assert erase(lake, photo.uri, "asked")["remains"] == ["registry"]
    seen: list[Any] = []

    def registry(plan: Any) -> dict[str, Any]:
        seen.append((set(plan.images), set(plan.queries)))
        return {"yanked": []}

    assert erase(lake, photo.image, "asked", registry=registry)["yanked"] == []
    assert seen == [({photo.image}, set(photo.queries))]
    assert left(lake, photo) == {f"withdrawn/{photo.image}.json"}


def broken_off(lake: Lake, photo: Taken, step: str) -> None:
    """Begin an erase that is killed at a step."""

    def killed(*_: Any) -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views if step == "erase_views" else documents, step, killed)
        with pytest.raises(KilledError):
            erase(lake, photo.uri, "asked")


def test_an_erase_that_began_without_a_registry_goes_on_with_one(lake: Lake) -> None:
    photo = taken.fill(lake)
    broken_off(lake, photo, "erase_checks")
    asked: list[set[str]] = []

    def registry(plan: Any) -> dict[str, Any]:
        asked.append(plan.images)
        return {"yanked": ["a tag"]}

    done = erase(lake, photo.image, "asked", registry=registry)
    assert (done["yanked"], done["remains"], asked) == (["a tag"], [], [{photo.image}])


def test_what_was_written_while_an_erase_was_cut_off_goes_too(lake: Lake) -> None:
    photo = taken.fill(lake)
    query = next(iter(photo.queries))
    queries = lake.read("queries", photo.prints.queries, FIRST).to_pylist()
    broken_off(lake, photo, "erase_views")  # the last step on the lake
    drawn_lake.write(lake, "queries", "e" * 12, FIRST, queries)  # by a build that had read the photo before
    lake.put_json(f"votes/batch-1/{query}/seat-1.0.json", {"query_id": query, "answer": "1"})
    seen_again = {"stage": "ingest", "scope": "input", "outcome": "rejected", "reason": "withdrawn", "detail": "", **{
        "uri": "s3://photos/a later copy.png", "etag": "e", "input_id": "s3://photos/a later copy.png",
        "payload": json.dumps({"image_id": photo.image}),
    }}  # fmt: skip
    later, folder = Shard("second", 0), lake.folder("images", None, Shard("second", 0))
    drawn_lake.write(lake, "images", None, later, [])
    marker = lake.marker("images", None, later)
    assert marker is not None
    rejects = lake.write_part(folder, "rejects-00000", pa.Table.from_pylist([seen_again], schema=schemas.REJECTS))
    lake.replace_marker("images", None, later, replace(marker, rejects=(rejects,)))

    assert erase(lake, photo.image, "asked")["remains"] == []

    assert left(lake, photo) == {f"withdrawn/{photo.image}.json"}
    assert not taken.traces(lake.store, [b"a later copy.png"])


def test_a_withdrawn_photo_can_be_erased_later_for_a_reason_of_its_own(lake: Lake) -> None:
    photo = taken.fill(lake)
    withdraw(lake, photo.uri, "to be looked into")
    erase(lake, photo.uri, "asked")
    assert stone_of(lake, photo)["reason"] == "asked"


@pytest.mark.s3
def test_an_erased_photo_is_not_taken_in_again(bucket: S3Location) -> None:
    lake, source = intake.lake_at(bucket), intake.store_at(bucket)
    intake.upload(source, {"a.jpg": intake.photo(1), "b.jpg": intake.photo(2), "copy of a.jpg": intake.photo(1)})
    intake.take(lake, source)
    erased = next(row for row in intake.images(lake) if row["uri"].endswith("/a.jpg"))
    erase(lake, erased["uri"].replace("/a.jpg", "/copy of a.jpg"), "asked")
    assert not taken.traces(lake.store, [b"a.jpg"])

    again = intake.take(lake, source, "night-2")
    assert (again.listed, again.new) == (3, 0)
    intake.upload(source, {"elsewhere.jpg": intake.photo(1), "c.jpg": intake.photo(3)})
    third = intake.take(lake, source, "night-3")
    assert (third.new, third.ok, third.rejected) == (2, 1, 1)
    assert {row["uri"][-5:] for row in intake.images(lake)} == {"b.jpg", "c.jpg"}
    assert taken.traces(lake.store, [erased["image_id"].encode()]) <= {
        f"withdrawn/{erased['image_id']}.json",
        "views/withdrawn/base.parquet",
        "views/withdrawn/recent.parquet",
    }


def test_erasing_takes_blind_answers_along(lake: Lake) -> None:
    _, queries = drawn_lake.fill(lake, range(2), queries_each=1)
    gone, stays = (image["image_id"] for image in queries)
    with Journal(lake, FIRST) as journal:
        cache = ResponseCache(journal, Identity("solver", "1"))
        for image in (gone, stays):
            for sees in (True, False):
                job = SolveJob(Photo(image, image, 1, 1, bytes), "How many dogs are there?", 0, sees)
                cache.put(Reply(job, {"text": "three", "finish_reason": "stop"}))
    old = [f"journal/solver/no/none/{'0' * 64}.json", f"journal/solver/{gone[:2]}/{gone}/{'0' * 64}.json"]
    for key in old:  # written by earlier versions, and not migrated
        lake.put_json(key, {"text": "three", "finish_reason": "stop"})
    assert erase(lake, gone, "asked")["objects"] == 5  # its blob, both answers, and the old ones
    assert [answer.blob_sha for _, answer in answers(lake, FIRST)] == [stays, stays]
    assert not any(map(lake.store.exists, old))


def test_photos_of_the_same_bytes_go_together(lake: Lake) -> None:
    twin = drawn_lake.image_row(drawn_lake.draw(1)[0], 1)["image_id"]
    _, queries = drawn_lake.fill(lake, range(3), changes={2: {"blob_sha": twin}})
    assert erase(lake, twin, "asked")["images"] == sorted({twin, queries[4]["image_id"]})
    assert {row["image_id"] for row in intake.images(lake)} == {queries[0]["image_id"]}


def test_a_newer_file_under_the_same_uri_is_another_photo(lake: Lake) -> None:
    uri = drawn_lake.image_row(drawn_lake.draw(0)[0], 0)["uri"]
    _, queries = drawn_lake.fill(lake, range(2), changes={1: {"uri": uri}})
    assert erase(lake, queries[0]["image_id"], "asked")["images"] == [queries[0]["image_id"]]
    assert [row["uri"] for row in intake.images(lake)] == [uri]


def test_shards_that_were_up_to_date_stay_so(lake: Lake) -> None:
    prints, queries = drawn_lake.fill(lake, range(2))
    sources: dict[tuple[str, str], list[tuple[str, str | None]]] = {
        ("categories", prints.categories): [("images", None)],
        ("instances", prints.instances): [("images", None), ("categories", prints.categories)],
        ("queries", prints.queries): [("images", None), ("instances", prints.instances)],
    }
    for (table, fingerprint), above in sources.items():
        fresh = replace(_marker(lake, (table, fingerprint, FIRST)), inputs=lake.inputs_digest(above, FIRST))
        lake.replace_marker(table, fingerprint, FIRST, fresh)
    erase(lake, queries[0]["image_id"], "asked")
    for (table, fingerprint), above in sources.items():
        assert _marker(lake, (table, fingerprint, FIRST)).inputs == lake.inputs_digest(above, FIRST)


def _marker(lake: Lake, place: tuple[str, str | None, Shard]) -> Marker:
    marker = lake.marker(*place)
    assert marker is not None
    return marker
