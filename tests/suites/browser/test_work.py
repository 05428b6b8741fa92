"""What keeps people from working with the desk all day: keys, scrolling, skips, a second tab, names, and Back."""

from __future__ import annotations

import re

import pytest
from audit import audit
from playwright.sync_api import Page, expect
from sites import PHONE, SCRIPT, ZOOMED, Site, open_only, shot

from hopchain_etl.annotation.batches import Batch

NAME, SHOWN = "2026-11-22T020000", "22 Nov 2026, 02:00"
HEADING = re.compile(rf"{re.escape(SHOWN)}\)?: 4 of 4, open$")  # with or without the title that a test gives it
QUESTION = '#photo[src^="api/queries/"]:visible'


@pytest.fixture(scope="module", autouse=True)
def batch(site: Site) -> str:
    """The only open batch, of all questions, for people who have practised."""
    queries = tuple(query["query_id"] for query in site.queries)
    made = Batch(NAME, "a run", queries, lineage=site.prints.queries, shards=("first/0000",))
    open_only(site, made, "ben")
    return NAME


def opened(page: Page) -> str:
    """Open the desk; return the address of the photo of the first question."""
    page.goto("/hopchain/annotate")
    return photo(page)


def led(page: Page) -> None:
    """Open the lead's page, which shows the open batch."""
    page.goto("/hopchain/lead")
    expect(page.locator("#detail-title")).to_have_text(HEADING)


def photo(page: Page, besides: str | None = None) -> str:
    """Return the address of the photo that is shown, once it is another one than ``besides``."""
    other = f':not([src="{besides}"])' if besides else ""
    expect(page.locator(f"{QUESTION}{other}")).to_be_visible()
    expect(page.locator("body")).not_to_have_attribute("aria-busy", "true")
    return page.locator("#photo").get_attribute("src") or ""


def test_skips_come_back_and_the_lead_sees_them(site: Site) -> None:
    with site.visit("ben") as page:
        source = opened(page)
        for number in range(6):
            page.keyboard.press("Escape")
            page.keyboard.press("s")
            expect(page.locator("#unskip")).to_have_text(f"Bring back my skips ({number + 1})")
            if number < 5:
                source = photo(page, besides=source)
        expect(page.locator("#notice")).to_contain_text("questions that you have skipped")
        shot(page, "work-skipped")
        with site.visit("lead") as other:
            led(other)
            expect(other.locator("#waiting")).to_contain_text("Skipped: ben 6.")
            shot(other, "work-lead-waiting")
            audit(other.locator("body"))
        page.locator("#notice").get_by_role("button", name="Bring back my skips (6)").click()
        photo(page)
        expect(page.locator("#unskip")).to_be_hidden()


def test_letters_are_text_inside_the_field_and_keys_outside(site: Site) -> None:
    with site.visit("ben") as page:
        source = opened(page)
        expect(page.locator("#answer")).to_be_focused()
        page.keyboard.type("six rfu?")
        expect(page.locator("#answer")).to_have_value("six rfu?")
        assert photo(page) == source
        assert page.get_by_role("dialog").count() == 0
        style = "getComputedStyle(document.querySelector('#skip kbd')).borderTopStyle"
        assert page.evaluate(style) == "dashed"
        page.keyboard.press("Escape")
        assert page.evaluate(style) == "solid"
        page.keyboard.press("s")
        photo(page, besides=source)
        page.locator("#unskip").click()
        expect(page.locator("#unskip")).to_be_hidden()


def test_a_reject_tells_what_is_missing_and_how_long_a_comment_may_be(site: Site) -> None:
    with site.visit("ben") as page:
        opened(page)
        page.get_by_role("button", name="Reject …").click()
        box = page.get_by_role("dialog")
        box.get_by_role("button", name="Reject").click()
        expect(page.locator("#reject-problem")).to_have_text("Choose a reason.")
        page.keyboard.press("1")
        expect(page.locator("#reject-problem")).to_have_text("")
        page.locator("#comment").fill("x" * 600)
        expect(page.locator("#comment-count")).to_have_text("600 of 500 characters")
        box.get_by_role("button", name="Reject").click()
        expect(page.locator("#reject-problem")).to_contain_text("600 characters; only 500 can be stored")
        shot(page, "work-comment")
        audit(page.locator("body"))
        page.locator("#comment").fill("x" * 500)
        expect(page.locator("#reject-problem")).to_have_text("")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_photo_and_question_are_in_sight_for_every_question(site: Site, theme: str) -> None:
    with site.visit("cleo", **PHONE) as page:
        page.goto("/hopchain/guidelines")
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        source = opened(page)
        for _ in range(2):
            in_sight(page, 844, 250)
            expect(page.locator("#skip kbd")).to_be_hidden()
            page.locator("#answer").fill("1")
            page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
            top = page.locator("#stage").bounding_box()
            assert top
            assert top["y"] >= 0, "the photo stays while the question is read"
            page.locator("#skip").tap()
            source = photo(page, besides=source)
        shot(page, f"work-phone-{theme}")
        audit(page.locator("body"))
        page.locator("#unskip").tap()
        expect(page.locator("#unskip")).to_be_hidden()


