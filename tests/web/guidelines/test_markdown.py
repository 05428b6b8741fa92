"""Markdown of people becomes a few harmless elements, whatever it says."""

from __future__ import annotations

import random
from html.parser import HTMLParser

import pytest

from hopchain_etl.annotation import guidelines
from hopchain_etl.web.guidelines.markdown import to_html

ELEMENTS = frozenset(
    {"p", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "a", "table",
     "thead", "tbody", "tr", "th", "td", "br", "hr", "div", "span", "svg", "g", "rect", "ellipse", "circle", "path",
     "text"}
)  # fmt: skip
ATTRIBUTES = frozenset(
    {"class", "href", "target", "rel", "scope", "start", "role", "aria-label", "data-verdict", "viewbox", "width",
     "height", "x", "y", "cx", "cy", "rx", "ry", "r", "d", "fill"}
)  # fmt: skip


class Elements(HTMLParser):
    """What a browser would find in a page: its elements, with attributes, and whether they are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("br", "hr"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def harmless(text: str) -> Elements:
    page = Elements(to_html(text))
    for tag, attributes in page.found:
        assert tag in ELEMENTS
        assert attributes.keys() <= ATTRIBUTES, attributes
        assert attributes.get("href", "https://").lower().startswith(("https://", "http://", "mailto:"))
    return page


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<style>*{display:none}</style>",
        "<svg><animate onbegin=alert(1)>",
        "<!-- --><iframe src=//evil.example>",
        "<details open ontoggle=alert(1)>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&#x3c;script&#x3e;alert(1)",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](\tjavascript:alert(1))",
        "[a](<javascript:alert(1)>)",
        "[a]: javascript:alert(1)\n\n[a]",
        "[a](vbscript:x) [a](data:text/html;base64,PHNjcmlwdD4=) [a](file:///etc/passwd)",
        "[a](//evil.example) [a](../lead) [a](api/lead/void)",
        '[a](https://x.example "\\" onmouseover=alert(1) x=\\"")',
        '<https://x.example/"onmouseover=alert(1)>',
        "<javascript:alert(1)>",
        "![x](https://evil.example/pixel.png)",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "![x](picture:../../../etc/passwd)",
        '!["><script>alert(1)</script>](picture:nearest "\'><script>alert(1)</script>")',
        '```js" onload="alert(1)\n</code><script>alert(1)</script>\n```',
        "| a |\n|:-:|\n| <b onclick=x>1</b> |",
        "# a {onclick=alert(1)}",
        "\x00<scr\x00ipt>alert(1)</script>",
        "]]><![CDATA[<script>alert(1)</script>",
        "<?php echo 1 ?> <!DOCTYPE html>",
    ],
)
def test_an_attack_stays_text(attack: str) -> None:
    page = harmless(f"before\n\n{attack}\n\nafter")
    assert page.text.startswith("before")
    assert page.text.rstrip().endswith("after")
    assert not any(attributes.get("href", "").startswith('https://x.example/"') for _, attributes in page.found)


def test_text_of_any_kind_is_harmless() -> None:
    noise = random.Random(7)
    pieces = "< > script ]( ![ picture:nearest \" ' | # ` * &lt; &#60; onload= javascript: a \\ |-| <!-- --> https://x.example"
    joined = [*pieces.split(), " ", "\n", "- ", "1. ", "> "]
    for _ in range(500):
        harmless("".join(noise.choices(joined, k=40)))


@pytest.mark.parametrize("text", ["> " * 5_000, "[" * 5_000, "*a_" * 5_000, "- " * 5_000, "`" * 5_000, "|" * 5_000])
def test_text_that_nests_without_end_is_shown(text: str) -> None:
    harmless(text)


def test_headings_lists_tables_and_links_are_shown() -> None:
    page = harmless("# A\n\n## B\n\n3. *c* **d** `e`\n\n| f |\n|---|\n| g |\n\n[h](https://h.example)")
    tags = [tag for tag, _ in page.found]
    assert [tag for tag in tags if tag.startswith("h")] == ["h2", "h3"]  # the page has its own h1
    assert {"ol", "em", "strong", "code", "table", "th", "td", "a"} <= set(tags)
    told = dict(page.found)
    assert (told["th"]["scope"], told["ol"]["start"], told["a"]["rel"]) == ("col", "3", "noopener noreferrer")


def test_a_picture_has_its_description_and_its_caption() -> None:
    page = harmless('![A ball & a box](picture:nearest "The <near> ball")')
    assert dict(page.found)["svg"]["aria-label"] == "A ball & a box"
    assert page.text.strip() == "The <near> ball"
    assert "no such picture: A ball" in harmless("![A ball](picture:unknown)").text


def test_the_smallest_block_with_a_changed_line_is_marked() -> None:
    text = "# A\n\n- b\n- c\n\n| d |\n|---|\n| e |\n| f |\n\ng\nh"
    marked = {number: to_html(text, {number}) for number in (0, 3, 8, 10)}
    assert '<h2 class="changed">A</h2>' in marked[0]
    assert '<li class="changed">c</li>' in marked[3]
    assert '<tr class="changed">\n<td>f</td>' in marked[8]
    assert '<p class="changed">g\nh</p>' in marked[10]
    assert all(html.count("changed") == 1 for html in marked.values())
    assert "changed" not in to_html(text)


def test_the_text_of_the_package_has_no_unknown_picture() -> None:
    page = harmless(guidelines.default().markdown)
    assert "no such picture" not in page.text
    assert sum(tag == "svg" for tag, _ in page.found) > 15
