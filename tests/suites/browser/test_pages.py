"""The desk, the lead's page and the dataset browser as people use them: a real browser on a real Airflow.

Four annotators answer a batch of six questions by keyboard, a lead closes it, collect and release run. By question:

0  all four answer alike, as the program does
1  all four answer alike, but not as the program does
2  the second differs from the first: nobody else is asked
3  the first rejects it: nobody else is asked
4  as 0, but the first takes a wrong answer back, and the second writes 12.0 for 12
5  the last skips it: it stays open until the lead closes the batch

Pictures of what the browser shows are written to ``.browser/``.
"""

from __future__ import annotations

import csv
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from audit import audit
from playwright.sync_api import FrameLocator, Page, expect
from sites import ANNOTATORS, SCRIPT, Site, build_of, desk_of, shot

from hopchain_etl.annotation import batches
from hopchain_etl.demo import demo
from hopchain_etl.lake.lake import key_part

WORKS = '#photo[src^="api/queries/"]:visible, #notice:visible'


# --- annotators ---


@pytest.fixture(scope="module")
def asked(site: Site) -> dict[str, list[int]]:
    """Let all four work, one after the other; return which questions each was asked."""
    return {name: work(site, name) for name in ANNOTATORS}


def work(site: Site, name: str) -> list[int]:
    """Practise, then answer whatever comes as the plan says; return the numbers of the questions, in order."""
    seen: list[int] = []
    with site.visit(name) as page:
        if name == "ann":
            page.get_by_role("link", name="Annotate").click()
            desk = page.frame_locator("iframe")
        else:
            desk = desk_of(page, "annotate")
        practise(page, desk, name)
        while (number := shown(site, desk)) is not None:
            seen.append(number)
            if name == "ann" and len(seen) == 1:
                a_draft_survives(page, desk)
            answer(site, page, desk, name, number)
        expect(desk.get_by_role("heading", name="All done")).to_be_visible()
        shot(page, f"desk-done-{name}")
    return seen


def practise(page: Page, desk: FrameLocator, name: str) -> None:
    """Go through the practice round by keyboard alone, always with the same answer."""
    expect(desk.get_by_role("button", name="Start the practice round")).to_be_focused()
    page.keyboard.press("Enter")
    for number in (1, 2, 3):
        expect(desk.locator("#mode")).to_contain_text(f"Practice {number} of 3")
        expect(desk.locator("#photo")).to_be_visible()
        page.keyboard.type("7")
        page.keyboard.press("Enter")
        expect(desk.locator(".feedback")).to_be_visible()
        if name == "ann" and number == 1:
            shot(page, "practice")
            audit(desk.locator("body"))
        page.keyboard.press("Enter")
    expect(desk.locator("#mode")).to_be_hidden()


def shown(site: Site, desk: FrameLocator) -> int | None:
    """Return the number of the question on the desk, or None where there is none."""
    expect(desk.locator(WORKS)).to_be_visible()
    if desk.locator("#notice").is_visible():
        return None
    source = desk.locator("#photo").get_attribute("src") or ""
    return [query["query_id"] for query in site.queries].index(source.split("/")[-2])


def a_draft_survives(page: Page, desk: FrameLocator) -> None:
    """What was typed is there after a reload."""
    page.keyboard.type("-3.5")
    page.reload()
    expect(desk.locator("#answer")).to_have_value("-3.5")
    desk.locator("#answer").fill("")


def answer(site: Site, page: Page, desk: FrameLocator, name: str, number: int) -> None:
    """Do with a question what the plan says, and wait until the next one is there."""
    right = int(site.queries[number]["answer"])
    before = desk.locator("#photo").get_attribute("src")
    if number == 3 and name == "ann":
        reject(page, desk)
    elif number == 5 and name == "dan":
        press(page, desk, "s")
    elif number == 4 and name == "ann":
        take_back(page, desk, right)
    elif number == 0 and name == "ben":
        log_in_again(page, desk, str(right))
    else:
        said = {(1, name): "7", (2, "ben"): str(right + 1), (4, "ben"): f"{right}.0"}.get((number, name), str(right))
        page.keyboard.type(said)
        page.keyboard.press("Enter")
    expect(desk.locator(f'#photo:not([src="{before}"]):visible, #notice:visible')).to_be_visible()


