"""A site for the browser tests: S3, a lake with drawn photos, a real Airflow with the plugin, and chromium."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, Request, expect, sync_playwright

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.demo import local_airflow, s3_server
from hopchain_etl.demo.local_airflow import AirflowServer
from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import LakeSettings, S3Settings
from hopchain_etl.web.desk import practice
from support import drawn_lake

CHROMIUM = "/usr/bin/chromium"
QUIET = [  # no sandbox: containers lack it; nothing of chromium's own goes over the network
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
]
SHOTS = Path(__file__).parents[3] / ".browser"  # for people to look at
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ZOOMED = {"viewport": {"width": 680, "height": 400}}  # 1360 x 800 at 200 %
ANNOTATORS = ("ann", "ben", "cleo", "dan")
SCRIPT = "<img src=x onerror=\"document.title='owned'\">"


@dataclass
class Site:
    """Everything that runs, and what is in the lake.

    ``troubles``: errors and broken policies in the consoles of our pages, and what they asked of other servers.
    """

    folder: Path
    server: ServerInfo
    airflow: AirflowServer
    browser: Browser
    lake: Lake
    prints: drawn_lake.Lineages
    queries: list[dict[str, Any]]
    troubles: list[str] = field(default_factory=list)

    @contextmanager
    def visit(self, user: str | None, **how: Any) -> Iterator[Page]:
        """Yield a page of a browser of its own, in which ``user`` has logged in through Airflow's form."""
        how = {"viewport": {"width": 1360, "height": 800}, "timezone_id": "UTC", **how}
        with self.browser.new_context(base_url=self.airflow.url, **how) as context:
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.on("pageerror", lambda error: self.troubles.append(f"{user}: {error}"))
            page.on("console", lambda message: self._heard(user, message.type, message.text))
            page.on("request", lambda request: self._asked(user, request))
            if user:
                self.log_in(page, user)
            yield page

    def log_in(self, page: Page, user: str) -> None:
        """Fill in Airflow's login form."""
        page.goto("/auth/login")
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(self.airflow.passwords[user])
        page.get_by_role("button", name="Sign in").click()
        expect(page).not_to_have_url(re.compile("/auth/login"))

    def _heard(self, user: str | None, kind: str, text: str) -> None:
        if kind == "error" and "Content Security Policy" in text:
            self.troubles.append(f"{user}: {text}")

    def _asked(self, user: str | None, request: Request) -> None:
        ours = "/hopchain/" in request.url or "/hopchain/" in (request.headers.get("referer") or "")
        if ours and not request.url.startswith((self.airflow.url, "data:", "blob:")):
            self.troubles.append(f"{user} asked for {request.url}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file about people's first visit: all others leave people who have practised and answered."""
    items.sort(key=lambda item: item.path.name != "test_pages.py")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all sites; each visit has a context of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        expect.set_options(timeout=30_000)  # machines may be busy
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all files: starting Airflow takes longer than most tests."""
    with running(chromium, tmp_path_factory.mktemp("site")) as it:
        yield it


@contextmanager
def running(browser: Browser, folder: Path, **more: str) -> Iterator[Site]:
    """Yield a site below ``folder``, with ``more`` in the environment of Airflow; everything is stopped at the end."""
    server = s3_server.start(folder / "s3")
    try:
        keys = server.credentials["admin"]
        place = {"endpoint_url": server.endpoint_url, "path_style": True}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
            patch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
            lake = Lake(LakeSettings(uri="s3://site/lake", **place))
            lake.store.ensure_bucket()
            open_store(S3Settings(uri="s3://site-registry/dvc", **place)).ensure_bucket()
        subprocess.run(["git", "init", "--quiet", "--bare", str(folder / "registry.git")], check=True)
        prints, queries = _fill(lake)
        environment = _environment(folder, server, prints) | more
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("AWS_", "HOPCHAIN_", "AIRFLOW_"))]:
                patch.delenv(name)
            airflow = local_airflow.start(folder / "airflow", environment)
        try:
            local_airflow.wait_until_healthy(airflow)
            yield Site(folder, server, airflow, browser, lake, prints, queries)
        finally:
            local_airflow.stop(folder / "airflow")
    finally:
        s3_server.stop(folder / "s3")


def _fill(lake: Lake) -> tuple[drawn_lake.Lineages, list[dict[str, Any]]]:
    """Fill the lake with three photos, two questions each, in one batch, and with two rejects."""
    prints, queries = drawn_lake.fill(lake, (1, 2, 3))
    query_ids = tuple(query["query_id"] for query in queries)
    batches.create(lake, Batch("monday", "drawn by hand", query_ids, lineage=prints.queries, shards=("first/0000",)))
    shard = Shard("first", 0)
    held = lake.marker("queries", prints.queries, shard)
    assert held
    draft = {"question": SCRIPT, "hops": queries[0]["hops"], "expr": "h2+h4", "answer": "3"}
    common = {"stage": "generate", "outcome": "rejected", "image_id": queries[0]["image_id"]}
    rows = [
        {**common, "scope": "output", "reason": "too_few_hops", "detail": "4 hops", "payload": json.dumps(draft)},
        {**common, "scope": "output", "reason": "ambiguous_hop", "detail": "h2 fits two", "payload": None},
    ]
    folder = lake.folder("queries", prints.queries, shard)
    part = lake.write_part(folder, "rejects-00000", pa.Table.from_pylist(rows, schema=schemas.REJECTS))
    reasons = {"too_few_hops": 1, "ambiguous_hop": 1}
    marker = Marker(held.parts, (part,), read=held.read, ok=held.ok, rejected=0, failed=0, reasons=reasons)
    lake.replace_marker("queries", prints.queries, shard, marker)
    return prints, queries


def open_only(site: Site, batch: Batch, seen_by: str) -> None:
    """Open a batch instead of all that are open, for people who have practised; return when ``seen_by`` is asked it."""
    for name, kinds in batches.batch_states(site.lake).items():
        if not kinds & {"closed", "decided"}:
            batches.close(site.lake, name, by="lead")
    batches.create(site.lake, batch)
    for name in ANNOTATORS:
        practice.finish(site.lake, name)
    with site.visit(seen_by) as page:
        while page.request.get("/hopchain/api/next").json()["progress"]["batch"] != batch.id:
            page.wait_for_timeout(300)  # the desk has not heard of the batch yet


def build_of(site: Site, run_id: str) -> dict[str, Any]:
    """Return what hopchain_build records of a run, with the lake's one shard."""
    return {
        "run_id": run_id,
        "run_after": "2026-11-22T02:00:00+00:00",
        "ingest": {"intake": "first", "shards": ["first/0000"]},
        "shards": ["first/0000"],
        "fingerprints": {
            "detect": site.prints.categories,
            "segment": site.prints.instances,
            "generate": site.prints.queries,
        },
        "counts": {"rows": len(site.queries)},
    }


def _environment(folder: Path, server: ServerInfo, prints: drawn_lake.Lineages) -> dict[str, str]:
    keys = server.credentials["admin"]
    connection = {"conn_type": "aws", "login": keys.access_key, "password": keys.secret_key}
    places = {
        "LAKE": "s3://site/lake",
        "SOURCE": "s3://site/photos",
        "REGISTRY__REMOTE": "s3://site-registry/dvc",
    }
    environment = {
        "AIRFLOW_CONN_SITE_S3": json.dumps(connection),
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "HOPCHAIN_REGISTRY__GIT_URL": str(folder / "registry.git"),
        "HOPCHAIN_RELEASE__LINEAGES": json.dumps([prints.queries]),
        "HOPCHAIN_ORCHESTRATE__COLLECT_SCHEDULE": "0 0 1 1 *",  # by hand only
        "HOPCHAIN_ORCHESTRATE__RETRIES": "0",  # what fails is to be seen
        "HOPCHAIN_DESK__ANNOTATORS": json.dumps([f"user:{name}" for name in ANNOTATORS]),
        "HOPCHAIN_DESK__LEADS": json.dumps(["user:lead"]),
        "HOPCHAIN_DESK__FULL_SHARE": "0",  # else a decided question might be asked on
        "HOPCHAIN_DESK__QUALIFICATION_NEEDED": "0",  # practice is answered anyhow
        "HOPCHAIN_DIVERSITY__NEAR": "1",  # drawn questions are all alike
        "HOPCHAIN_DIVERSITY__TEMPLATE": "1",
        "HOPCHAIN_DIVERSITY__ANSWER": "1",
        "HOPCHAIN_DESK__REFRESH_SECONDS": "0.5",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for name, uri in places.items():
        environment[f"HOPCHAIN_{name}__URI"] = uri
        environment[f"HOPCHAIN_{name}__ENDPOINT_URL"] = server.endpoint_url
        environment[f"HOPCHAIN_{name}__PATH_STYLE"] = "true"
        environment[f"HOPCHAIN_{name}__CONNECTION"] = "site_s3"
    return environment


def desk_of(page: Page, name: str) -> FrameLocator:
    """Open a page of the plugin by Airflow's navigation and return its frame."""
    page.goto(f"/plugin/hopchain-{name}-nav")
    return page.frame_locator("iframe")


def shot(page: Page, name: str) -> None:
    """Write a picture of what the browser shows, for people."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}.png"))
