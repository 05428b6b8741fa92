"""The guidelines in a real browser: pictures, editing, two leads at once, and what annotators are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from audit import audit
from playwright.sync_api import Page, expect
from sites import PHONE, SCRIPT, ZOOMED, Site, open_only, shot

from hopchain_etl.annotation import guidelines
from hopchain_etl.annotation.batches import Batch

NOTE = "Count what is behind glass too."


@pytest.fixture(scope="module", autouse=True)
def batch(site: Site) -> None:
    """An open batch of all questions, for people who have practised."""
    queries = tuple(query["query_id"] for query in site.queries)
    made = Batch("guided", "a run", queries, lineage=site.prints.queries, shards=("first/0000",))
    open_only(site, made, "ann")


@pytest.fixture(autouse=True)
def as_delivered(site: Site) -> Iterator[None]:
    """Each test ends without an edited version."""
    yield
    site.lake.store.delete([entry.key for entry in site.lake.store.list_objects("guidelines/")])


def with_theme(page: Page, theme: str) -> None:
    page.goto("/hopchain/assets/shared/theme.js")
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("how", [{}, PHONE, ZOOMED], ids=["desktop", "phone", "zoomed"])
def test_the_text_and_its_pictures_can_be_read(site: Site, how: dict[str, object], theme: str) -> None:
    with site.visit("ann", **how) as page:
        with_theme(page, theme)
        page.goto("/hopchain/guidelines")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        pictures = page.locator(".guide svg")
        expect(pictures.first).to_be_visible()
        assert pictures.count() > 15
        assert all(one.get_attribute("aria-label") for one in pictures.all())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the window"
        assert audit(page.locator("body")) >= 4.5
        page.screenshot(path=f".browser/guidelines-{page.viewport_size['width']}-{theme}.png", full_page=True)  # type: ignore[index]


def edited(page: Page, text: str, note: str) -> None:
    """Write a text and a note in the editor, as a lead does."""
    page.goto("/hopchain/edit-guidelines")
    expect(page.locator("#text h2").first).to_be_visible()
    page.get_by_label("Text, in Markdown").fill(text)
    page.get_by_label("What has changed?").fill(note)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_lead_edits_with_a_preview_and_annotators_are_told_until_they_have_looked(site: Site, theme: str) -> None:
    text = guidelines.default().markdown.replace("# Rules\n\n", f"# Rules\n\n- {NOTE}\n- {SCRIPT}\n")
    text = text.replace("There is no hurry.", "Take your time.")
    with site.visit("lead") as page:
        with_theme(page, theme)
        page.goto("/hopchain/guidelines")
        page.get_by_role("link", name="Edit …").click()
        edited(page, text, NOTE)
        expect(page.locator("#text .changed")).to_have_count(3)
        expect(page.locator("#text")).to_contain_text(SCRIPT)
        expect(page.locator("#differences ins").first).to_be_visible()
        assert page.title() == "Edit the guidelines · HopChain", "the script did not run"
        shot(page, f"guidelines-edit-{theme}")
        audit(page.locator("body"))
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("#message")).to_contain_text("Version 1 is published")
    with site.visit({"light": "ann", "dark": "ben"}[theme]) as page:  # workers do not forget what a person has opened
        with_theme(page, theme)
        page.goto("/hopchain/annotate")
        strip = page.locator("#guidelines-changed")
        expect(strip).to_contain_text(f": {NOTE}")
        expect(page.locator("#pages")).to_contain_text("changed")
        expect(page.locator("h1:visible")).to_have_count(1)
        expect(page.locator("#photo")).to_be_visible()
        shot(page, f"guidelines-told-{theme}")
        audit(page.locator("body"))
        strip.get_by_role("link").click()
        expect(page.locator("#differences-title")).to_have_text("What has changed since version 0")
        expect(page.locator("#differences")).to_contain_text(NOTE)
        expect(page.locator("#text .changed")).to_have_count(3)
        expect(page.locator("#pages .badge")).to_have_count(0)
        shot(page, f"guidelines-changed-{theme}")
        audit(page.locator("body"))
        page.goto("/hopchain/annotate")
        expect(page.locator("h1:visible")).to_have_count(1)
        expect(strip).to_be_hidden()
        page.goto("/hopchain/guidelines")
        expect(page.locator("#differences-card")).to_be_hidden()
        page.get_by_role("link", name="What changed in version 1").click()
        expect(page.locator("#differences")).to_contain_text(NOTE)
        page.get_by_role("link", name="Version 0").click()
        expect(page.locator("#version")).to_contain_text("does not hold any more")
        assert NOTE not in page.locator("#text").inner_text()


def test_a_second_lead_is_told_and_keeps_their_text(site: Site) -> None:
    with site.visit("lead") as page:
        edited(page, "# Rules\n\nOf the second.", "Mine.")
        guidelines.publish(
            site.lake,
            "# Rules\n\nOf the first.",
            by="other",
            at="2026-11-27T10:00:00+00:00",
            note="Theirs.",
            based_on=0,
        )
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("#problem")).to_contain_text("Nothing was overwritten")
        expect(page.get_by_label("Text, in Markdown")).to_have_value("# Rules\n\nOf the second.")
        expect(page.locator("#base")).to_contain_text("version 1 of 27 Nov 2026: Theirs.")
        expect(page.locator("#differences del")).to_contain_text("first")
        shot(page, "guidelines-conflict")
        audit(page.locator("body"))
        page.reload()
        expect(page.get_by_label("Text, in Markdown")).to_have_value("# Rules\n\nOf the second.")
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("#message")).to_contain_text("Version 2 is published")
    assert [one.by for one in guidelines.editions(site.lake)] == ["", "other", "lead"]


def test_the_editor_fits_a_phone_and_discards(site: Site) -> None:
    with site.visit("lead", **PHONE) as page:
        edited(page, "# Nothing", "")
        page.get_by_role("button", name="Publish").tap()
        expect(page.locator("#problem")).to_contain_text("say in a few words what has changed")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shot(page, "guidelines-edit-phone")
        audit(page.locator("body"))
        page.get_by_role("button", name="Discard my changes").tap()
        page.get_by_role("dialog").get_by_role("button", name="Discard").tap()
        expect(page.get_by_label("Text, in Markdown")).not_to_have_value("# Nothing")
    assert guidelines.newest(site.lake).number == 0


def test_nothing_broke_the_policy(site: Site) -> None:
    assert site.troubles == []
