"""The lead's reports in a real browser: people, pairs, days and files; and the active time that the desk measures."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from audit import audit
from playwright.sync_api import Page, expect
from sites import PHONE, SCRIPT, ZOOMED, Site, desk_of, open_only, shot

from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import Vote, vote_key, votes_prefix

NAME = "reported"
DAYS = [(datetime.now(UTC) - timedelta(days=ago)).date().isoformat() for ago in range(40)]


@pytest.fixture(scope="module", autouse=True)
def batch(site: Site) -> str:
    """An open batch in which three people have answered, one of them differently, a month ago and yesterday."""
    queries = tuple(query["query_id"] for query in site.queries)
    for number, query in enumerate(queries[:5]):
        for seat, who in enumerate(("ben", "cleo", "dan"), start=1):
            answer = "7" if who == "dan" and number else "5"
            at = f"{DAYS[1 if number else 35]}T09:0{number}:00.000+00:00"
            times = {"seconds": 90.0, "active_seconds": 2.0 if who == "dan" else 60.0}
            said: dict[str, Any] = {"answer": answer, "comment": SCRIPT, "answered_at": at, **times}
            vote = Vote(query_id=query, seat=seat, rev=1, annotator=who, batch=NAME, **said)
            site.lake.store.put(vote_key(NAME, query, seat, 1), vote.data())
    made = Batch(NAME, "a run", queries, lineage=site.prints.queries, shards=("first/0000",))
    open_only(site, made, "ann")
    return NAME


def opened(page: Page) -> Page:
    page.goto("/hopchain/reports")
    expect(page.locator("#people tbody tr")).not_to_have_count(0)
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "how"), [("desktop", {}), ("phone", PHONE), ("zoomed", ZOOMED)])
def test_the_page_can_be_read_in_both_themes_everywhere(site: Site, theme: str, name: str, how: dict[str, Any]) -> None:
    with site.visit("lead", **how) as page:
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        opened(page)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        shot(page, f"reports-{name}-{theme}")
        page.locator("#pairs-title").scroll_into_view_if_needed()
        shot(page, f"reports-{name}-{theme}-pairs")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert audit(page.locator("body")) >= 4.5


def test_a_lead_sees_people_pairs_and_days_of_a_period(site: Site, tmp_path: Path) -> None:
    with site.visit("lead") as page:
        desk = desk_of(page, "lead")
        desk.get_by_role("link", name="Reports").click()
        expect(desk.locator("#days tbody tr")).not_to_have_count(0)  # the page has set its own period
        desk.get_by_label("From", exact=True).fill(DAYS[1])  # otherwise what other files did today counts too
        desk.get_by_label("To", exact=True).fill(DAYS[1])
        dan = desk.locator("#people tr", has_text="dan").locator("td")
        figures = ["4", "0", "0", "0.1 min", "0 %", "–", "0", "4"]
        expect(dan).to_have_text([*figures, re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}")])
        row = desk.locator("#pairs tbody tr", has=desk.get_by_role("rowheader", name="ben")).locator("td")
        assert [cell.split(" ")[0] for cell in row.all_inner_texts() if "%" in cell] == ["100", "0"]
        desk.get_by_label("From", exact=True).fill(DAYS[35])
        expect(dan.nth(0)).to_have_text("5")
        expect(desk.locator("#pairs td[data-level=low]").first).to_contain_text("20 %")
        desk.get_by_label("Period").select_option("all")
        expect(desk.locator("#days tbody tr")).not_to_have_count(0)
        desk.get_by_label("To", exact=True).fill(DAYS[35])
        expect(desk.get_by_label("Period")).to_have_value("own")
        expect(desk.locator("#days tbody tr", has_text=DAYS[35])).to_have_count(3)
        expect(dan.nth(0)).to_have_text("1")
        assert page.locator("title").text_content() != "owned"
        with page.expect_download() as download:
            desk.get_by_role("link", name="Time sheet (CSV)").click()
        download.value.save_as(tmp_path / "timesheet.csv")
        rows = list(csv.DictReader((tmp_path / "timesheet.csv").open(encoding="utf-8-sig")))
        assert {row["annotator"]: row["active_minutes"] for row in rows} == {"ben": "1.0", "cleo": "1.0", "dan": "0.0"}


def test_annotators_have_no_reports(site: Site) -> None:
    with site.visit("ann") as page:
        reply = page.goto("/hopchain/reports")
        assert reply is not None
        assert reply.status == 403
        page.goto("/hopchain/annotate")
        expect(page.get_by_role("link", name="Guidelines")).to_be_visible()
        expect(page.get_by_role("link", name="Reports")).to_have_count(0)


def test_an_answer_carries_the_active_time_and_a_skip_too(site: Site) -> None:
    with site.visit("ann") as page:
        page.goto("/hopchain/annotate")
        expect(page.locator("#photo")).to_be_visible()
        page.wait_for_timeout(1_500)
        page.locator("#answer").fill("5")
        page.keyboard.press("Enter")
        expect(page.locator("#message")).to_contain_text("Sent: 5.")
        expect(page.locator("body")).not_to_have_attribute("aria-busy", "true")  # the next question is there
        page.get_by_role("button", name="Skip").click()
        expect(page.locator("#message")).to_contain_text("Skipped.")
    stored = [json.loads(site.lake.store.get(entry.key)) for entry in site.lake.store.list_objects(votes_prefix(NAME))]
    (vote,) = [one for one in stored if one.get("annotator") == "ann" and one.get("answer")]
    assert 1 <= vote["active_seconds"] <= vote["seconds"] < 300
    (skip,) = [one for one in stored if one.get("skipped_at")]
    assert skip["annotator"] == "ann"
    assert skip["active_seconds"] >= 0


def test_no_page_broke_its_policy_or_asked_another_server(site: Site) -> None:
    assert site.troubles == []
