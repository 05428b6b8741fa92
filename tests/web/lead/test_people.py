"""Annotators over HTTP: what voiding somebody would change, doing it, and taking it back."""

from __future__ import annotations

import pytest

from hopchain_etl.annotation import batches, votes
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.release.git import RegistryError
from hopchain_etl.web.lead import people
from hopchain_etl.web.lead.lead import LeadDesk
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

PEOPLE = ("ann", "ben", "cleo", "dan")
WHY = {"annotator": "ben", "reason": "answers without looking"}


def announced(desk: Office) -> list[tuple[str, int, int]]:
    """Run collect and announce, without the suite; return name, kept and open questions of each batch announced."""
    found = collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows))
    return [(one.id, one.kept, one.open) for one in found if settle(desk.lake, vars(one))]


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """A desk whose batch all four have answered alike."""
    desk = office(bucket)
    for name in PEOPLE:
        for query in desk.batch.query_ids:
            getattr(desk, name).answer(query, "5")
    return desk


def test_the_effect_is_shown_first_and_nothing_is_changed(desk: Office) -> None:
    expected = {
        "annotator": "ben",
        "answers": 2,
        "kept": 2,
        "seats": 2,
        "batches": [{"id": "monday", "state": "open", "answers": 2, "kept": 2, "seats": 2}],
        "releases": [],
    }
    assert desk.lead.get("/api/lead/void?annotator=ben") == expected
    desk.ann.get("/api/lead/void?annotator=ben", expect=403)
    announced(desk)
    before = {entry.key: entry.etag for entry in desk.lake.store.list_objects("batches/")}
    expected["batches"][0]["state"] = "decided"  # type: ignore[index]
    assert desk.worker().lead.get("/api/lead/void?annotator=ben") == expected
    assert desk.lead.get("/api/lead/void?annotator=eve")["answers"] == 0
    assert {entry.key: entry.etag for entry in desk.lake.store.list_objects("batches/")} == before
    assert votes.voided(desk.lake) == {}


def test_a_registry_that_cannot_be_read_is_told(desk: Office) -> None:
    registry = desk.settings.registry.model_copy(update={"git_url": "file:///nowhere"})
    desk.settings = desk.settings.model_copy(update={"registry": registry})
    assert desk.worker().lead.get("/api/lead/void?annotator=ben")["releases"] is None


@pytest.mark.parametrize(
    "body", [{**WHY, "annotator": "bne"}, {**WHY, "annotator": " ben"}, {**WHY, "reason": " "}, {**WHY, "reason": ""}]
)
def test_a_name_that_nobody_has_and_a_blank_reason_void_nobody(desk: Office, body: dict[str, str]) -> None:
    assert desk.lead.post("/api/lead/void", body, expect=422)["error"] == "invalid"
    assert votes.voided(desk.lake) == {}


def test_whoever_has_only_just_answered_or_is_only_known_by_a_settled_batch_can_be_voided(desk: Office) -> None:
    nobody = {"annotators": ("role:user",), "refresh_seconds": 3600}
    fresh = desk.worker(**nobody)
    fresh.lead.get("/api/lead/annotators")
    desk.eve.answer(desk.batch.query_ids[0], "5")
    assert fresh.lead.post("/api/lead/void", {**WHY, "annotator": "eve"})["voided"]
    announced(desk)
    assert desk.worker(**nobody).lead.post("/api/lead/void", {**WHY, "reason": " guesses\n"})["answers"] == 2
    assert votes.voided(desk.lake)["ben"].reason == "guesses"


def test_a_void_is_written_before_the_registry_is_asked(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cloning a registry takes long: whoever gives up waiting has voided the person all the same."""
    announced(desk)
    registry = desk.settings.registry.model_copy(update={"git_url": "file:///nowhere"})
    desk.settings = desk.settings.model_copy(update={"registry": registry})
    seen: list[object] = []

    def asked(settings: object, names: list[str]) -> list[str]:
        seen.append((votes.voided(desk.lake).keys(), batches.batch_states(desk.lake)["monday"], names))
        raise RegistryError("no answer")

    monkeypatch.setattr(people, "releases_with_answers", asked)
    told = desk.worker().lead.post("/api/lead/void", WHY)
    assert (told["voided"], told["answers"], told["kept"], told["releases"]) == (True, 2, 2, None)
    assert seen == [({"ben"}, {"changed"}, ["monday"])]


def test_a_void_is_written_although_its_effect_cannot_be_looked_up(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> None:
        raise StoreError("no answer")

    worker = desk.worker()
    with monkeypatch.context() as patch:
        patch.setattr(LeadDesk, "show", fails)
        worker.lead.post("/api/lead/void", WHY, expect=503)
    assert votes.voided(desk.lake).keys() == {"ben"}
    worker.ben.get("/api/next", expect=403)


def test_a_closed_batch_is_collected_and_announced_again_after_a_void_and_after_it_was_taken_back(desk: Office) -> None:
    desk.lead.post("/api/lead/batches/monday/close", {})
    assert announced(desk) == [("monday", 2, 0)]
    told = desk.lead.post("/api/lead/void", WHY)
    assert (told["voided"], told["answers"], told["kept"], told["seats"]) == (True, 2, 2, 0)
    assert announced(desk) == [("monday", 0, 2)]
    assert announced(desk) == []
    assert desk.lead.post("/api/lead/unvoid", {"annotator": "ben"}) == {"voided": False, "batches": ["monday"]}
    assert announced(desk) == [("monday", 2, 0)]
    assert desk.lead.post("/api/lead/unvoid", {"annotator": "ben"}, expect=409)["error"] == "conflict"


def test_who_counts_again_is_asked_again_and_seats_taken_meanwhile_stay(desk: Office) -> None:
    first, second = desk.batch.query_ids
    announced(desk)
    desk.lead.post("/api/lead/void", WHY)
    desk.eve.answer(first, "5")
    desk.ben.get("/api/next", expect=403)
    desk.lead.post("/api/lead/unvoid", {"annotator": "ben"})
    assert desk.ben.next()["why"] == "done"
    assert announced(desk) == [("monday", 2, 0)]
    people = {one["annotator"]: one["answers"] for one in desk.lead.get("/api/lead/annotators")["annotators"]}
    assert people == {"ann": 2, "ben": 1, "cleo": 2, "dan": 2, "eve": 1}
    assert desk.stored(second)
