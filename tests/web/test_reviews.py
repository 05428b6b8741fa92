"""The page of wrong answers: annotators only, blind to all others, and every choice is in the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hopchain_etl.annotation import error_reviews
from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.people import review_batch
from hopchain_etl.evaluation.errors.taxonomy import Verdict, diagnose
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from hopchain_etl.training_set.dataset import TrainingSet
from support.desk_clients import DESK, Client, client
from support.evaluated import a_set
from support.wrong_answers import lake_with_photos, off_by, run_over

Shown = dict[str, Any]


class Desk:
    """A lake with a batch of two wrong answers, each for two people, and the application over it."""

    def __init__(self, folder: Path, released: Path) -> None:
        settings = Settings.model_validate({"lake": {"uri": f"file://{folder}/lake"}, "desk": DESK})
        self.lake, rows = lake_with_photos(Lake(settings.lake), released), TrainingSet(released)
        said = Verdict(ErrorKind.ORDER, 1, "SECRET")
        found = [one.judged(said) for one in diagnose(run_over(released, off_by(1)), rows)]
        error_reviews.create(self.lake, review_batch("errors-1", "lead", "base", found[:2], rows, seats=2))
        self.http: TestClient = client(settings)

    def __getattr__(self, name: str) -> Client:
        return Client(self.http, name)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"), range(3))


@pytest.fixture
def desk(tmp_path: Path, released: Path) -> Desk:
    return Desk(tmp_path, released)


def choose(person: Client, task: Shown, kind: str = "counting", expect: int = 200, **more: Any) -> Any:
    return person.post("/api/reviews", {"batch": task["batch"], "item": task["item"], "kind": kind, **more}, expect)


def test_a_person_looks_at_each_answer_once_and_what_they_chose_is_stored(desk: Desk) -> None:
    assert desk.ann.get("/api/me")["reviews"] is True
    assert desk.ann.get("/errors").text.count("errors.js") == 1
    seen = []
    while task := (told := desk.ann.get("/api/reviews/next"))["task"]:
        assert told["left"] == 2 - len(seen)
        assert desk.ann.get(f"/{task['image']}").headers["content-type"].startswith("image/")
        choose(desk.ann, task, "text", hop=1, comment=" a comma ")
        seen.append(task["item"])
    stored = error_reviews.said(desk.lake, "errors-1")
    assert sorted(stored) == sorted(seen)
    chosen = {(one.person, one.kind, one.hop, one.comment) for (one,) in stored.values()}
    assert chosen == {("ann", "text", 1, "a comma")}


def test_a_batch_that_cannot_be_read_stops_nobody(desk: Desk) -> None:
    desk.lake.store.put(f"reviews/another/said/{'0' * 64}/a.json", b"{}")
    desk.lake.store.put("reviews/broken/batch.json", b"[]")
    assert desk.ann.get("/api/reviews/next")["left"] == 2


def test_two_people_look_at_each_and_neither_learns_what_another_or_the_judge_said(desk: Desk) -> None:
    first = desk.ann.get("/api/reviews/next")
    choose(desk.ann, first["task"], "colour", comment="HIDDEN")
    again = desk.ben.get("/api/reviews/next")
    assert again["task"] == first["task"]  # begun first, finished first
    assert "SECRET" not in str(again)
    assert "HIDDEN" not in str(again)
    assert [one["code"] for one in again["kinds"]] == list(ErrorKind)
    choose(desk.ben, again["task"], "text")
    assert desk.cleo.get("/api/reviews/next")["task"]["item"] != first["task"]["item"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"kind": "sleep"}, 422), ({"hop": 12}, 422), ({"hop": 0}, 422), ({"person": "ben"}, 422),
     ({"item": "0" * 64}, 404), ({"batch": "other"}, 404)],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_refused(desk: Desk, changed: Shown, status: int) -> None:
    task = desk.ann.get("/api/reviews/next")["task"]
    body = {"batch": task["batch"], "item": task["item"], "kind": "counting", **changed}
    desk.ann.post("/api/reviews", body, status)
    assert error_reviews.said(desk.lake, "errors-1") == {}


def test_a_lead_sees_how_far_each_batch_is(desk: Desk) -> None:
    desk.lake.store.put("reviews/broken/batch.json", b"[]")
    for person in (desk.ann, desk.ben):
        choose(person, person.get("/api/reviews/next")["task"])
    whole = {"name": "errors-1", "broken": False, "created_by": "lead", "items": 2, "seats": 2}
    assert desk.lead.get("/api/reviews/batches")["batches"] == [
        {"name": "broken", "broken": True},
        {**whole, "said": 2, "wanted": 4, "finished": 1},
    ]
    for person in (desk.ann, desk.vera, desk.guest):
        person.get("/api/reviews/batches", 403)


def test_only_annotators_may_look(desk: Desk) -> None:
    task = desk.ann.get("/api/reviews/next")["task"]
    for person in (desk.lead, desk.vera, desk.guest):
        person.get("/api/reviews/next", 403)
        person.get(f"/{task['image']}", 403)
        choose(person, task, expect=403)


def test_a_withdrawn_photo_is_not_shown_any_more(desk: Desk) -> None:
    task = desk.ann.get("/api/reviews/next")["task"]
    image = next(one.image_id for one in error_reviews.load(desk.lake, "errors-1").items if one.item == task["item"])
    Lake.write_tombstone(desk.http.app.state.desk.lake, image, reason="asked for", blob_sha=None)  # type: ignore[attr-defined]
    desk.ann.get(f"/{task['image']}", 404)
    choose(desk.ann, task, expect=404)
    following = desk.ann.get("/api/reviews/next")["task"]
    assert following is None or following["item"] != task["item"]
