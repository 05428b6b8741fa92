"""What the desk must refuse, or make inert: each case is an attack or a mistake that a person could send."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hopchain_etl.annotation.csv_cells import safe_cell
from hopchain_etl.annotation.votes import Vote
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.object_store import ObjectInfo, StoreError
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.access import Person, person
from hopchain_etl.web.app import create_app
from hopchain_etl.web.errors import NotLoggedIn
from support import drawn_lake
from support.desk_clients import ORIGIN, Office, desk_of_its_own, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

FOR_ANNOTATORS = {"/", "/annotate", "/guidelines", "/assets/{name:path}", "/api/me", "/api/next", "/api/answers",
                  "/api/skips", "/api/skips/return",
                  "/api/undo", "/api/queries/{query_id}/image", "/api/practice", "/api/practice/{number}",
                  "/api/practice/{number}/image", "/api/practised", "/api/guidelines",
                  "/api/guidelines/versions/{number}", "/api/guidelines/opened", "/errors", "/api/reviews",
                  "/api/reviews/next", "/api/reviews/{name}/{item}/image", "/my-work", "/api/mine",
                  "/api/mine/{query_id}/image", "/api/mine/comments", "/api/mine/comments/read"}  # fmt: skip
SCRIPT = "<script>alert(document.cookie)</script>"
WRITES = ["answers", "skips", "skips/return", "undo", "practice/0", "practised", "reviews", "guidelines/publish",
          "guidelines/preview", "guidelines/opened", "lead/batches",
          "lead/batches/monday/assigned", "lead/batches/monday/close", "lead/batches/monday/reopen",
          "lead/batches/monday/details", "lead/unasked", "lead/void", "lead/unvoid",
          "mine/comments", "mine/comments/read", "lead/comments", "lead/comments/done",
          "lead/gold", "lead/adjudications", "lead/adjudications/fresh",
          "lead/qualification/lift", "lead/qualification/admit"]  # fmt: skip


@pytest.fixture(scope="module")
def shared(s3_server: ServerInfo) -> Iterator[Office]:
    """One desk for all tests here; each answers questions of its own."""
    with desk_of_its_own(s3_server, photos=8) as made:
        yield made


@pytest.fixture
def desk(shared: Office, request: pytest.FixtureRequest) -> Office:
    """The shared desk, whose first two questions nobody has answered yet."""
    fresh = [query for query in shared.batch.query_ids if not shared.stored(query)]
    return replace(shared, batch=replace(shared.batch, query_ids=tuple(fresh)))


def routes(desk: Office) -> Iterator[tuple[str, str, set[str]]]:
    """Method, path and guards of every route, as ``web.access`` calls them: annotator, lead, viewer, anybody."""
    values = {"query_id": desk.batch.query_ids[0], "number": "0", "name": "annotate.js", "item": "0" * 64}
    for route in desk.http.app.routes:  # type: ignore[attr-defined]
        guards = {one.call.__name__ for one in route.dependant.dependencies}
        for method in route.methods:
            path = route.path.replace("{name:path}", "desk/annotate.js")
            yield method, path.format_map(values), guards


def test_only_these_routes_are_open_to_annotators(desk: Office) -> None:
    """A new route is for leads or viewers, unless it is added to the list above on purpose."""
    found = desk.http.app.routes  # type: ignore[attr-defined]
    guards = {route.path: {one.call.__name__ for one in route.dependant.dependencies} for route in found}
    assert {path for path, names in guards.items() if names & {"annotator", "anybody"}} == FOR_ANNOTATORS
    assert all(names <= {"annotator", "anybody", "lead", "viewer"} and names for names in guards.values())


def test_every_route_refuses_who_is_not_logged_in_and_who_has_no_part_in_it(desk: Office) -> None:
    found = list(routes(desk))
    assert len(found) > 30
    for method, path, _ in found:
        for headers, status in (({}, 401), ({"x-user": "guest"}, 403)):
            reply = desk.http.request(
                method, path, headers={"origin": ORIGIN, **headers}, json={}, follow_redirects=False
            )
            assert reply.status_code == status, (method, path, reply.text)
            assert set(reply.json()) == {"error", "message"}


def test_annotators_see_nothing_of_the_lead(desk: Office) -> None:
    closed = [(method, path) for method, path, guards in routes(desk) if guards & {"lead", "viewer"}]
    assert len(closed) > 15
    for method, path in closed:
        reply = desk.http.request(method, path, headers={"origin": ORIGIN, "x-user": "ann"}, json={})
        assert reply.status_code == 403, path


def test_a_viewer_may_browse_and_neither_answer_nor_lead(desk: Office) -> None:
    found = list(routes(desk))
    closed = [(method, path) for method, path, guards in found if guards & {"annotator", "lead"} or method == "POST"]
    assert len(closed) > 15
    for method, path in closed:
        reply = desk.http.request(method, path, headers={"origin": ORIGIN, "x-user": "vera"}, json={})
        assert reply.status_code == 403, path
    for path in ("/browser", "/api/browse/builds", "/api/me"):
        assert desk.http.get(path, headers={"x-user": "vera"}).status_code == 200
    assert desk.http.get("/api/me", headers={"x-user": "vera"}).json()["browser"]
    assert not desk.http.get("/api/me", headers={"x-user": "ann"}).json()["browser"]


def test_without_settings_nobody_annotates(bucket: S3Location) -> None:
    settings = drawn_lake.settings_for(bucket)
    assert person(User("ann", role="admin"), settings.desk) == Person("ann", annotates=False, leads=True, browses=True)
    assert person(User("ann", role="user"), settings.desk) == Person("ann", annotates=False, leads=False, browses=False)
    assert create_app(settings)  # Airflow's own session unless a test says otherwise


class User:
    def __init__(self, name: str, **more: object) -> None:
        self.name = name
        vars(self).update(more)

    def get_name(self) -> str:
        return self.name

    def get_id(self) -> str:
        return ""


class Role:
    def __init__(self, name: str) -> None:
        self.name = name


def test_names_and_roles_of_any_auth_manager() -> None:
    desk = DeskSettings(annotators=("user:ann", "role:Annotator"), leads=("role:admin",))
    assert person(User("ann"), desk).annotates
    assert not person(User("Ann"), desk).annotates  # names have case
    assert person(User("ben", role="annotator"), desk).annotates
    assert person(User("ben", roles=[Role("Viewer"), Role("Admin")]), desk) == Person("ben", False, True, True)
    assert not person(User("role:admin", roles="role:admin"), desk).leads
    assert not person(User("user:ann"), desk).annotates
    assert person(User("cleo"), DeskSettings(annotators=("*",))).annotates
    for nobody in (None, User(""), User("  ")):
        with pytest.raises(NotLoggedIn):
            person(nobody, desk)


def test_a_body_cannot_say_who_somebody_is(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    for field in ("annotator", "user", "user_id", "seat", "rev", "batch", "answered_at"):
        assert desk.ann.answer(query, "5", expect=422, **{field: "ben"})["error"] == "invalid"
    assert desk.stored(query) == []
    desk.http.post(
        "/api/answers?annotator=ben",
        json={"answer_id": str(uuid.uuid4()), "query_id": query, "answer": "5"},
        headers={"x-user": "ann", "origin": ORIGIN, "x-forwarded-user": "ben", "remote-user": "ben"},
    )
    assert json.loads(desk.lake.store.get(f"votes/monday/{query}/seat-1.1.json"))["annotator"] == "ann"


def test_nobody_undoes_or_replays_what_another_answered(desk: Office) -> None:
    query, name = desk.batch.query_ids[0], str(uuid.uuid4())
    desk.ann.answer(query, "5", answer_id=name)
    desk.ben.post("/api/undo", {"query_id": query}, expect=409)
    desk.ben.answer(query, "5", answer_id=name)  # an id of somebody else's is no answer of ben's
    assert desk.stored(query) == ["seat-1.1.json", "seat-2.1.json"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/queries/..%2F..%2Fannotators/image",
        "/api/queries/../../withdrawn/image",
        "/api/queries/%2e%2e/image",
        f"/api/queries/{'g' * 64}/image",
        f"/api/queries/{'0' * 64}/image",
        "/assets/..%2fapp.py",
        "/assets/%2e%2e%2fapp.py",
        "/assets/../app.py",
        "/assets/app.py",
        "/assets/desk/annotate.html",
        "/assets/.css",
        "/assets/desk",
        "/assets/desk/../../app.py",
        "/assets/messages/..%2f..%2fapp.py",
        "/assets//desk/annotate.js",
        "/assets/desk/__init__.py",
        "/api/lead/batches/..%2f..%2fruns/agreement",
        "/api/practice/-1/image",
        "/api/practice/99/image",
    ],
)
def test_no_path_leads_out(desk: Office, path: str) -> None:
    for name in ("ann", "lead"):
        reply = desk.http.get(path, headers={"x-user": name})
        assert reply.status_code in (403, 404, 422), reply.text
        assert reply.headers["content-type"] == "application/json"


def test_bodies_that_are_too_large_or_broken(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    headers = {"x-user": "ann", "origin": ORIGIN, "content-type": "application/json"}
    for body, status in (
        (b'{"query_id": "' + b"0" * 70_000, 413),
        (b"", 422),
        (b"{", 400),
        (b"[" * 60_000, 400),
        (b"null", 422),
        (b'{"answer_id": 1}', 422),
        (b"\xff\xfe", 400),
        (json.dumps({"answer_id": "x", "query_id": query, "answer": "5"}).encode(), 422),
        (json.dumps({"answer_id": str(uuid.uuid4()), "query_id": query, "answer": 5}).encode(), 422),
        (json.dumps({"answer_id": str(uuid.uuid4()), "query_id": query, "answer": "5", "seconds": -1}).encode(), 422),
        (b'{"query_id": "%s", "answer": "5", "seconds": NaN}' % query.encode(), 422),
        (json.dumps({"answer_id": str(uuid.uuid4()), "query_id": query, "comment": "x" * 501}).encode(), 422),
        (json.dumps({"answer_id": str(uuid.uuid4()), "query_id": query}).encode(), 422),
    ):  # fmt: skip
        reply = desk.http.post("/api/answers", content=body, headers=headers)
        assert reply.status_code == status, (body[:40], reply.text)
        assert set(reply.json()) == {"error", "message"}

    def endless() -> Iterator[bytes]:
        for _ in range(2_000):
            yield b" " * 1_024

    assert desk.http.post("/api/answers", content=endless(), headers=headers).status_code == 413
    assert desk.stored(query) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver.evil.example"},
        {"origin": "http://testserver@evil.example"},
        {"origin": "http://testserver:443"},
        {"origin": "http://testserver", "host": "testserver:8080"},
        {"origin": "http://["},
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {},
    ],
)
def test_a_forged_origin_changes_nothing(desk: Office, headers: dict[str, str]) -> None:
    for path in WRITES:
        reply = desk.http.post(f"/api/{path}", json={}, headers={"x-user": "lead", **headers})
        assert (reply.status_code, reply.json()["error"]) == (403, "wrong_origin")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        reply = desk.http.post(
            "/api/lead/void", content=b"{}", headers={"x-user": "lead", "origin": ORIGIN, "content-type": kind}
        )
        assert reply.status_code == 415  # fmt: skip


def test_a_page_or_a_token_of_our_own_may_write(desk: Office) -> None:
    for headers in (
        {"origin": ORIGIN},
        {"origin": ORIGIN, "sec-fetch-site": "same-origin"},
        {"authorization": "Bearer x"},
        {"origin": ORIGIN, "host": "testserver:80"},
        {"origin": "https://testserver", "host": "testserver:443"},
        {"origin": ORIGIN, "host": "TestServer"},
    ):
        reply = desk.http.post("/api/practised", json={}, headers={"x-user": "ann", **headers})
        assert reply.status_code == 200, headers


def test_headers_keep_the_browser_careful(desk: Office) -> None:
    for path in ("/annotate", "/assets/desk/annotate.js", "/api/me", "/api/queries/x/image", "/nowhere"):
        headers = desk.http.get(path, headers={"x-user": "ann"}).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert desk.http.get("/api/me", headers={"x-user": "ann"}).headers["cache-control"] == "no-store"


def test_script_in_a_question_or_a_comment_stays_text(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    desk.ann.answer(query, None, reject_reason="other", comment=SCRIPT)
    items = desk.lead.get("/api/lead/batches/monday/disagreements")["items"]
    item = next(one for one in items if one["query_id"] == query)
    assert item["answers"][0]["comment"] == SCRIPT  # as JSON: pages put it in as text, under a policy without scripts
    reply = desk.http.get("/api/lead/batches/monday/answers.csv", headers={"x-user": "lead"})
    assert reply.headers["content-type"].startswith("text/csv")
    assert "attachment" in reply.headers["content-disposition"]
    assert SCRIPT in reply.text


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1+1", "\uff20SUM(A1)"]
)
def test_no_cell_becomes_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")
    assert safe_cell("-3.5") == "-3.5"
    assert safe_cell(None) == ""


def test_an_annotator_learns_nothing_of_the_answer_or_of_others(desk: Office) -> None:
    desk.ann.answer(desk.batch.query_ids[0], "123456789")
    seen = json.dumps([desk.ben.next(), desk.ben.get("/api/me"), desk.ben.answer(desk.batch.query_ids[1], "1")])
    assert "123456789" not in seen
    assert '"ann"' not in seen
    for word in ("hops", "expr", "mask", "decided_answer", "combination", "program"):
        assert f'"{word}"' not in seen
    assert {row["answer"] for row in desk.queries if f'"{row["answer"]}"' in seen} == set()


def test_what_cannot_be_read_in_the_lake_is_nobodys_answer(desk: Office) -> None:
    query = desk.batch.query_ids[0]
    desk.lake.store.put(f"votes/monday/{query}/seat-1.1.json", b"\x00 not json")
    desk.lake.store.put(f"votes/monday/{query}/lease-1.1.json", b"[]")
    desk.lake.store.put(
        f"votes/monday/{query}/seat-77777.1.json",
        Vote(query_id=query, seat=1, rev=1, annotator="x", answered_at="").data(),
    )
    desk.ann.answer(query, "5")  # fmt: skip
    assert "seat-1.2.json" in desk.stored(query)


def test_a_lake_that_is_down_says_so_without_its_address(bucket: S3Location) -> None:
    desk = office(bucket)
    query = desk.ann.next()["task"]["query_id"]

    def down(prefix: str) -> Iterator[ObjectInfo]:
        raise StoreError(f"s3://{prefix} at http://127.0.0.1:9: refused")

    desk.desk.lake.store.list_objects = down  # type: ignore[method-assign]
    refused = desk.ann.answer(query, "5", expect=503)
    assert refused["error"] == "lake_unavailable"
    assert "127.0.0.1" not in refused["message"]
