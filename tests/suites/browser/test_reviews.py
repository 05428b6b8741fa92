"""The page of wrong answers in a real browser: a person says what went wrong, a lead sees how far people are."""

from __future__ import annotations

import pytest
from audit import audit
from playwright.sync_api import expect
from sites import SCRIPT, Site, desk_of, shot

from hopchain_etl.annotation import error_reviews
from hopchain_etl.annotation.error_reviews import ReviewBatch, ReviewItem
from hopchain_etl.lake.lake import Shard

STEPS = ("Find the car.", "Read the number beside it: 7.", f"Count the dogs: 2. {SCRIPT}")


@pytest.fixture(scope="module")
def batch(site: Site) -> ReviewBatch:
    """Two wrong answers for one person each; the model's words try to become part of the page."""
    photos = {row["image_id"]: row for row in site.lake.read("images", None, Shard("first", 0)).to_pylist()}
    items = []
    for number, query in enumerate(site.queries[:2]):
        photo = photos[query["image_id"]]
        size = photo["width"], photo["height"]
        told = query["question"], STEPS, query["answer"], f"The car says 7, so it is 8. {SCRIPT} \\boxed{{8}}"
        ids = f"{number + 1:064x}", query["query_id"], query["image_id"], f"blobs/{photo['blob_sha']}"
        items.append(ReviewItem(*ids, *size, *told))
    made = ReviewBatch("errors-1", "lead", 1, tuple(items))
    error_reviews.create(site.lake, made)
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_can_be_read_in_both_themes_and_on_a_phone(site: Site, batch: ReviewBatch, theme: str) -> None:
    with site.visit("ben", viewport={"width": 390, "height": 844}) as page:
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        page.goto("/hopchain/errors")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        expect(page.locator("#photo")).to_be_visible()
        shot(page, f"errors-phone-{theme}")
        assert audit(page.locator("body")) >= 4.5


def test_a_person_says_by_keyboard_what_went_wrong_and_a_lead_sees_it(site: Site, batch: ReviewBatch) -> None:
    with site.visit("ann") as page:
        desk = desk_of(page, "annotate")
        desk.get_by_role("link", name="Errors").click()
        expect(desk.locator("#left")).to_have_text("2 left")
        expect(desk.locator("#photo")).to_have_js_property("naturalWidth", 320)
        expect(desk.locator("#response")).to_contain_text(SCRIPT)
        desk.get_by_role("button", name="Send").click()
        expect(desk.get_by_role("alert")).to_have_text("Choose a step, and what went wrong there.")
        shot(page, "errors")
        audit(desk.locator("body"))
        desk.get_by_label("2. Read the number beside it: 7.").focus()
        page.keyboard.press("Space")
        desk.locator('input[name="kind"][value="text"]').focus()
        page.keyboard.press("Space")
        desk.get_by_label("In your own words").fill("a comma")
        desk.get_by_role("button", name="Send").press("Enter")
        expect(desk.locator("#left")).to_have_text("1 left")
        expect(desk.locator("#comment")).to_have_value("")
        expect(desk.locator('input[name="kind"]:checked')).to_have_count(0)
        desk.get_by_label("none of them").check()
        desk.locator('input[name="kind"][value="arithmetic"]').check()
        with site.visit("lead") as other:
            lead = desk_of(other, "lead")
            row = lead.locator("#reviews tr", has_text="errors-1")
            expect(row.locator("td")).to_have_text(["lead", "1 of 2", "1 of 2", "1"])
        desk.get_by_role("button", name="Send").click()
        expect(desk.get_by_role("heading", name="Nothing to do")).to_be_visible()
        expect(desk.locator("#left")).to_have_text("")
        assert desk.locator("title").text_content() == "Errors · HopChain"
    said = [
        (one.kind, one.hop, one.comment)
        for given in error_reviews.said(site.lake, "errors-1").values()
        for one in given
    ]
    assert sorted(said, key=str) == [("arithmetic", None, None), ("text", 2, "a comma")]


def test_no_page_broke_its_policy_or_asked_another_server(site: Site) -> None:
    assert site.troubles == []
