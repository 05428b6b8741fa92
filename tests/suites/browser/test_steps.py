"""The question as steps: they say what the question says; notes, the calculator and its keys.

In the practice round, which anybody may take at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from audit import audit
from playwright.sync_api import FrameLocator, Locator, Page, Route, expect
from sites import Site, desk_of, shot

from hopchain_etl.hops.program_author import write_queries
from support.hop_scenes import price_list, street
from support.played import PHOTOS, load

FREE = [  # as models write
    'Find the sign "No. 7. Open!" next to St. Mary. Call its digits A. How many dogs (e.g. poodles) are there? Call '
    "that B. What is A + B?",
    "A dog sits there. A cat too. How many eyes does the dog have, times 2.5? Add 1.",
]


@pytest.fixture(scope="module")
def desk(site: Site) -> Iterator[tuple[Page, FrameLocator]]:
    """The first question of the practice round."""
    with site.visit("dan") as page:
        frame = desk_of(page, "annotate")
        practise(frame)
        yield page, frame


def practise(frame: FrameLocator) -> None:
    frame.get_by_role("button", name=re.compile("practice round", re.IGNORECASE)).first.click()
    expect(frame.locator("#mode")).to_contain_text("Practice 1 of 3")
    expect(frame.locator("#photo")).to_be_visible()


def script(frame: FrameLocator, call: str, given: object) -> object:
    """Return what a function of the page's script says of ``given``."""
    source = f"async (_, given) => {{ const m = await import('./assets/desk/steps.js'); return {call}; }}"
    return frame.locator("body").evaluate(source, given)


def questions() -> list[str]:
    """Questions of the program author, of a person who wrote as the model is asked to, and free text."""
    written = [query.question for scene in (price_list(), *map(street, range(12))) for query in write_queries(scene, 4)]
    played = [asked.draft["question"] for photo in PHOTOS for asked in load(photo).questions]
    return [*written, *played, *FREE]


def test_steps_and_paragraph_say_the_same(desk: tuple[Page, FrameLocator]) -> None:
    asked = questions()
    assert len(asked) >= 50
    cut = script(desk[1], "given.map(m.cut)", asked)
    assert isinstance(cut, list)
    assert [" ".join(steps) for steps in cut] == [" ".join(question.split()) for question in asked]
    assert cut[-2][0] == 'Find the sign "No. 7. Open!" next to St. Mary.'
    assert list(map(len, cut[-2:])) == [5, 4]


def test_names_are_letters_that_are_used_again(desk: tuple[Page, FrameLocator]) -> None:
    assert script(desk[1], "given.map(m.names)", FREE) == [["A", "B"], []]
    assert script(desk[1], "given.map(m.formula)", FREE) == ["A + B", ""]


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("A + B × 2", "11"), ("(A + B) × 2", "14"), ("-A - -B", "1"), ("0.1 + 0.2", "0.3"), ("A ÷ B", "0.75"),
        ("9999999999 * 9999999999", "99999999980000000001"), ("a·b", "12"), ("7", "7"),
    ],
)  # fmt: skip
def test_the_calculator_is_exact(desk: tuple[Page, FrameLocator], formula: str, value: str) -> None:
    assert script(desk[1], "m.calculate(given, { A: '3', B: '4' })", formula) == value


@pytest.mark.parametrize("formula", ["A +", "(A", "A B", "A / 0", "1 / 3", "C", "alert(1)", "A ** B", "A; B", "1.2.3"])
def test_what_is_no_formula_has_no_value(desk: tuple[Page, FrameLocator], formula: str) -> None:
    call = (
        "(() => { try { return m.calculate(given, { A: '3', B: '4' }); } catch (e) { return e instanceof Error; } })()"
    )
    assert script(desk[1], call, formula) is True


