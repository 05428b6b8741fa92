"""What comes between a person and the server: ended logins, proxies, double clicks, keyboards of other scripts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sites import PHONE, Site, open_only

from hopchain_etl.annotation import batch_details
from hopchain_etl.annotation.batch_details import BatchDetails
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.settings import DeskSettings

MINUTE = 60_000  # ms
LEASE = 1000 * int(DeskSettings().lease_seconds)
QUESTION = '#photo[src^="api/queries/"]:visible'
PRESS = """([key, code]) => document.body.dispatchEvent(
    new KeyboardEvent("keydown", { key, code, bubbles: true, cancelable: true }))"""


LEFT_OF = """(item, at) => { const range = document.createRange(), from = at < 0 ? item.lastChild.length + at : at;
    range.setStart(item.lastChild, from); range.setEnd(item.lastChild, from + 1);
    return range.getBoundingClientRect().left; }"""


@pytest.fixture(scope="module", autouse=True)
def batch(site: Site) -> str:
    """The only open batch, of all questions, for people who have practised."""
    queries = tuple(query["query_id"] for query in site.queries)
    made = Batch("interrupted", "a run", queries, lineage=site.prints.queries, shards=("first/0000",))
    open_only(site, made, "cleo")
    return made.id


def opened(page: Page, besides: str | None = None) -> str:
    """Return the address of the photo that is shown, once it is another one than ``besides``."""
    if besides is None:
        page.goto("/hopchain/annotate")
    other = f':not([src="{besides}"])' if besides else ""
    expect(page.locator(f"{QUESTION}{other}")).to_be_visible()
    return page.locator("#photo").get_attribute("src") or ""


def first_reply(page: Page, path: str, **reply: Any) -> list[str]:
    """Let the first request to a path get another reply than the server's; return what is sent there."""
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data or "")
        if len(sent) == 1:
            route.fulfill(**reply)
        else:
            route.continue_()

    page.route(f"**/{path}", answer)
    return sent


def test_a_login_page_in_place_of_an_answer_loses_no_answer(site: Site) -> None:
    with site.visit("cleo") as page:
        source = opened(page)
        sent = first_reply(page, "api/answers", status=200, content_type="text/html", body="<h1>Sign in</h1>")
        page.locator("#answer").fill("3")
        page.keyboard.press("Enter")
        page.locator("#login-box").get_by_role("button").click()
        opened(page, besides=source)
        assert len(sent) == 2
        assert json.loads(sent[0])["answer_id"] == json.loads(sent[1])["answer_id"]


def test_a_request_that_hangs_is_given_up_and_sent_again(site: Site) -> None:
    with site.visit("cleo") as page:
        # Two minutes, in a hundredth of the time.
        page.add_init_script("const real = AbortSignal.timeout; AbortSignal.timeout = (ms) => real(ms / 100);")
        hanging: list[Route] = []
        page.route("**/api/next", lambda route: route.continue_() if hanging else hanging.append(route))
        page.goto("/hopchain/annotate")
        expect(page.locator("#message")).to_contain_text("did not answer in time")
        expect(page.locator(QUESTION)).to_be_visible()


def test_figures_that_come_late_are_not_shown_under_another_batch(site: Site, batch: str) -> None:
    with site.visit("lead") as page:
        page.goto("/hopchain/lead")
        other = page.locator(f'.batch-name:not([title="{batch}"])').first
        expect(page.locator("#detail-title")).to_contain_text(batch)
        late: list[Route] = []
        path = f"**/api/lead/batches/{other.get_attribute('title')}/agreement"
        page.route(path, lambda route: late.append(route))
        with page.expect_request(path):
            other.click()
        page.locator(f'.batch-name[title="{batch}"]').click()
        expect(page.locator("#disagreements-count")).not_to_be_empty()
        with page.expect_response(path):
            late[0].continue_()
        page.wait_for_timeout(500)
        expect(page.locator("#detail-title")).to_contain_text(batch)


@pytest.mark.parametrize("status", [404, 429])
def test_what_a_proxy_says_while_the_server_is_away_loses_no_answer(site: Site, status: int) -> None:
    with site.visit("cleo") as page:
        source = opened(page)
        sent = first_reply(page, "api/answers", status=status, content_type="text/plain", body="try again")
        page.locator("#answer").fill("3")
        page.keyboard.press("Enter")
        expect(page.locator("#message")).to_contain_text("Your answer is kept")
        page.get_by_role("button", name="Try now").click()
        opened(page, besides=source)
        assert len(sent) == 2


