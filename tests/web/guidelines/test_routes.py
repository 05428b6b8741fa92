"""The guidelines over HTTP: read by all, edited by leads, and told to annotators until they have opened them."""

from __future__ import annotations

import json

import pytest

from hopchain_etl.annotation import guidelines
from hopchain_etl.lake.lake import Lake
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

SCRIPT = "<script>alert(document.cookie)</script>"


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    return office(bucket)


def publish(
    desk: Office, text: str, note: str = "Count twice now.", based_on: int = 0, expect: int = 200
) -> dict[str, object]:
    told: dict[str, object] = desk.lead.post(
        "/api/guidelines/publish", {"markdown": text, "note": note, "based_on": based_on}, expect
    )
    return told


def test_without_an_edit_the_text_of_the_package_is_shown_and_nothing_is_told(desk: Office) -> None:
    told = desk.ann.get("/api/guidelines")
    assert (told["number"], told["newest"], told["since"], told["differences"]) == (0, 0, None, [])
    assert "Directly above" in told["html"]
    assert desk.ann.get("/api/me")["guidelines"] is None
    assert desk.ann.next()["guidelines"] is None
    assert desk.vera.get("/api/guidelines")["number"] == 0


def test_annotators_are_told_until_they_have_opened_the_new_version(desk: Office) -> None:
    base = desk.lead.get("/api/guidelines/source")
    publish(desk, base["markdown"].replace("# Rules\n\n", "# Rules\n\n- Count twice.\n"))
    notice = desk.ann.next()["guidelines"]
    assert (notice["number"], notice["note"], notice["at"][:2]) == (1, "Count twice now.", "20")
    assert desk.ann.get("/api/me")["guidelines"] == notice
    told = desk.ann.get("/api/guidelines")
    assert (told["number"], told["since"]) == (1, 0)
    assert [one["after"] for one in told["differences"]] == ["- Count twice."]
    assert '<li class="changed">Count twice.</li>' in told["html"]
    assert desk.ann.next()["guidelines"] == notice, "reading is not enough: the page says when it has shown them"
    desk.ann.post("/api/guidelines/opened", {"number": 1})
    assert desk.ann.next()["guidelines"] is None
    for worker in (desk, desk.worker()):  # it is in the lake
        assert worker.ann.get("/api/me")["guidelines"] is None
        assert worker.ben.get("/api/me")["guidelines"] == notice
    assert desk.ann.get("/api/guidelines")["since"] is None
    publish(desk, "All new.", "Rewritten.", based_on=1)
    assert desk.ann.next()["guidelines"]["number"] == 2
    assert desk.ann.get("/api/guidelines")["since"] == 1
    assert desk.lead.get("/api/me")["guidelines"] is None, "only who annotates is told"


def test_another_worker_hears_of_a_new_version(bucket: S3Location) -> None:
    desk = office(bucket)
    other = desk.worker()
    assert other.ann.next()["guidelines"] is None
    publish(desk, "All new.")
    assert other.ann.next()["guidelines"]["number"] == 1


