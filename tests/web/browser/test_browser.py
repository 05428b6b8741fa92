"""The dataset browser over HTTP, on a real lake: builds, galleries, rejects, photos and masks."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from PIL import Image

from hopchain_etl import schemas
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.hops.query import Hop, Read, Relation, hop_to_row
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import LakeSettings, Settings
from hopchain_etl.web.browser.builds import TABLES
from hopchain_etl.web.browser.routes import router
from support import drawn_lake

pytestmark = pytest.mark.s3

RUN = "manual__2026-11-22T02:00:00+00:00_a~b"
KEY = "manual__2026-11-22T02-00-00-00-00_a-b"
SCRIPT = "<script>alert(1)</script>"


@dataclass
class Browsed:
    """A lake with one build of four photos in two shards, and a client that may browse it."""

    client: TestClient
    lake: Lake
    prints: drawn_lake.Lineages
    queries: list[dict[str, Any]]

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Follow ``next`` to the end."""
        found, start = [], "0.0"
        while start is not None:
            page = self.get(path, **params, **{"from": start})
            found += page["items"]
            start = page["next"]
        return found


@pytest.fixture(scope="module")
def browsed(s3_server: ServerInfo) -> Iterator[Browsed]:
    keys = s3_server.credentials["admin"]
    place = {"endpoint_url": s3_server.endpoint_url, "path_style": True}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
        lake = Lake(LakeSettings(uri=f"s3://browsed-{uuid.uuid4().hex[:12]}/lake", **place))
    lake.store.ensure_bucket()
    prints, first = drawn_lake.fill(lake, (1, 2), intake="first")
    _, second = drawn_lake.fill(lake, (3, 4), intake="second")
    by = ["code"] * (first[1]["n_hops"] - 1) + ["eyes"]
    first[1]["confirmed_by"] = [{"by": one, "looks": 2 * (one == "eyes")} for one in by]
    first[1] |= {"unconfirmed": 0.0, "has_shortcut": False, "repaired": True}
    drawn_lake.write(lake, "queries", prints.queries, Shard("first", 0), first)
    instances = lake.read("instances", prints.instances, Shard("second", 0)).to_pylist()
    eyes = {"model": "labels", "revision": "1"}
    seen = [{**one, "detector": eyes, "segmenter": eyes} for one in instances]
    drawn_lake.write(lake, "instances", prints.instances, Shard("second", 0), seen)
    _refuse(lake, prints.queries, first[0])
    document = {
        "run_id": RUN,
        "run_after": "2026-11-22T02:00:00+00:00",
        "ingest": {"intake": "second", "shards": ["second/0000"]},
        "shards": ["first/0000", "second/0000"],
        "fingerprints": {"detect": prints.categories, "segment": prints.instances, "generate": prints.queries},
        "counts": {"rows": 8},
    }
    lake.put_json(f"runs/{KEY}.json", document)
    app = FastAPI()
    app.include_router(router(lambda: lake, lambda: None))
    with TestClient(app) as client:
        yield Browsed(client, lake, prints, first + second)


def _refuse(lake: Lake, fingerprint: str, query: dict[str, Any]) -> None:
    """Let the first shard hold rejects too: a draft with its hops, one with none to read, and a failed photo."""
    shard = Shard("first", 0)
    held = lake.marker("queries", fingerprint, shard)
    assert held
    rightmost = Hop(("cup",), "cup", Relation.RIGHT_OF)
    hat = Hop(("dog",), SCRIPT, Relation.NEAREST, "h1", Read.PRESENT, "a hat", value=False)
    looks = [*query["hops"], hop_to_row(rightmost), hop_to_row(hat)]
    draft = {"question": SCRIPT, "hops": looks, "expr": "h2", "answer": "3"}
    common = {"stage": "generate", "image_id": query["image_id"], "input_id": query["image_id"]}
    rows = [
        {"scope": "output", "outcome": "rejected", "reason": "no_chain", "detail": "loops", "payload": draft},
        {
            "scope": "output",
            "outcome": "rejected",
            "reason": "unreadable_query",
            "detail": "h1",
            "payload": {"draft": {"hops": [7]}, "try": 2, "found": "half \ud83d"},
        },
        {
            "scope": "input",
            "outcome": "failed",
            "reason": "error",
            "detail": "the model timed out",
            "payload": None,
            "uri": "s3://photos/Cafe\u0301.jpg",
        },
    ]
    table = [{**common, **row, "payload": json.dumps(row["payload"]) if row["payload"] else None} for row in rows]
    folder = lake.folder("queries", fingerprint, shard)
    part = lake.write_part(folder, "rejects-00000", pa.Table.from_pylist(table, schema=schemas.REJECTS))
    marker = Marker(
        held.parts, (part,), read=3, ok=2, rejected=0, failed=1, reasons={"no_chain": 1, "unreadable_query": 1}
    )
    lake.replace_marker("queries", fingerprint, shard, marker)