def press(page: Page, desk: FrameLocator, letter: str) -> None:
    """Press a key of the desk; inside the answer field, which each question that comes focuses, it would be text."""
    expect(desk.locator("body")).not_to_have_attribute("aria-busy", "true")
    page.keyboard.press("Escape")
    page.keyboard.press(letter)


def reject(page: Page, desk: FrameLocator) -> None:
    press(page, desk, "r")
    expect(desk.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("7")
    page.keyboard.press("Enter")
    expect(desk.locator("#reject-problem")).to_have_text("Write in a few words what is wrong.")
    page.keyboard.type(SCRIPT)
    shot(page, "desk-reject")
    audit(desk.locator("body"))
    desk.get_by_role("button", name="Reject Enter").click()


def take_back(page: Page, desk: FrameLocator, right: int) -> None:
    """Send a wrong answer, undo it by keyboard, and send the right one."""
    before = desk.locator("#photo").get_attribute("src")
    page.keyboard.type(str(right + 5))
    page.keyboard.press("Enter")
    expect(desk.locator("#message")).to_have_text(f"Sent: {right + 5}.")
    press(page, desk, "u")
    expect(desk.locator("#message")).to_have_text(f"Undone: {right + 5}.")
    expect(desk.locator("#answer")).to_have_value(str(right + 5))
    expect(desk.locator("#photo")).to_have_attribute("src", str(before))
    page.keyboard.type(str(right))  # the old answer is selected: typing replaces it
    page.keyboard.press("Enter")
    expect(desk.locator("#message")).to_have_text(f"Sent: {right}.")


def log_in_again(page: Page, desk: FrameLocator, said: str) -> None:
    """Send after the login has expired, log in again, and go on: the answer was kept and arrives."""
    kept: Any = page.context.cookies()
    page.context.clear_cookies()
    page.keyboard.type(said)
    page.keyboard.press("Enter")
    expect(desk.get_by_role("dialog", name="You have been logged out")).to_be_visible()
    shot(page, "desk-logged-out")
    page.context.add_cookies(kept)
    page.keyboard.press("Enter")
    expect(desk.locator("#message")).to_have_text(f"Sent: {said}.")


def test_a_question_goes_on_until_it_is_decided_and_no_further(asked: dict[str, list[int]]) -> None:
    assert {name: sorted(numbers) for name, numbers in asked.items()} == {
        "ann": [0, 1, 2, 3, 4, 5],
        "ben": [0, 1, 2, 4, 5],
        "cleo": [0, 1, 4, 5],
        "dan": [0, 1, 4, 5],
    }


# --- the lead ---


def test_a_lead_sees_who_agrees_and_what_people_differ_about(site: Site, asked: dict[str, list[int]]) -> None:
    with site.visit("lead") as page:
        lead = desk_of(page, "lead")
        expect(lead.locator("#detail-title")).to_have_text("monday: 4 of 4, open")
        figures = lead.locator("#figures dd")
        expect(figures).to_contain_text(["5of 6 questions", "60 %", "", "", "33 %"])
        expect(lead.locator("#disagreements-count")).to_have_text("3 of 3")
        row = lead.locator("#people tr", has_text="ann")
        expect(row.locator("td").nth(0)).to_have_text(re.compile("^[56]$"))
        rejected = lead.locator(".case", has_text="reject")
        expect(rejected.locator(".answers")).to_contain_text(SCRIPT)
        assert lead.locator("title").text_content() != "owned"
        rejected.get_by_text("Hops of the program").click()
        shot(page, "lead")
        audit(lead.locator("body"))
        with page.expect_download() as download:
            lead.get_by_role("link", name="Export CSV").click()
        rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
        assert len({row["query_id"] for row in rows}) == 6


@pytest.fixture(scope="module")
def closed(site: Site, asked: dict[str, list[int]]) -> None:
    """The lead closes the batch on the page."""
    with site.visit("lead") as page:
        lead = desk_of(page, "lead")
        lead.get_by_role("button", name="Close batch …").click()
        shot(page, "lead-close")
        lead.get_by_role("dialog").get_by_role("button", name="Close batch").click()
        expect(lead.locator("#detail-title")).to_have_text("monday: 4 of 4, closed")
        expect(lead.get_by_role("button", name="Close batch …")).to_be_disabled()
    assert "closed" in batches.batch_states(site.lake)["monday"]


@pytest.fixture(scope="module")
def collected(site: Site, closed: None) -> str:
    """Collect and release have run in Airflow, the release by the asset that collect emits; collect's run id."""
    site.airflow.call("PATCH", "dags/hopchain_release", {"is_paused": False})
    run_id: str = site.airflow.run_dag("hopchain_collect", {})["dag_run_id"]
    deadline = time.monotonic() + 480
    while time.monotonic() < deadline:
        runs = site.airflow.call("GET", "dags/hopchain_release/dagRuns")["dag_runs"]
        if runs and runs[0]["state"] in ("success", "failed"):
            assert runs[0]["state"] == "success"
            return run_id
        time.sleep(1)
    raise AssertionError("no release within 480 s")


def test_a_release_holds_exactly_the_unanimous_rows(site: Site, collected: str) -> None:
    git = ["git", "-C", str(site.folder / "registry.git"), "tag"]
    (tag,) = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split()
    parts = (demo.pull(site.folder, site.server, tag) / "training_set" / "default" / "rows").glob("*.parquet")
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    right = {number: site.queries[number]["answer"] for number in (0, 4)}
    assert {row["query_id"]: (row["answer"], row["program_agrees"]) for row in rows} == {
        site.queries[0]["query_id"]: (right[0], True),
        site.queries[1]["query_id"]: ("7", False),
        site.queries[4]["query_id"]: (right[4], True),
    }
    assert not any(f"'{name}'" in str(rows) for name in ANNOTATORS)


# --- the dataset browser ---


def test_a_run_leads_to_its_build_with_masks_hop_by_hop(site: Site, collected: str) -> None:
    site.lake.put_json(f"runs/{key_part(collected)}.json", build_of(site, collected))
    with site.visit("lead") as page:
        page.goto(f"/dags/hopchain_collect/runs/{collected}")
        page.get_by_role("link", name="Dataset").click()
        frame = page.frame_locator("iframe")
        expect(frame.locator("#about")).to_contain_text(collected)
        expect(frame.locator("#found")).to_have_text("6 queries")
        shot(page, "dataset-of-run")
        frame.locator("#items button").first.click()
        masks = frame.locator(".layers img.mask")
        expect(masks).to_have_count(5)
        for mask in masks.all():
            expect(mask).to_have_js_property("naturalWidth", 320)
        frame.locator(".look").nth(1).click()
        expect(frame.locator(".mask.lit")).to_have_count(1)
        expect(frame.locator(".look").nth(2)).to_contain_text("the dog nearest to h2")
        expect(frame.locator(".look").nth(4)).to_contain_text("how many?")
        shot(page, "dataset-query")
        audit(frame.locator("body"))


def test_rejects_are_found_by_reason_with_photo_and_payload(site: Site, collected: str) -> None:
    with site.visit("lead") as page:
        frame = desk_of(page, "browser")
        frame.get_by_role("button", name="too_few_hops 1").click()
        expect(frame.locator("#found")).to_have_text("1 rejects")
        expect(frame.locator("#items .question")).to_have_text(SCRIPT)
        frame.locator("#items button").click()
        frame.get_by_text("Payload").click()
        expect(frame.locator("pre")).to_contain_text('"expr": "h2+h4"')
        shot(page, "dataset-reject")
        page.keyboard.press("Escape")
        frame.get_by_role("button", name="Queries").click()
        frame.get_by_label("Search").fill(site.queries[3]["query_id"][:20])
        page.keyboard.press("Enter")
        expect(frame.locator("#found")).to_have_text("1 queries")
        assert frame.locator("title").text_content() == "Dataset · HopChain"


# --- access, looks, keyboard ---


def test_each_page_is_only_for_whom_it_is(site: Site) -> None:
    paths = {"annotate": 200, "guidelines": 200, "lead": 403, "browser": 403, "api/browse/builds": 403}
    with site.visit("ann") as page:
        for path, status in paths.items():
            assert page.request.get(f"/hopchain/{path}").status == status, path
    with site.visit(None) as page:
        for path in paths:
            assert page.request.get(f"/hopchain/{path}").status == 401, path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_follow_airflows_theme_and_can_be_read(site: Site, asked: dict[str, list[int]], theme: str) -> None:
    with site.visit("lead", color_scheme="light" if theme == "dark" else "dark") as page:
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        for name, filled in {"lead": ".case", "browser": "#items img", "guidelines": "#pages a"}.items():
            page.goto(f"/plugin/hopchain-lead-nav/hopchain/{name}")
            frame = page.frame_locator("iframe")
            expect(frame.locator(filled).first).to_be_visible()
            expect(frame.locator("html")).to_have_attribute("data-theme", theme)
            shot(page, f"{name}-{theme}")
            assert audit(frame.locator("body")) >= 4.5


def test_the_desk_works_on_a_tablet_and_by_tab_key(site: Site, asked: dict[str, list[int]]) -> None:
    with site.visit("dan", viewport={"width": 820, "height": 1180}, has_touch=True) as page:
        page.goto("/hopchain/annotate")
        page.get_by_role("button", name="Practice round").tap()
        expect(page.locator("#photo")).to_be_visible()
        shot(page, "desk-tablet")
        audit(page.locator("body"))
        stage = page.locator("#stage")
        box = stage.bounding_box()
        assert box
        assert box["height"] > 400
        page.evaluate("addEventListener('touchmove', (event) => { window.ours = event.defaultPrevented; })")
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        for value in ["-", ""] * 3:
            pinch(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.locator("#sign").tap()
            expect(page.locator("#answer")).to_have_value(value)
            expect(stage).to_have_attribute("data-zoomed", "yes")
            page.mouse.wheel(0, 2_000)
            expect(stage).to_have_attribute("data-zoomed", "no")
        assert page.evaluate("window.ours")  # the tap is swallowed only now and then: this is what prevents it
        reached = []
        page.locator("#answer").focus()
        for _ in range(4):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
        assert reached == ["sign", "send", "help", "practise"]


def pinch(page: Page, x: float, y: float) -> None:
    """Move two fingers apart round a point, quickly: as a fling, which must not swallow the tap after it."""
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 40), ("touchMove", 120), ("touchMove", 240)):
        fingers = [{"x": x - apart / 2, "y": y, "id": 0}, {"x": x + apart / 2, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
        time.sleep(0.005)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_lead_voids_somebody_and_asks_again(site: Site, collected: str) -> None:
    with site.visit("lead") as page:
        lead = desk_of(page, "lead")
        lead.get_by_role("button", name="Void dan …").click()
        dialog = lead.get_by_role("dialog", name="Void dan")
        expect(dialog).to_contain_text("answers count no more")
        dialog.get_by_role("button", name="Void").click()
        expect(dialog.get_by_role("alert")).to_contain_text("Enter a reason")
        dialog.get_by_label("Why?").fill("clicked through")
        dialog.get_by_role("button", name="Void").click()
        expect(lead.locator("#everybody tr", has_text="dan")).to_contain_text("void: clicked through (by lead)")
        lead.get_by_role("button", name="New batch …").click()
        dialog = lead.get_by_role("dialog", name="New batch")
        dialog.get_by_label("Name", exact=True).fill("tuesday")
        dialog.get_by_label("Questions", exact=True).select_option("monday")
        for name in ("ann", "ben"):
            dialog.get_by_label(name, exact=True).check()
        shot(page, "lead-new-batch")
        audit(lead.locator("body"))
        dialog.get_by_role("button", name="Create").click()
        expect(dialog.get_by_role("alert")).to_contain_text("each question needs 4 different people")
        for name in ("ann", "ben"):
            dialog.get_by_label(name, exact=True).uncheck()
        dialog.get_by_role("button", name="Create").click()
        expect(lead.locator("#detail-title")).to_have_text("tuesday: 4 of 4, open")
        expect(lead.locator("#waiting")).to_contain_text("Assign more people")
        row = lead.locator("#batches tr", has_text="tuesday")
        expect(row).to_contain_text("all annotators")
    with site.visit("dan") as page:
        desk = desk_of(page, "annotate")
        expect(desk.get_by_role("heading", name="You cannot continue here")).to_be_visible()
    with site.visit("lead") as page:
        lead = desk_of(page, "lead")
        lead.get_by_role("button", name="Count dan again …").click()
        lead.get_by_role("button", name="Count again", exact=True).click()
        expect(lead.locator("#everybody tr", has_text="dan")).to_contain_text("counted")


def test_no_page_broke_its_policy_or_asked_another_server(site: Site, collected: str) -> None:
    assert site.troubles == []