def test_questions_cost_no_listing_of_what_somebody_has_opened(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = office(bucket, refresh_seconds=3600)
    publish(desk, "All new.")
    here, other = desk.worker(), desk.worker()
    listed: list[str] = []
    read = guidelines.opened

    def opened(lake: Lake, person: str) -> int:
        listed.append(person)
        return read(lake, person)

    monkeypatch.setattr(guidelines, "opened", opened)
    assert [here.ann.next()["guidelines"]["number"] for _ in range(3)] == [1, 1, 1]
    assert listed == ["ann"]
    other.ann.post("/api/guidelines/opened", {"number": 1})
    assert here.ann.get("/api/me")["guidelines"] is None, "a page that is opened asks for it"
    assert here.ann.next()["guidelines"] is None
    assert here.ben.next()["guidelines"]["number"] == 1
    here.ben.post("/api/guidelines/opened", {"number": 1})
    assert here.ben.next()["guidelines"] is None


def test_earlier_versions_are_read_and_compared(desk: Office) -> None:
    publish(desk, "One rule.")
    publish(desk, "One rule.\n\nTwo rules.", based_on=1)
    told = desk.ann.get("/api/guidelines/versions/1")
    assert (told["html"], told["newest"], told["since"]) == ("<p>One rule.</p>\n", 2, None)
    assert desk.ann.get("/api/guidelines/versions/0")["number"] == 0
    told = desk.ann.get("/api/guidelines/versions/2?since=1")
    assert [one["after"] for one in told["differences"]] == ["Two rules."]
    assert [one["number"] for one in told["versions"]] == [2, 1, 0]
    assert "by" not in told["versions"][0], "annotators are not told which lead"
    assert desk.lead.get("/api/guidelines")["versions"][0]["by"] == "lead"
    for path in ("versions/3", "versions/1?since=3", "source?version=9"):
        assert desk.lead.get(f"/api/guidelines/{path}", expect=404)["error"] == "not_found"
    assert desk.ann.post("/api/guidelines/opened", {"number": 3}, expect=404)["error"] == "not_found"


def test_two_leads_do_not_overwrite_each_other(desk: Office) -> None:
    publish(desk, "Of the first.", based_on=0)
    refused = publish(desk.worker(), "Of the second.", based_on=0, expect=409)
    assert refused["error"] == "conflict"
    assert "Nothing was overwritten" in str(refused["message"])
    assert desk.lead.get("/api/guidelines/source")["markdown"] == "Of the first."
    told = desk.lead.post("/api/guidelines/preview", {"markdown": "Of the second.", "since": 1})
    assert (told["differences"][0]["before"], told["differences"][0]["after"]) == ("Of the first.", "Of the second.")
    publish(desk, "Of both.", based_on=1)
    assert desk.lead.get("/api/guidelines")["number"] == 2


def test_only_leads_edit(desk: Office) -> None:
    body = {"markdown": "x", "note": "x", "based_on": 0}
    for person in (desk.ann, desk.vera, desk.guest):
        person.post("/api/guidelines/publish", body, expect=403)
        person.post("/api/guidelines/preview", {"markdown": "x", "since": 0}, expect=403)
        person.get("/api/guidelines/source", expect=403)
        person.get("/edit-guidelines", expect=403)
    assert desk.lead.get("/edit-guidelines").status_code == 200
    assert desk.ann.get("/api/guidelines")["newest"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"markdown": " \n", "note": "x", "based_on": 0},
        {"markdown": "x", "note": "  ", "based_on": 0},
        {"markdown": "x" * 20_001, "note": "x", "based_on": 0},
        {"markdown": "x", "note": "x" * 201, "based_on": 0},
        {"markdown": "x", "note": "x", "based_on": -1},
        {"markdown": "x", "note": "x", "based_on": "0"},
        {"markdown": "x", "note": "x", "based_on": 0, "by": "ben"},
        {"markdown": None, "note": "x", "based_on": 0},
        {"markdown": "\ud800", "note": "x", "based_on": 0},
        {"markdown": "x", "note": "x\udfff", "based_on": 0},
    ],
)
def test_what_makes_no_sense_is_refused(desk: Office, body: dict[str, object]) -> None:
    headers = {"x-user": "lead", "origin": "http://testserver", "content-type": "application/json"}
    reply = desk.http.post("/api/guidelines/publish", content=json.dumps(body).encode(), headers=headers)
    assert reply.status_code in (400, 422), reply.text
    assert desk.lead.get("/api/guidelines")["newest"] == 0


def test_script_stays_text_for_everybody(desk: Office) -> None:
    publish(desk, f"# {SCRIPT}\n\n[x](javascript:alert(1)) ![x](https://evil.example/x.png)", note=SCRIPT)
    told = desk.ann.get("/api/guidelines")
    assert "<script" not in told["html"]
    assert "javascript:" not in told["html"].replace("(javascript:alert(1))", "")
    assert "evil.example" not in told["html"]
    assert told["note"] == SCRIPT  # as JSON: pages put it in as text
    words = [text for _, text in told["differences"][0]["words"]]
    assert SCRIPT in "".join(words)


def test_a_version_that_cannot_be_read_stops_nobody(desk: Office) -> None:
    publish(desk, "One rule.")
    desk.lake.store.put("guidelines/versions/0002.json", b"{")
    worker = desk.worker()
    assert worker.ann.get("/api/guidelines")["number"] == 1
    assert worker.ann.next()["task"]