def test_builds_are_listed_and_found_by_the_id_of_their_airflow_run(browsed: Browsed) -> None:
    listed = browsed.get("/builds")
    assert [one["id"] for one in listed["builds"]] == [KEY]
    assert [one["fingerprint"] for one in listed["lineages"]] == [browsed.prints.queries]
    build = browsed.client.get(f"/builds/{KEY}").json()
    assert {level["stage"]: level["rows"] for level in build["funnel"]} == {
        "ingest": 4,
        "detect": 4,
        "segment": sum(map(_instances, (1, 2, 3, 4))),
        "generate": 8,
    }
    raw = browsed.client.get(f"/builds/{RUN}")  # its record is of 0.1
    assert raw.json()["id"] == KEY
    assert browsed.client.get(f"/builds/{RUN.replace('~', '+')}").status_code == 404, "another run"


def _instances(seed: int) -> int:
    return len(drawn_lake.draw(seed)[1])


def test_what_is_under_a_fingerprint_is_a_build_too(browsed: Browsed) -> None:
    whole = browsed.get(f"/builds/~{browsed.prints.queries}")
    assert whole["fingerprints"]["detect"] == browsed.prints.categories
    assert len(browsed.all(f"/builds/~{browsed.prints.queries}/queries")) == 8


def test_pages_of_a_gallery_join_to_every_query_once(browsed: Browsed) -> None:
    found = browsed.all(f"/builds/{KEY}/queries", count=3)
    assert [one["query_id"] for one in found] == [row["query_id"] for row in browsed.queries]


def test_queries_are_found_by_text_relation_reading_and_length(browsed: Browsed) -> None:
    wanted = browsed.queries[3]
    path = f"/builds/{KEY}/queries"
    assert [one["query_id"] for one in browsed.all(path, text=wanted["query_id"].upper())] == [wanted["query_id"]]
    assert len(browsed.all(path, text="CUPS THERE are")) == 8
    assert len(browsed.all(path, rel="nearest", read="count", hops=5)) == 8
    for nothing in ({"rel": "inside"}, {"read": "colour"}, {"hops": 4}, {"text": "zebra"}):
        assert browsed.all(path, **nothing) == []


def test_rejects_come_with_payload_hops_and_photo(browsed: Browsed) -> None:
    path = f"/builds/{KEY}/rejects"
    loops, odd, failed = browsed.all(path, stage="generate")
    assert loops["payload"]["question"] == SCRIPT
    assert [hop["rel"] for hop in loops["hops"][:5]] == [hop["rel"] for hop in browsed.queries[0]["hops"]]
    assert loops["photo"]
    assert loops["draft"] == loops["payload"]
    assert "unreadable" in odd["hops"][0]
    assert odd["draft"] == {"hops": [7]}
    assert odd["payload"]["found"] == "half ?"
    assert (failed["payload"], failed["draft"]) == (None, {})
    assert browsed.all(path, stage="generate", reason="no_chain") == [loops]
    assert browsed.all(path, stage="generate", outcome="failed") == [failed]
    assert browsed.all(path, stage="generate", text="TIMED OUT") == [failed]
    assert browsed.all(path, stage="generate", text="caf\u00e9.JPG") == [failed], "macOS stores accents apart"


