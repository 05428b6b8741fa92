"""Clients of the desk: a lake with a batch of questions, and a web application over it whose user a header names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import votes_prefix
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from hopchain_etl.web.app import create_app
from hopchain_etl.web.desk.desk import Desk
from hopchain_etl.web.errors import NotLoggedIn
from support import drawn_lake
from support.s3 import S3Location, s3_client

PEOPLE = {"ann": "user", "ben": "user", "cleo": "user", "dan": "user", "eve": "user", "lead": "op", "guest": "viewer",
          "vera": "viewer"}  # fmt: skip
ORIGIN = "http://testserver"
DESK: dict[str, Any] = {
    "annotators": ("role:user", *(f"user:{name}" for name in ("ann", "ben", "cleo", "dan", "eve"))),
    "leads": ("user:lead",),
    "viewers": ("user:vera", "user:ann"),  # ann annotates, so that this gives her nothing
    "full_share": 0,
    "gold_share": 0,
    "qualification_needed": 0,
    "refresh_seconds": 0.01,
}


class User:
    """What auth managers make of a session."""

    def __init__(self, name: str) -> None:
        self.name, self.role = name, PEOPLE[name]

    def get_id(self) -> str:
        return f"id of {self.name}"

    def get_name(self) -> str:
        return self.name


async def by_header(request: Request) -> User:
    """Stand for Airflow's session: the header ``x-user``."""
    name = request.headers.get("x-user")
    if not name:
        raise NotLoggedIn("log in")
    return User(name)


class Client:
    """Somebody's browser: sends what a page of the desk sends."""

    def __init__(self, http: TestClient, name: str) -> None:
        self.http, self.name = http, name

    def get(self, path: str, expect: int = 200) -> Any:
        reply = self.http.get(path, headers={"x-user": self.name})
        assert reply.status_code == expect, reply.text
        return reply.json() if reply.headers["content-type"] == "application/json" else reply

    def post(self, path: str, body: Any, expect: int = 200) -> Any:
        reply = self.http.post(path, json=body, headers={"x-user": self.name, "origin": ORIGIN})
        assert reply.status_code == expect, reply.text
        return reply.json()

    def next(self) -> dict[str, Any]:
        """Return what is asked next: task, or why not."""
        asked: dict[str, Any] = self.get("/api/next")
        return asked

    def answer(self, query: str, answer: str | None = None, expect: int = 200, **more: Any) -> Any:
        """Answer a question, or reject it with ``reject_reason``."""
        said = {"answer": answer} if answer is not None else {}
        body = {"answer_id": str(uuid.uuid4()), "query_id": query, "seconds": 4.5, **said, **more}
        return self.post("/api/answers", body, expect)


@dataclass
class Office:
    """A lake with one open batch and the application over it."""

    lake: Lake
    settings: Settings
    http: TestClient
    batch: Batch
    queries: Sequence[Mapping[str, Any]]

    def __getattr__(self, name: str) -> Client:
        return Client(self.http, name)

    @property
    def desk(self) -> Desk:
        desk: Desk = self.http.app.state.desk  # type: ignore[attr-defined]
        return desk

    def worker(self, **desk: Any) -> Office:
        """Return another API worker over the same lake."""
        settings = self.settings.model_copy(update={"desk": self.settings.desk.model_copy(update=desk)})
        return Office(self.lake, settings, client(settings), self.batch, self.queries)

    def right(self, query: str) -> str:
        return next(row["answer"] for row in self.queries if row["query_id"] == query)

    def stored(self, query: str, batch: str = "monday") -> list[str]:
        """Return the names of what is stored of a question's answers."""
        return [entry.key.rpartition("/")[2] for entry in self.lake.store.list_objects(votes_prefix(batch, query))]


def client(settings: Settings) -> TestClient:
    return TestClient(create_app(settings, by_header))


@contextmanager
def desk_of_its_own(server: ServerInfo, photos: int = 1, **how: Any) -> Iterator[Office]:
    """Yield an office in a new bucket, for the tests of a whole module."""
    keys = server.credentials["admin"]
    client = s3_client(server.endpoint_url, keys)
    bucket = S3Location(f"test-{uuid.uuid4().hex[:12]}", server.endpoint_url, keys.access_key, keys.secret_key)
    client.create_bucket(Bucket=bucket.bucket)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        yield office(bucket, photos, **how)
    client.delete_bucket(Bucket=bucket.bucket)


def office(bucket: S3Location, photos: int = 1, *, policy: Mapping[str, Any] | None = None, **desk: Any) -> Office:
    """Return a desk over a fresh lake whose batch ``monday`` asks two questions a photo."""
    settings = drawn_lake.settings_for(bucket, desk={**DESK, **desk})
    lake = Lake(settings.lake)
    prints, queries = drawn_lake.fill(lake, range(1, photos + 1))
    made = {**batches.policy_of(settings.desk), **(policy or {})}
    names = tuple(row["query_id"] for row in queries)
    batch = batches.create(lake, Batch("monday", "a run", names, made, lineage=prints.queries, shards=("first/0000",)))
    return Office(lake, settings, client(settings), batch, queries)
