"""The annotators' pages in other languages: every text of theirs has a message, and the choice is kept."""

from __future__ import annotations

import json

import pytest
from audit import audit
from playwright.sync_api import Page, Route, expect
from sites import PHONE, Site, open_only, shot

from hopchain_etl.annotation.batches import Batch
from support.page_texts import PAGES

CHOICE = "select.language"
# Texts in English that stay as they are: questions, names, keys, what is named by a batch, and other languages.
LEFT = """() => {
  const stays = "kbd, code, script, style, noscript, option, [lang=en]:not(html), #who, #version, #versions, .given";
  const plain = (node) => [...node.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE);
  const found = [];
  for (const node of document.querySelectorAll("title, body *")) {
    if (node.closest(stays)) continue;
    const names = ["title", "aria-label", "alt", "placeholder"].map((name) => node.getAttribute(name) ?? "");
    const texts = [plain(node).map((one) => one.data).join(" "), ...names];
    found.push(...texts.filter((text) => /\\p{L}/u.test(text.replace(/⟦[^⟧]*⟧/gu, ""))));
  }
  return found;
}"""


@pytest.fixture(scope="module", autouse=True)
def batch(site: Site) -> None:
    queries = tuple(query["query_id"] for query in site.queries)
    made = Batch("languages", "a run", queries, lineage=site.prints.queries, shards=("first/0000",))
    open_only(site, made, "ben")


def marked(route: Route) -> None:
    """Answer with messages that are the English texts in brackets."""
    held = json.loads((PAGES / "messages/de.json").read_text())
    told = {}
    for key, said in held.items():
        told[key] = dict.fromkeys(said, f"⟦{key}⟧") if isinstance(said, dict) else f"⟦{key}⟧"
    route.fulfill(json=told)


def left(page: Page) -> list[str]:
    """Return the texts of the page that are not in brackets; a name in a gap may be in any language."""
    found: list[str] = page.evaluate(LEFT)
    return found


def in_language(page: Page, code: str) -> None:
    page.goto("/hopchain/guidelines")
    page.locator(CHOICE).select_option(code)
    expect(page.locator("html")).to_have_attribute("lang", code)
    expect(page.locator(CHOICE)).to_have_value(code)


def test_every_text_of_the_annotators_pages_has_a_message(site: Site) -> None:
    with site.visit("ben") as page:
        page.route("**/assets/messages/de.json", marked)
        in_language(page, "de")
        expect(page.locator("#text")).not_to_be_empty()
        assert left(page) == []
        for path, shown in {"annotate": "#photo", "my-work": "#rows li", "errors": "#notice h1"}.items():
            page.goto(f"/hopchain/{path}")
            expect(page.locator(shown).first).to_be_visible()
            assert left(page) == [], path
        page.goto("/hopchain/annotate")
        page.locator("#reject").click()
        page.locator("#reject-box button[type=submit]").click()
        assert left(page) == []
        page.locator("#reject-cancel").click()
        page.locator("#note").click()
        assert left(page) == []
        page.keyboard.press("Escape")
        for answer in ("1,5", "six", ""):
            page.locator("#answer").fill(answer)
            page.locator("#send").click()
            assert left(page) == []
        page.locator("#formula").fill("(2")
        assert left(page) == []
        page.locator("#skip").click()
        expect(page.locator("#unskip")).to_be_visible()
        assert left(page) == []
        page.locator("#undo").click()
        expect(page.locator("#unskip")).to_be_hidden()
        page.locator("#practise").click()
        expect(page.locator("#mode")).to_be_visible()
        page.locator("#answer").fill("-999")
        page.locator("#send").click()
        expect(page.locator(".feedback")).to_be_visible()
        assert left(page) == []


@pytest.mark.parametrize(("code", "send", "how"), [("de", "Senden", {}), ("es", "Enviar", PHONE), ("zh", "发送", {})])
def test_the_desk_is_worked_with_in_a_chosen_language(site: Site, code: str, send: str, how: dict[str, object]) -> None:
    with site.visit("ben", **how) as page:
        in_language(page, code)
        page.goto("/hopchain/annotate")
        expect(page.locator("#photo")).to_be_visible()
        expect(page.get_by_role("button", name=send)).to_be_visible()
        assert page.locator("html").get_attribute("lang") == code
        shot(page, f"desk-{code}")
        audit(page.locator("body"))
        page.locator("#skip").click()
        expect(page.locator("#unskip")).to_contain_text("1")
        expect(page.locator(".steps li").first).to_be_in_viewport(ratio=1)  # of the next question
        shot(page, f"desk-{code}-skipped")
        page.locator("#unskip").click()
        expect(page.locator("#unskip")).to_be_hidden()


def test_without_a_choice_the_language_is_airflows_and_then_the_browsers(site: Site) -> None:
    with site.visit("ben", locale="es-MX") as page:
        page.goto("/hopchain/my-work")
        page.evaluate("localStorage.removeItem('i18nextLng')")
        page.reload()
        expect(page.locator("h1")).to_have_text("Mi trabajo de hoy")
        page.evaluate("localStorage.setItem('i18nextLng', 'zh-CN')")
        page.reload()
        expect(page.locator("h1")).to_have_text("我今天的工作")
        page.evaluate("localStorage.setItem('i18nextLng', 'fr')")
        page.reload()
        expect(page.locator("h1")).to_have_text("Mi trabajo de hoy")
        page.goto("/hopchain/guidelines")
        page.locator(CHOICE).select_option("en")
        expect(page.locator("h1")).to_have_text("How to annotate")
    with site.visit("lead", locale="es-MX") as page:  # pages for leads are in English
        page.goto("/hopchain/lead")
        expect(page.locator("#batches-title")).to_have_text("Batches")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        assert page.locator(CHOICE).count() == 0