def test_keys_and_numbers_of_other_scripts_are_understood(site: Site) -> None:
    with site.visit("cleo") as page:
        source = opened(page)
        for key, code in (("n", "KeyN"), ("т", "KeyN"), ("NO", "KeyN"), ("ö", "Semicolon")):
            page.evaluate(PRESS, [key, code])
        expect(page.locator("#unsure")).not_to_be_checked()
        page.evaluate(PRESS, ["т", "KeyN"])
        expect(page.locator("#unsure")).to_be_checked()
        page.locator("#answer").fill("－１２．５")
        with page.expect_request("**/api/answers") as asked:
            page.locator("#answer").press("Enter")
        assert asked.value.post_data_json["answer"] == "-12.5"
        opened(page, besides=source)


def test_a_double_click_sends_a_comment_once(site: Site) -> None:
    with site.visit("cleo") as page:
        opened(page)
        sent: list[str] = []
        page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
        page.locator("#note").click()
        page.locator("#note-text").fill("نعم (2) هنا.")
        page.evaluate("for (const _ of [1, 2]) document.querySelector('dialog[open] form').requestSubmit()")
        expect(page.locator("#message")).to_have_text("The comment is sent.")
        assert len([one for one in sent if one.endswith("api/mine/comments")]) == 1


def test_a_double_click_lists_what_is_next_once(site: Site) -> None:
    def much(route: Route) -> None:
        told = route.fetch(url=re.sub("offset=[0-9]+", "offset=0", route.request.url)).json()
        route.fulfill(json={**told, "total": 1_000})

    with site.visit("cleo") as page:
        page.route("**/api/mine?*", much)
        page.goto("/hopchain/my-work")
        rows = page.locator("#rows > li")
        expect(rows.first).to_be_visible()
        many = rows.count()
        with page.expect_response("**/api/mine?*"):
            page.evaluate("for (const _ of [1, 2]) document.getElementById('more').click()")
        expect(rows).to_have_count(2 * many)
        page.wait_for_timeout(500)
        expect(rows).to_have_count(2 * many)


def test_a_comment_begins_where_its_language_does(site: Site) -> None:
    with site.visit("cleo") as page:
        page.goto("/hopchain/my-work")
        said = page.locator("#comments .said li")
        expect(said).to_have_count(1)
        assert said.evaluate(LEFT_OF, 0) > said.evaluate(LEFT_OF, -1), "the full stop of an Arabic text is at its left"


def test_the_desk_works_where_storage_is_blocked_and_with_a_decimal_comma(site: Site) -> None:
    with site.visit("cleo", locale="de-DE") as page:
        page.add_init_script(
            "for (const name of ['getItem', 'setItem']) Storage.prototype[name] = () => { throw Error(name); }"
        )
        source = opened(page)
        page.locator("#as-text").click()
        page.locator("#answer").fill("1,234")
        page.keyboard.press("Enter")
        expect(page.locator("#problem")).not_to_be_empty()
        page.locator("#answer").fill("2,5")
        with page.expect_request("**/api/answers") as asked:
            page.keyboard.press("Enter")
        assert asked.value.post_data_json["answer"] == "2.5"
        expect(page.locator(f'#photo[src="{source}"]:visible')).to_have_count(0)


def test_a_question_stays_reserved_after_a_renewal_failed_or_the_page_was_hidden(site: Site) -> None:
    hide = "(hidden) => Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })"
    with site.visit("cleo") as page:
        page.clock.install()
        opened(page)
        page.route("**/api/next", lambda route: route.abort())
        with page.expect_request("**/api/next"):
            page.clock.fast_forward(LEASE)
        page.unroute("**/api/next")
        page.evaluate(hide, True)
        page.clock.fast_forward(MINUTE)
        page.evaluate(hide, False)
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/api/next") else None)
        for _ in range(100):  # minutes pass, some before the page has read a reply and waits anew
            page.clock.fast_forward(MINUTE)
            page.wait_for_timeout(50)
            if len(asked) == 2:
                break
        assert len(asked) == 2


def test_a_day_is_the_same_in_every_time_zone(site: Site, batch: str) -> None:
    details = BatchDetails(title="W" * 100, due="2030-12-24", tags=("W" * 32,))
    batch_details.save(site.lake, batch, details, by="lead", at="2026-11-28T00:00:00+00:00", based_on=0)
    for zone in ("America/Los_Angeles", "Asia/Tokyo"):
        with site.visit("lead", timezone_id=zone) as page:
            page.goto("/hopchain/lead")
            expect(page.locator("td.due").filter(has_text="2030")).to_contain_text("24 Dec 2030")


@pytest.mark.parametrize("path", ["annotate", "my-work", "lead"])
def test_a_long_word_makes_no_page_wider_than_a_phone(site: Site, path: str) -> None:
    with site.visit("lead" if path == "lead" else "cleo", **PHONE) as page:
        page.goto(f"/hopchain/{path}")
        shown = {"annotate": "#batch-text", "my-work": "#rows > li >> nth=0", "lead": "#detail-title"}[path]
        expect(page.locator(shown)).to_contain_text("" if path == "my-work" else "W" * 100)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_no_page_broke_its_policy_or_asked_another_server(site: Site) -> None:
    assert site.troubles == []