def test_at_200_percent_the_photo_is_usefully_high(site: Site) -> None:
    with site.visit("cleo", **ZOOMED) as page:
        source = opened(page)
        in_sight(page, 400, 220)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        photo(page, besides=source)
        assert page.evaluate("scrollY") == 0
        shot(page, "work-zoomed")
        page.locator("#unskip").click()
        expect(page.locator("#unskip")).to_be_hidden()


def in_sight(page: Page, height: int, photo_height: int) -> None:
    """Check that the page is at its beginning, with a photo of that height, and the question's first line in sight."""
    assert page.evaluate("scrollY") == 0
    stage, question = page.locator("#stage").bounding_box(), page.locator("#question").bounding_box()
    assert stage
    assert question
    assert stage["y"] >= 0
    assert stage["height"] >= photo_height
    assert question["y"] + 30 < height


def test_undo_in_a_second_tab_takes_back_what_was_last(site: Site) -> None:
    with site.visit("dan") as page:
        first = opened(page)
        other = page.context.new_page()
        other.set_default_timeout(60_000)
        assert opened(other) == first
        page.keyboard.type("41")
        page.keyboard.press("Enter")
        second = photo(page, besides=first)
        assert photo(other, besides=first) == second, "the other tab goes on too"
        page.keyboard.type("42")
        page.keyboard.press("Enter")
        third = photo(page, besides=second)
        photo(other, besides=second)
        other.locator("#undo").click()
        expect(other.locator("#message")).to_have_text("Undone: 42.")
        assert photo(other, besides=third) == second
        expect(other.locator("#answer")).to_have_value("42")
        expect(page.locator("#undo")).to_have_attribute("title", "Undo: 41")


def test_in_practice_no_answers_are_counted(site: Site) -> None:
    with site.visit("dan") as page:
        opened(page)
        expect(page.locator("#mine")).to_be_visible()
        page.get_by_role("button", name="Practice round").click()
        expect(page.locator("#mode")).to_be_visible()
        expect(page.locator("#mine")).to_be_hidden()


def test_a_lead_picks_known_people_and_enough_of_them(site: Site) -> None:
    with site.visit("lead") as page:
        led(page)
        page.get_by_role("button", name="Assign …").click()
        box = page.get_by_role("dialog")
        for name in ("ann", "ben", "cleo"):
            box.get_by_label(name, exact=True).check()
        box.get_by_role("button", name="Assign").click()
        expect(box.get_by_role("alert")).to_contain_text("each question needs 4 different people")
        shot(page, "work-assign")
        audit(page.locator("body"))
        box.get_by_label("dan", exact=True).check()
        box.get_by_role("button", name="Assign").click()
        expect(page.locator("#batches tr", has_text=SHOWN)).to_contain_text("ann, ben, cleo, dan")


def test_a_lead_works_by_touch(site: Site) -> None:
    with site.visit("lead", **PHONE) as page:
        led(page)
        for press in ("#new", "#edit", "#assign", "#gold-drawn", "#gold-unanimous"):
            page.locator(press).tap()
            expect(page.locator("#ask-box")).to_be_visible()
            expect(page.locator("#ask-cancel")).to_be_in_viewport(ratio=1)
            page.locator("#ask-cancel").tap()
            expect(page.locator("#ask-box")).to_be_hidden()
        page.locator("#close").tap()
        page.get_by_role("button", name="Cancel").tap()
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_lead_sets_what_a_batch_is_called_and_opens_a_closed_one_again(site: Site) -> None:
    with site.visit("lead") as page:
        led(page)
        row = page.locator("#batches tr", has_text=SHOWN)
        page.get_by_role("button", name="Edit …").click()
        box = page.get_by_role("dialog", name=f"Edit {SHOWN}")
        for label, text in {"Title": SCRIPT, "Due": "2026-01-31", "Tags": "de, night"}.items():
            box.get_by_label(label).fill(text)
        box.get_by_label("One person answers at most").fill("50")
        box.get_by_role("button", name="Save").click()
        expect(box.get_by_role("alert")).to_contain_text("answers are missing")
        box.get_by_label("One person answers at most").fill("")
        shot(page, "work-edit")
        audit(page.locator("body"))
        box.get_by_role("button", name="Save").click()
        expect(row).to_contain_text("overdue")
        expect(row).to_contain_text(SCRIPT)
        page.get_by_role("button", name="Close batch …").click()
        page.get_by_role("dialog").get_by_role("button", name="Close batch").click()
        expect(row.locator(".badge").filter(has_text="closed")).to_be_visible()
        page.get_by_role("button", name="Open again …").click()
        page.get_by_role("dialog").get_by_role("button", name="Open again").click()
        expect(page.locator("#detail-title")).to_have_text(f"{SCRIPT} ({SHOWN}): 4 of 4, open")
        shot(page, "work-opened-again")
        page.get_by_role("button", name="New batch …").click()
        box = page.get_by_role("dialog", name="New batch")
        expect(box.get_by_role("status")).to_have_text("0 of 0 questions match, on 0 photos.")
        box.get_by_label("Some hop reads").select_option("count")
        box.get_by_label("Questions", exact=True).select_option("monday")
        expect(box.get_by_label("Some hop reads")).to_be_hidden()
        assert page.title() == "Lead · HopChain"