def test_notes_lead_to_the_answer_by_keys_alone(desk: tuple[Page, FrameLocator]) -> None:
    page, frame = desk
    frame.locator("#answer").focus()
    question = frame.locator("#question").inner_text()
    lines = frame.locator(".steps li > span:first-child").all_inner_texts()
    assert " ".join(lines) == question  # both keep an expression on one line
    notes = frame.locator(".scratch input")
    assert notes.count() >= 2
    expect(frame.locator("#answer")).to_be_focused()
    page.keyboard.press("=")
    for number in range(notes.count()):
        expect(notes.nth(number)).to_be_focused()
        page.keyboard.type("2")  # neither the answer nor a shortcut
        page.keyboard.type("s")
        page.keyboard.press("Backspace")
        page.keyboard.press("Enter")
    result = frame.locator("#result").inner_text()
    expect(frame.locator("#answer")).to_be_focused()
    expect(frame.locator("#answer")).to_have_value(result.removeprefix("= "))
    expect(frame.locator("#mode")).to_contain_text("Practice 1 of 3")  # it was not sent
    shot(page, "desk-steps")
    audit(frame.locator("body"))
    page.keyboard.press("Enter")
    expect(frame.locator(".feedback")).to_be_visible()


def test_who_likes_one_paragraph_keeps_it(desk: tuple[Page, FrameLocator]) -> None:
    page, frame = desk
    frame.get_by_role("button", name="Show as one paragraph").click()
    expect(frame.locator(".steps li > span:first-child").first).to_be_hidden()
    shot(page, "desk-paragraph")
    page.reload()
    frame = page.frame_locator("iframe")
    practise(frame)
    expect(frame.get_by_role("button", name="Show as steps")).to_be_visible()
    assert len(frame.locator("#question").inner_text().split()) > 10
    frame.get_by_role("button", name="Show as steps").click()
    expect(frame.locator(".steps li > span:first-child").first).to_be_visible()


def test_on_a_phone_nothing_is_wider_than_the_page(site: Site) -> None:
    with site.visit("dan", viewport={"width": 390, "height": 844}, has_touch=True) as page:
        page.goto("/hopchain/annotate")
        frame = page.locator("body")
        page.get_by_role("button", name=re.compile("practice round", re.IGNORECASE)).first.click()
        expect(page.locator("#photo")).to_be_visible()
        assert frame.evaluate("body => body.scrollWidth <= window.innerWidth")
        page.locator(".steps").scroll_into_view_if_needed()
        shot(page, "phone-steps")
        audit(frame)


def test_answer_and_send_are_in_sight_below_a_long_question(site: Site) -> None:
    long = (
        "Find the tallest bar of the chart, and call its number A. Find the bar directly left of it, and call the "
        "number below it B. Count the letters of the word at the top of the picture, and call that C. Find the number "
        "that is nearest to the word at the bottom, and call it D. What is A × B + C × D?"
    )

    def longer(route: Route) -> None:
        told = route.fetch().json()
        told["tasks"][0]["question"] = long
        route.fulfill(json=told)

    with site.visit("dan") as page:
        page.route("**/api/practice", longer)
        page.goto("/hopchain/annotate")
        page.get_by_role("button", name=re.compile("practice round", re.IGNORECASE)).first.click()
        expect(page.locator("#question")).to_have_text(long)
        notes = page.locator(".scratch input")
        expect(notes).to_have_count(4)
        shot(page, "desk-long-question")
        for one in (page.locator("#answer"), page.locator("#send")):
            expect(one).to_be_in_viewport(ratio=1)
        page.set_viewport_size({"width": 860, "height": 640})  # where the panel has less room at its sides
        assert page.locator(".panel").evaluate("panel => panel.scrollWidth <= panel.clientWidth")
        page.set_viewport_size({"width": 1360, "height": 800})
        for number in range(4):
            notes.nth(number).focus()
            assert not _covered(notes.nth(number)), "the form hides a field that has the focus"
        page.locator(".panel").evaluate("panel => { panel.scrollTop = 0; }")
        page.locator("#answer").press_sequentially("1")
        expect(page.locator(".steps li").first).to_be_in_viewport(ratio=1)  # typing an answer moves nothing
        page.locator("#send").click()
        expect(page.locator(".feedback")).to_be_in_viewport()
        shot(page, "desk-long-question-feedback")


def _covered(field: Locator) -> bool:
    """Whether something else lies over the middle of a field."""
    covered = field.evaluate(
        "one => { const box = one.getBoundingClientRect();"
        " return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) !== one; }"
    )
    return bool(covered)
