"""The page of a comparison: the headline comes first, it is whole, and what a model wrote stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from hopchain_etl.evaluation.answers import EvaluationRun
from hopchain_etl.evaluation.compare import compare
from hopchain_etl.reporting.comparison import write_comparison
from support.evaluation_runs import run, scored

HALF = [0, 1] * 60
HOSTILE = '</pre><script>alert(1)</script><img src=x onerror="alert(1)">{{ 7 * 7 }}'


class Tags(HTMLParser):
    """All tags of a page with their attributes, and whether each that must be closed is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("table", "section", "details", "article", "div", "svg", "figure", "pre"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("table", "section", "details", "article", "div", "svg", "figure", "pre"):
            assert self.open.pop() == tag


def hostile() -> tuple[EvaluationRun, EvaluationRun]:
    same = dict.fromkeys(("text", "answer", "question", "gold", "benchmark", "capability", "finish_reason"), HOSTILE)
    return (
        run(HOSTILE, scored(HALF, **same), splits={HOSTILE: HOSTILE}),
        run("after", scored([1] * 120, **same), splits={HOSTILE: "other"}),
    )


def test_what_a_model_or_a_log_says_stays_text() -> None:
    page = Tags(write_comparison(compare(*hostile(), force=True)))
    assert page.open == []
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "a"})
    assert not [
        name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in ("src", "href")
    ]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = write_comparison(compare(*hostile(), force=True))
    assert "default-src 'none'" in page
    assert re.search(r"url\(|@import|https?://", page) is None


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [(HALF, [1] * 120, "+50.0"), ([1] * 120, HALF, "−50.0"), (HALF, HALF, "0.0"), ([0, 1], [1, 1], "+50.0")],
)
def test_the_difference_with_its_interval_comes_first(before: list[int], after: list[int], first: str) -> None:
    facts = compare(run("before", scored(before)), run("after", scored(after)))
    page = write_comparison(facts)
    body = page[page.index("<h1>") :]
    assert body.index(f"{first} <small>points") < body.index("interval") < body.index("<h2>Benchmarks")


def test_a_forced_comparison_warns_before_it_tells() -> None:
    page = write_comparison(compare(run("before", scored(HALF)), run("after", scored(HALF), grader="mine"), force=True))
    assert page.index("Compared by force") < page.index('class="headline')
    assert "grader: &#39;hopchain 1&#39; in before" in page
    assert "Compared by force" not in write_comparison(compare(*[run("before", scored(HALF))] * 2))


def test_variants_blind_answers_and_several_tries_are_shown_where_there_are_any() -> None:
    plain = write_comparison(compare(*[run("before", scored(HALF))] * 2))
    assert "blind: before" not in plain
    assert "Several tries" not in plain
    rows = [
        {"item_id": f"q{item}", "sample": sample, "variant": variant, "sees_image": sees, "score": float(sample > item)}
        for item in range(6)
        for sample in range(4)
        for variant, sees in (("full", True), ("full", False), ("half", True))
    ]
    page = write_comparison(compare(run("before", rows), run("after", rows)))
    assert "blind: before" in page
    assert "not asked" in page  # half, blind
    assert page.count('<svg class="plot"') == 2
    assert Tags(page).open == []