def test_hops_of_queries_and_rejects_come_in_words(browsed: Browsed) -> None:
    def words(one: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
        return [(hop["finds"], hop["asks"], hop["gets"]) for hop in one["hops"]]

    query = browsed.all(f"/builds/{KEY}/queries")[0]
    cups = json.loads(browsed.queries[0]["hops"][4]["value"])
    assert words(query)[0] == ("the car", None, None)
    assert words(query)[2] == ("the dog nearest to h2", None, None)
    assert words(query)[4] == ("cups in the whole picture", "how many?", f"{cups}")
    reject = browsed.all(f"/builds/{KEY}/rejects", stage="generate")[0]
    assert words(reject)[5] == ("the rightmost cup", None, None)
    assert words(reject)[6] == (f"the {SCRIPT} nearest to h1", "can this be seen on it: a hat?", "no")


def test_each_hop_says_who_confirmed_it(browsed: Browsed) -> None:
    old, new = browsed.all(f"/builds/{KEY}/queries", count=2)[:2]
    assert {hop["confirmed"] for hop in old["hops"]} == {"who confirmed it is not recorded"}
    assert [hop["confirmed"] for hop in new["hops"]][-2:] == ["confirmed by code", "confirmed by eyes (2 of 2 looks)"]
    assert (old["unconfirmed"], new["unconfirmed"], new["repaired"]) == (None, 0.0, True)


def test_each_query_says_who_saw_its_photo(browsed: Browsed) -> None:
    first, second = "test-detect, test-segment", "labels"  # those of the lineage, and of photos with labels
    assert [one["seen_by"] for one in browsed.all(f"/builds/{KEY}/queries")] == [first] * 4 + [second] * 4


def test_a_mask_covers_its_instance_and_nothing_else(browsed: Browsed) -> None:
    query = browsed.all(f"/builds/{KEY}/queries")[0]
    hop = query["hops"][0]
    where = {"shard": query["shard"], "image": query["image_id"]}
    layer = browsed.client.get(f"/builds/{KEY}/mask", params={**where, "of": hop["target"][0], "colour": hop["colour"]})
    assert layer.headers["content-type"] == "image/png"
    alpha = np.asarray(Image.open(io.BytesIO(layer.content)).convert("RGBA"))[:, :, 3]
    x1, y1, x2, y2 = drawn_lake.draw(1)[1][0][1]
    inside = np.zeros((drawn_lake.HEIGHT, drawn_lake.WIDTH), bool)
    inside[y1:y2, x1:x2] = True
    assert (alpha[inside] > 0).all()
    assert not alpha[~inside].any()


def test_a_photo_is_made_small_and_is_gone_once_withdrawn(browsed: Browsed) -> None:
    query = browsed.queries[0]
    where = {"shard": "first/0000", "image": query["image_id"]}
    small = browsed.client.get("/photo", params={**where, "width": 100})
    assert Image.open(io.BytesIO(small.content)).size == (100, 75)
    browsed.lake.write_tombstone(query["image_id"], reason="asked for", blob_sha=None)
    assert browsed.client.get("/photo", params=where).status_code == 404
    mask = {**where, "of": query["hops"][0]["target"][0]}
    assert browsed.client.get(f"/builds/{KEY}/mask", params=mask).status_code == 404
    assert len(browsed.all(f"/builds/{KEY}/queries")) == 6
    assert browsed.all(f"/builds/{KEY}/rejects", stage="generate") == []
    browsed.lake.store.delete([f"withdrawn/{query['image_id']}.json"])


def test_what_is_not_there_or_makes_no_sense_is_refused(browsed: Browsed) -> None:
    refused = {
        "/builds/nobody": 404,
        "/builds/..%2F..%2Fwithdrawn": 404,
        f"/builds/{'x' * 300}": 404,
        "/builds/~0123456789ab": 404,
        "/builds/~..%2F": 404,
        f"/builds/{KEY}/rejects?stage=answers": 404,
        f"/builds/{KEY}/rejects": 422,
        f"/builds/{KEY}/queries?from=..": 422,
        f"/builds/{KEY}/queries?count=100000": 422,
        "/photo?shard=../0000&image=0": 404,
        "/photo?shard=first/0000&image=..%2F..%2Fruns": 404,
        f"/builds/{KEY}/mask?shard=first/0000&image=0&of=0": 404,
    }
    assert {path: browsed.client.get(path).status_code for path in refused} == refused


def test_nothing_is_shown_to_whom_the_dependency_does_not_let_in(browsed: Browsed) -> None:
    def nobody() -> None:
        raise HTTPException(403, "not you")

    app = FastAPI()
    app.include_router(router(lambda: browsed.lake, nobody))
    paths = list(app.openapi()["paths"])
    assert len(paths) == 6
    with TestClient(app) as client:
        for path in paths:
            assert client.get(path.replace("{name}", KEY)).status_code == 403


def test_the_browser_knows_every_stage_of_a_build() -> None:
    assert {n: step.stage.table for n, step in Build(Settings()).steps.items()}.items() <= TABLES.items()
