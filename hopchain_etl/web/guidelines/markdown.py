"""Markdown of people as HTML that is safe to show: a few elements, pictures of our own, links to elsewhere.

markdown-it makes the HTML, with raw HTML turned off. What it makes is then rebuilt from a list of allowed elements and
attributes, so that nothing else can reach a page whatever the text says.
"""

from __future__ import annotations

from collections.abc import Container
from html import escape
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

from hopchain_etl.web.guidelines.pictures import PICTURES, svg

PICTURE = "picture:"  # the scheme of our own pictures, as in ![A ball above a box.](picture:directly-above "Yes")
_LINKS = ("https://", "http://", "mailto:")
_LOWER = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6"}  # the page has its own h1
_VOID = {"br", "hr"}
_ELEMENTS = {"p", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "code", "pre", "blockquote", "a",
             "table", "thead", "tbody", "tr", "th", "td"} | _VOID  # fmt: skip
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def to_html(text: str, changed: Container[int] = ()) -> str:
    """Return the HTML of a Markdown text; blocks with a line of ``changed`` (from 0) have the class ``changed``."""
    tokens = _MARKDOWN.parse(text)
    _mark(tokens, changed)
    page = _Allowed()
    page.feed(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))
    page.close()
    return "".join(page.parts)


def _mark(tokens: list[Token], changed: Container[int]) -> None:
    """Give the class to the smallest blocks that hold a changed line: of a list without gaps, that is the item."""
    items: list[Token] = []
    for token in tokens:
        if token.type == "list_item_open":
            items.append(token)
        elif token.type == "list_item_close":
            items.pop()
        block = items[-1] if token.hidden and items else token
        is_smallest = token.type in ("paragraph_open", "heading_open", "tr_open", "fence", "code_block")
        if is_smallest and token.map and any(line in changed for line in range(*token.map)):
            block.attrSet("class", "changed")


class _Allowed(HTMLParser):
    """Writes what it reads again, but only what is allowed; text stays text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an allowed element with its allowed attributes, or one of our pictures."""
        given = {name: value or "" for name, value in attrs}
        if tag == "img":
            self.parts.append(_picture(given.get("src", ""), given.get("alt", ""), given.get("title", "")))
            return
        tag = _LOWER.get(tag, tag)
        if tag in _ELEMENTS:
            kept = "".join(f' {name}="{escape(value)}"' for name, value in _attributes(tag, given).items())
            self.parts += ['<div class="scrolls">'] if tag == "table" else []
            self.parts.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        """Write the end of an allowed element."""
        tag = _LOWER.get(tag, tag)
        if tag in _ELEMENTS - _VOID:
            self.parts.append(f"</{tag}>")
            self.parts += ["</div>"] if tag == "table" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an element without content."""
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        """Write text."""
        self.parts.append(escape(data))


def _attributes(tag: str, given: dict[str, str]) -> dict[str, str]:
    kept = {"class": "changed"} if "changed" in given.get("class", "").split() else {}
    if tag == "a" and given.get("href", "").lower().startswith(_LINKS):
        kept |= {"href": given["href"], "target": "_blank", "rel": "noopener noreferrer"}
    if tag == "th":
        kept["scope"] = "col"
    if tag == "ol" and given.get("start", "").isdecimal():
        kept["start"] = given["start"]
    return kept


def _picture(source: str, description: str, caption: str) -> str:
    """Return a picture with its caption; of any other source only its description, as text."""
    name = source.removeprefix(PICTURE)
    if not source.startswith(PICTURE) or name not in PICTURES:
        return f"<em>[no such picture: {escape(description or source)}]</em>"
    words = f'<span class="caption">{escape(caption)}</span>' if caption else ""
    return f'<span class="picture">{svg(name, description)}{words}</span>'