def test_back_undoes_a_filter_of_the_dataset_page(site: Site) -> None:
    with site.visit("lead") as page:
        page.goto("/hopchain/browser")
        expect(page.locator("#found")).to_have_text("6 queries")
        page.get_by_label("Search").fill("no such question")
        page.keyboard.press("Enter")
        expect(page.locator("#found")).to_have_text("No queries found.")
        page.go_back()
        expect(page.locator("#found")).to_have_text("6 queries")
        expect(page.get_by_label("Search")).to_have_value("")
        page.go_forward()
        expect(page.locator("#found")).to_have_text("No queries found.")


def test_an_annotator_reads_and_starts_nothing_in_airflow(site: Site) -> None:
    with site.visit("ann") as page:
        page.goto("/hopchain/browser")
        expect(page.get_by_role("heading", name="This page is not for you")).to_be_visible()
        shot(page, "work-refused")
        page.goto("/dags/hopchain_build")
        expect(page.get_by_text("hopchain_build").first).to_be_visible()
        said = {"logical_date": None, "conf": {}}
        tried = page.request.post("/api/v2/dags/hopchain_build/dagRuns", data=said)
        assert tried.status == 403  # Airflow's page shows the button to everybody


def test_a_person_changes_an_answer_of_today_and_asks_the_lead(site: Site) -> None:
    with site.visit("ann") as page, site.visit("lead") as other:
        first = opened(page)
        page.keyboard.type("40")
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        page.keyboard.press("c")
        page.get_by_label("Your text").fill("Which of the two dogs?")
        page.get_by_role("dialog").get_by_role("button", name="Send").click()
        expect(page.locator("#message")).to_have_text("The comment is sent.")
        page.locator("#send").click()
        photo(page, besides=first)
        threads = other.request.get("/hopchain/api/lead/comments").json()["items"]
        (asked,) = (one for one in threads if one["annotator"] == "ann")
        led(other)
        expect(other.locator("#unsure li", has_text="ann,")).to_contain_text("40")
        other.get_by_role("button", name="Answer ann …").click()
        other.get_by_label("Your text").fill("The one on the left.")
        other.get_by_role("dialog").get_by_role("button", name="Send").click()
        expect(other.locator("#comments li", has_text="Which of the two dogs?")).to_have_count(0)
        shot(other, "work-lead-comments")
        audit(other.locator("body"))
        page.reload()
        expect(page.locator("#pages a[href=my-work] .badge")).to_contain_text("1")
        for name, how in {"desktop": (1360, 800), "phone": (390, 844)}.items():
            page.set_viewport_size({"width": how[0], "height": how[1]})
            page.goto("/hopchain/my-work")
            expect(page.locator("#comments")).to_contain_text("The one on the left.")
            expect(page.locator("#rows li", has_text="not sure")).to_contain_text(re.compile(r"\d min left"))
            shot(page, f"work-mine-{name}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert audit(page.locator("body")) >= 4.5
        expect(page.locator("#pages a[href=my-work] .badge")).to_have_count(0)
        page.locator("#rows li", has_text="not sure").get_by_role("link").click()
        assert photo(page) == first
        expect(page.locator("#answer")).to_have_value("40")
        expect(page.locator("#unsure")).to_be_checked()
        other.goto(f"/hopchain/browser?build=~{asked['lineage']}&query={asked['query_id']}")
        expect(other.locator("#decided")).to_contain_text(SHOWN)
        shot(other, "work-dataset-decided")
        audit(other.locator("body"))
        other.locator("#decided").get_by_role("link", name=SHOWN).click()
        expect(other.locator("#detail-title")).to_have_text(HEADING)
