"""A lead labels disagreements and sends a question to fresh people, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from audit import audit
from playwright.sync_api import Page, expect
from sites import ANNOTATORS, PHONE, SCRIPT, ZOOMED, Site, desk_of, open_only, shot

from hopchain_etl.annotation.adjudications import adjudications
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import Vote, vote_key

NAME = "disagreed"
ANSWERED = (datetime.now(UTC) - timedelta(days=10)).date()  # no day at which the test of reports looks more closely


@pytest.fixture(scope="module", autouse=True)
def batch(site: Site) -> str:
    """The only open batch, for two people each: ben and cleo disagree on the first two of its three questions."""
    queries = tuple(query["query_id"] for query in site.queries[:3])
    policy = {"name": "2 of 2", "seats": 2, "agree": 2}
    made = Batch(NAME, "a run", queries, policy, lineage=site.prints.queries, shards=("first/0000",))
    for query in queries[:2]:
        for seat, (who, answer) in enumerate((("ben", "5"), ("cleo", "6")), start=1):
            at = f"{ANSWERED}T09:00:00.000+00:00"
            said: dict[str, Any] = {"answer": answer, "answered_at": at, "seconds": 9.0}
            vote = Vote(query_id=query, seat=seat, rev=1, annotator=who, batch=NAME, **said)
            site.lake.store.put(vote_key(NAME, query, seat, 1), vote.data())
    open_only(site, made, "ann")
    return NAME


def cases(page: Page) -> None:
    page.goto("/hopchain/lead")
    expect(page.locator("#detail-title")).to_have_text(f"{NAME}: 2 of 2, open")
    expect(page.locator("#disagreements-count")).to_have_text("2 of 2")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "how"), [("desktop", {}), ("phone", PHONE), ("zoomed", ZOOMED)])
def test_the_form_can_be_read_in_both_themes_everywhere(site: Site, theme: str, name: str, how: dict[str, Any]) -> None:
    with site.visit("lead", **how) as page:
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        cases(page)
        page.locator("details.label summary").first.press("Enter")
        page.get_by_role("button", name="Save the label of").first.scroll_into_view_if_needed()
        shot(page, f"labels-{name}-{theme}")
        assert audit(page.locator("body")) >= 4.5


def test_a_lead_labels_a_disagreement_and_fresh_people_are_asked(site: Site) -> None:
    query = site.queries[0]["query_id"]
    with site.visit("lead") as page:
        lead = desk_of(page, "lead")
        expect(lead.locator("details.label")).to_have_count(2)
        expect(lead.locator("#fresh")).to_be_hidden()
        case = lead.locator(".case", has_text=site.queries[0]["question"]).locator("details.label")
        case.locator("summary").press("Enter")
        case.get_by_role("button").click()
        expect(case.get_by_role("alert")).to_have_text("Choose what it was.")
        case.get_by_label("The question can be understood in more than one way").check()
        case.get_by_label("Comment").fill(f"which dog? {SCRIPT}")
        case.get_by_label("Ask fresh people").check()
        case.get_by_role("button").press("Enter")
        expect(lead.locator("#message")).to_have_text("The label is stored.")
        expect(case.locator("summary")).to_contain_text("more than one way (lead, ")
        expect(case.locator("summary")).to_contain_text("marked for fresh people")
        expect(case.locator("summary")).to_be_focused()
        lead.get_by_role("button", name="Ask fresh people the marked question …").click()
        dialog = lead.get_by_role("dialog", name="Ask fresh people 1 question")
        expect(dialog.get_by_label("Name of the new batch")).to_have_value(f"{NAME}-fresh")
        shot(page, "labels-fresh")
        audit(lead.locator("body"))
        dialog.get_by_role("button", name="Ask", exact=True).click()
        expect(lead.locator("#message")).to_have_text(f"{NAME}-fresh asks 1 question.")
        expect(lead.locator("#batches tr", has_text=f"{NAME}-fresh")).to_contain_text("0 of 2")
        expect(lead.locator("#fresh")).to_be_hidden()
        expect(lead.locator(".case summary", has_text="sent to fresh people")).to_have_count(1)
        assert page.locator("title").text_content() != "owned"
    (stored,) = adjudications(site.lake).values()
    assert (stored.query_id, stored.label, stored.by, stored.again) == (query, "ambiguous", "lead", True)
    asked = {name: tasks(site, name) for name in ANNOTATORS}
    assert query in asked["ann"]
    assert query in asked["dan"]
    assert query not in asked["ben"] | asked["cleo"]


def tasks(site: Site, name: str) -> set[str]:
    """Return which questions somebody is asked, one after the other; they skip each."""
    found: set[str] = set()
    with site.visit(name) as page:
        while task := page.request.get("/hopchain/api/next").json()["task"]:
            found.add(task["query_id"])
            headers = {"Origin": site.airflow.url}
            page.request.post("/hopchain/api/skips", data={"query_id": task["query_id"]}, headers=headers)
    return found


def test_reports_show_what_the_labels_are_about(site: Site) -> None:
    with site.visit("lead", viewport={"width": 390, "height": 844}) as page:
        page.goto("/hopchain/reports")
        expect(page.get_by_role("heading", name="Why people disagreed")).to_be_visible()
        relations = page.get_by_role("group", name="Relation").locator("tbody tr")
        expect(relations.first).to_contain_text("1")
        page.locator("#labels-title").scroll_into_view_if_needed()
        shot(page, "reports-labels-phone")
        assert audit(page.locator("body")) >= 4.5


def test_no_page_broke_its_policy_or_asked_another_server(site: Site) -> None:
    assert site.troubles == []
