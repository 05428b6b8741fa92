"""The page of a training run: alarms first, curves without scripts, and what a model wrote stays text."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.reporting.watch import write_watch
from hopchain_etl.training.watch.alarms import Alarm, alarms
from hopchain_etl.training.watch.metrics import COLUMNS
from hopchain_etl.training.watch.rollouts import Completion, count
from hopchain_etl.training.watch.run import Run, Step

HOSTILE = '</p><script>alert(1)</script><img src=x onerror="alert(1)">{{ 7 * 7 }}'


class Tags(HTMLParser):
    """All tags of a page with their attributes, and those that were left open."""

    CLOSED = ("table", "section", "details", "article", "div", "svg", "figure", "ul")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.CLOSED:
            assert self.open.pop() == tag


def hostile() -> Run:
    some = [
        Completion("x", f"\\boxed{{{HOSTILE}}}", (0.0,), group=str(at), answer=str(at), band=HOSTILE)
        for at in range(30)
    ]
    steps = [Step(step, {"reward": 0.1, "accuracy": 0.0}, count(some, None)) for step in range(1, 10)]
    return Run(steps, [HOSTILE], [HOSTILE], [HOSTILE])


def test_what_a_model_or_a_log_says_stays_text() -> None:
    run = hostile()
    found = alarms(run)
    assert "constant_answers" in {alarm.name for alarm in found}  # its title has what the model wrote
    page = Tags(write_watch(run, found))
    assert page.open == []
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "a"})
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "href")]


def test_the_page_needs_nothing_from_elsewhere_and_reloads_only_when_it_is_followed() -> None:
    still, followed = write_watch(hostile(), []), write_watch(hostile(), [], reload_seconds=30)
    assert "default-src 'none'" in still
    assert 'http-equiv="refresh"' not in still
    assert '<meta http-equiv="refresh" content="30">' in followed


def test_alarms_come_before_curves_and_none_is_said_too() -> None:
    alarm = Alarm("length_collapse", "answers have become short", 7, "900 tokens, now 100", "Run `hopchain x`.")
    page = write_watch(hostile(), [alarm])
    assert page.index("answers have become short") < page.index("<h2>Curves</h2>")
    assert "1 alarm." in page
    assert "Run <code>hopchain x</code>." in page
    assert "No alarm." in write_watch(hostile(), [])


def test_a_curve_is_long_only_up_to_a_limit_and_has_gaps_where_nothing_is_known() -> None:
    steps = [Step(step, {"loss": math.nan if 400 <= step < 450 else 1.0 + step}) for step in range(1, 1001)]
    page = write_watch(Run(steps, ["verl"], []), [])
    pieces = re.findall(r'<polyline class="line c0" points="([^"]+)"', page)
    assert len(pieces) == 2
    assert sum(len(piece.split()) for piece in pieces) <= 200
    assert "960 before them left out" in page


def test_bands_are_in_the_order_of_their_difficulty() -> None:
    some = [Completion("", "\\boxed{1}", (1.0,), answer="1", band=band) for band in ("hard", "easy", "medium")]
    page = write_watch(Run([Step(1, {}, count(some, None))], [], []), [])
    legend = re.findall(r'<span class="key c\d"></span><span class="told">(\w+)</span>', page)
    assert legend in (["hard", "medium", "easy"], ["easy", "medium", "hard"])
    assert "--export" not in page


VALUES = st.dictionaries(st.sampled_from(sorted(COLUMNS)), st.floats(width=32), max_size=5)


@given(st.lists(VALUES, min_size=1, max_size=30))
def test_any_figures_give_a_page(some: list[dict[str, float]]) -> None:
    run = Run([Step(n, values) for n, values in enumerate(some)], [], [])
    page = write_watch(run, alarms(run))
    assert Tags(page).open == []
    assert re.search(r'points="[^"]*(nan|inf)', page) is None
