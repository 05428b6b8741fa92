"""Practice that must be passed, a pause, and a lead who lets somebody go on, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from audit import audit
from playwright.sync_api import Browser, Page, expect
from sites import ANNOTATORS, PHONE, Site, running, shot

from hopchain_etl.annotation import qualification
from hopchain_etl.annotation.qualification import Event, Events, Standing
from hopchain_etl.annotation.votes import Vote, vote_key
from hopchain_etl.web.desk import practice

NARROW = {"viewport": {"width": 390, "height": 844}}
PAUSED_AT, SINCE = "2026-11-27T10:00:00.000+00:00", "2026-11-27T09:00:00.000+00:00"


@pytest.fixture(scope="module")
def strict(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of its own, where two of three practice answers must be right."""
    with running(chromium, tmp_path_factory.mktemp("strict"), HOPCHAIN_DESK__QUALIFICATION_NEEDED="2") as it:
        yield it


def with_theme(page: Page, theme: str) -> None:
    page.goto("/hopchain/assets/shared/theme.js")
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)


def practise(page: Page, first: int, answers: list[str]) -> None:
    """Answer the practice questions from number ``first`` on; an empty answer stands for the right one."""
    for number, answer in enumerate(answers, start=first):
        expect(page.locator(f'#photo[src="api/practice/{number}/image"]')).to_be_visible()
        page.locator("#answer").fill(answer or practice._one(number, 3).answer)
        page.locator("#send").click()
        expect(page.locator(".feedback")).to_have_attribute("data-right", "no" if answer else "yes")
        page.locator("#send").click()


@pytest.mark.parametrize(("theme", "name", "how"), [("light", "ann", {}), ("dark", "ben", PHONE)])
def test_real_questions_come_after_enough_right_practice_answers(
    strict: Site, theme: str, name: str, how: dict[str, object]
) -> None:
    with strict.visit(name, **how) as page:
        with_theme(page, theme)
        page.goto("/hopchain/annotate")
        expect(page.locator("#notice")).to_contain_text("when 2 of its 3 answers are right")
        page.get_by_role("button", name="Start the practice round").click()
        practise(page, 0, ["-999", "-999", ""])
        expect(page.get_by_role("heading", name="Not enough yet")).to_be_visible()
        expect(page.locator("#notice")).to_contain_text("1 of 3 answers were right; you need 2")
        shot(page, f"qualification-not-yet-{theme}")
        audit(page.locator("body"))
        page.reload()  # it is in the lake
        expect(page.get_by_role("heading", name="Not enough yet")).to_be_visible()
        page.get_by_role("button", name="Practise").click()
        practise(page, 3, ["", "-999", ""])
        expect(page.locator('#photo[src^="api/queries/"]')).to_be_visible()
        expect(page.locator("#progress")).to_contain_text("Answered by you: 0")
    assert len(qualification.practised(strict.lake, name)) == 6


@pytest.fixture(scope="module")
def paused(strict: Site) -> None:
    """Cleo has practised and answered two questions since her last right check, and is paused."""
    for number in (0, 1, 2):
        qualification.keep_practice(strict.lake, "cleo", number, True, SINCE)
    practice.finish(strict.lake, "cleo")
    for query, answered_at in zip(
        strict.queries, (SINCE[:14] + "30", PAUSED_AT[:14] + "01", SINCE[:11] + "08"), strict=False
    ):
        where = {"query_id": query["query_id"], "seat": 3, "rev": 1}
        vote = Vote(**where, annotator="cleo", answer="7", answered_at=answered_at, batch="monday")
        strict.lake.store.put(vote_key("monday", **where), vote.data())
    assert Events(strict.lake).add(Event("cleo", "paused", PAUSED_AT, right=4, of=10, since=SINCE), Standing())


@pytest.mark.parametrize(("theme", "how"), [("light", {}), ("dark", {}), ("dark", PHONE)])
def test_a_paused_person_is_told_what_to_do(strict: Site, paused: None, theme: str, how: dict[str, object]) -> None:
    with strict.visit("cleo", **how) as page:
        with_theme(page, theme)
        page.goto("/hopchain/annotate")
        expect(page.get_by_role("heading", name="You are paused")).to_be_visible()
        expect(page.locator("#notice")).to_contain_text(
            "Of the last 10 that you answered, 4 were right; at least 6 are needed"
        )
        expect(page.locator("#notice")).to_contain_text("Talk to your lead")
        expect(page.get_by_role("link", name="Read the guidelines")).to_be_visible()
        shot(page, f"qualification-paused-{theme}-{'phone' if how else 'desktop'}")
        audit(page.locator("body"))
        page.get_by_role("button", name="Practice round").click()
        expect(page.locator("#mode")).to_contain_text("Practice 1 of 3")


@pytest.mark.parametrize(("theme", "how"), [("light", NARROW), ("dark", NARROW), ("dark", {}), ("light", {})])
def test_a_lead_looks_at_the_answers_and_lets_them_go_on(
    strict: Site, paused: None, theme: str, how: dict[str, object]
) -> None:
    with strict.visit("lead", **how) as page:
        with_theme(page, theme)
        page.goto("/hopchain/lead")
        row = page.locator("#qualification li", has_text="cleo")
        expect(row).to_contain_text("paused")
        expect(row).to_contain_text("4 of the last 10 known answers right")
        expect(row).to_contain_text("2 answers since the last right one")
        box = page.locator("#qualification-card").bounding_box()
        assert box
        assert box["x"] + box["width"] <= page.evaluate("innerWidth")
        row.get_by_role("button", name="Look at the answers of cleo").click()
        expect(page.locator("#flagged-title")).to_have_text("2 answers of cleo since the last right known answer")
        expect(page.locator("#flagged li")).to_have_count(2)
        assert "false" not in page.locator("#flagged").inner_text()
        page.locator("#qualification-card").scroll_into_view_if_needed()
        shot(page, f"qualification-lead-{theme}-{'phone' if how else 'desktop'}")
        audit(page.locator("body"))
        if (theme, how) != ("light", {}):
            return
        with strict.visit("cleo") as other:
            other.goto("/hopchain/annotate")
            expect(other.get_by_role("heading", name="You are paused")).to_be_visible()
            row.get_by_role("button", name="Let cleo go on …").click()
            page.get_by_role("dialog").get_by_role("button", name="Let go on").click()
            expect(row).to_contain_text("goes on")
            expect(page.locator("#message")).to_have_text("cleo gets questions again.")
            other.get_by_role("button", name="Check again").click()
            expect(other.locator('#photo[src^="api/queries/"]')).to_be_visible()


def test_a_lead_lets_somebody_start_without_practice(strict: Site) -> None:
    with strict.visit("lead") as page:
        page.goto("/hopchain/lead")
        row = page.locator("#qualification li", has_text="dan")
        expect(row).to_contain_text("has not begun; 2 of 3 right answers needed")
        row.get_by_role("button", name="Let dan start …").click()
        page.get_by_role("dialog").get_by_role("button", name="Let start").click()
        expect(row).to_have_count(0)
    assert Events(strict.lake).standings()["dan"].admitted
    assert "dan" in ANNOTATORS


def test_nothing_broke_the_policy(strict: Site) -> None:
    assert strict.troubles == []
