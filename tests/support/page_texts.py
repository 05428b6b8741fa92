"""The texts of the desk's pages that have messages in other languages: from HTML, scripts and the server's errors."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from hopchain_etl.evaluation.errors.kinds import DESCRIPTIONS
from hopchain_etl.web.desk.submission import REASONS

WEB = Path(__file__).parents[2] / "hopchain_etl/web"
PAGES = WEB / "pages"
_VOID = {"meta", "link", "input", "img", "br"}
_NOT_TEXT = {"kbd", "code", "script", "style", "noscript"}
_ATTRIBUTES = {"title", "aria-label", "alt", "placeholder"}

# modules whose errors annotators see; a text that the page checks before it sends (422) is not among them
_SAYING = (
    "access.py",
    "app.py",
    "my_work.py",
    "reviews.py",
    "image_responses.py",
    "desk/desk.py",
    "lead/qualification.py",
)
_ERRORS = {"Conflict", "Gone", "NotAllowed", "NotFound", "NotLoggedIn", "NotQualified", "Unavailable", "Voided"}

_TEXT = r'"(?:[^"\\]|\\.)*"(?:\s*\+\s*"(?:[^"\\]|\\.)*")*'
_SINGLE = re.compile(rf"\b(?:t|parts)\(\s*({_TEXT})")
_PLURAL = re.compile(rf"\bplural\([^,()]+(?:\([^()]*\))?,\s*({_TEXT}),\s*({_TEXT})")
_ANY = re.compile(r"(?<![\w.])(?:t|parts|plural)\((?!text\b|node\b|key\b|number\b)")


@dataclass
class _Element:
    tag: str
    key: str = ""
    children: int = 0


@dataclass
class _Page(HTMLParser):
    """Collects texts as ``translatePage`` of ``i18n.js`` does: ``{0}`` stands for the first element inside."""

    texts: set[str] = field(default_factory=set)
    translated: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[_Element] = [_Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.translated |= tag == "html" and ("data-translated", None) in attrs
        inside = self._open[-1]
        inside.key += f"{{{inside.children}}}"
        inside.children += 1
        self.texts |= {text for name, text in attrs if name in _ATTRIBUTES and text and "body" in self._tags()}
        if tag not in _VOID:
            self._open.append(_Element(tag))

    def handle_data(self, data: str) -> None:
        self._open[-1].key += data

    def handle_endtag(self, tag: str) -> None:
        tags = self._tags()
        closed = self._open.pop()
        assert closed.tag == tag, f"</{tag}> closes <{closed.tag}>"
        if (tag == "title" or "body" in tags) and not _NOT_TEXT & set(tags) and _letters(closed.key):
            self.texts.add(" ".join(closed.key.split()))

    def _tags(self) -> list[str]:
        return [one.tag for one in self._open]


def _letters(key: str) -> bool:
    return any(char.isalpha() for char in re.sub(r"\{\d+\}", "", key))


def translated_pages() -> dict[Path, set[str]]:
    """Return the pages in other languages, each with the texts of its HTML."""
    found = {}
    for path in sorted(PAGES.rglob("*.html")):
        page = _Page()
        page.feed(path.read_text())
        if page.translated:
            found[path] = page.texts
    return found


def _joined(literal: str) -> str:
    return "".join(json.loads(one) for one in re.findall(r'"(?:[^"\\]|\\.)*"', literal))


def script_texts(source: str) -> tuple[set[str], dict[str, str], int]:
    """Return a script's texts, its texts with a plural (with their form for one), and how many calls it has in all."""
    single = [_joined(one) for one in _SINGLE.findall(source)]
    plurals = [(_joined(other), _joined(one)) for one, other in _PLURAL.findall(source)]
    assert len(_ANY.findall(source)) == len(single) + len(plurals), "a text is no literal in double quotes"
    return set(single), dict(plurals), len(single) + len(plurals)


def server_texts() -> set[str]:
    """Return what the server says to annotators: reasons of rejects, kinds of errors, and errors without figures."""
    found = {*REASONS.values(), *DESCRIPTIONS.values()}
    for name in _SAYING:
        tree = ast.parse((WEB / name).read_text())
        constants = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
        for call in calls:
            if call.func.id in _ERRORS and call.args:  # type: ignore[attr-defined]
                said = call.args[0]
                text = constants.get(said.id) if isinstance(said, ast.Name) else getattr(said, "value", None)
                found |= {text} if isinstance(text, str) else set()
    return found


def sources() -> tuple[set[str], dict[str, str]]:
    """Return all texts of the pages in other languages, and those with a plural, with their form for one."""
    texts, plurals = server_texts().union(*translated_pages().values()), {}
    for script in sorted(PAGES.rglob("*.js")):
        single, several, _ = script_texts(script.read_text())
        texts |= single
        plurals |= several
    return texts, plurals
