"""Writes the parts of these pages that the code can tell: settings, commands, and what the checks catch.

    python docs/generate.py

Each part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` on its page; the rest of a page is written by
hand. A test (``tests/docs/test_generated.py``) fails where a page is not what this would write.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))  # for benchmarks, which is no installed package

from benchmarks import mutations  # noqa: E402
from hopchain_etl.cli import app  # noqa: E402
from hopchain_etl.settings import as_markdown  # noqa: E402
from hopchain_etl.takedown.people.stores import STORES  # noqa: E402

GOOD_QUERIES = 40  # spoiled for the table of mutations: enough for each way, and a matter of seconds


def commands() -> str:
    """Return every command of ``hopchain`` with its help, arguments and options."""
    return "\n".join(_commands(typer.main.get_command(app), "hopchain"))


def _commands(command: Any, name: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        for each in sorted(command.commands):
            yield from _commands(command.commands[each], f"{name} {each}")
        return
    yield f"## {name}"
    yield ""
    yield inspect.cleandoc(command.help or "")
    yield ""
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    if not shown:
        return
    yield "| argument or option | default | meaning |"
    yield "|---|---|---|"
    for one in shown:
        yield f"| {_parameter(one)} | {_default(one)} | {_cell(one.help or '')} |"
    yield ""


def _parameter(one: Any) -> str:
    """Return how a parameter is written on the command line."""
    if not one.opts[0].startswith("-"):
        return f"`{one.opts[0].upper()}`"
    value = "" if one.is_flag else " VALUE"
    return ", ".join(f"`{name}{value}`" for name in one.opts)


def _default(one: Any) -> str:
    if one.required:
        return "required"
    return "" if one.default in (None, False, ()) else _code(str(one.default))


def spoiled() -> str:
    """Return the table of mutations: what each does to a good query, and the first rule that refuses it."""
    good, tallies = mutations.spoil(GOOD_QUERIES)
    lines = [f"{good} good queries, spoiled in {len(tallies)} ways:", ""]
    lines += ["| mutation | what it does | spoiled | caught | refused as |", "|---|---|---:|---:|---|"]
    for name, tally in tallies.items():
        reasons = ", ".join(f"`{reason}` {count}" for reason, count in tally.reasons.most_common())
        lines.append(f"| {name} | {_cell(tally.what)} | {tally.mutants} | {tally.caught} | {reasons} |")
    return "\n".join([*lines, ""])


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def stores() -> str:
    """Return which objects of the lake hold data of people, and what an erase does with them."""
    lines = ["| objects | hold | an erase |", "|---|---|---|"]
    for one in STORES:
        keys = f"`{one.prefix}`" if one.rest == r".*" else f"`{one.prefix}{_readable(one.rest)}`"
        lines.append(f"| {keys} | {_cell(one.holds)} | {_cell(one.rule)} |")
    return "\n".join(lines)


def _readable(pattern: str) -> str:
    """Return a pattern of keys as people write it."""
    for part, name in (
        ("(?P<who>[0-9a-f]{16})", "<person>"),
        (r"(\.\d+)?", ".<n>"),
        ("(voided|finished)", "voided"),
        (r"[^/]+/[^/]+/", "<batch>/<query>/"),
        ("[^/]+", "<name>"),
        (r"\d+", "<n>"),
        (".*", "*"),
        ("\\", ""),
    ):
        pattern = pattern.replace(part, name)
    return pattern


PARTS: Mapping[str, Callable[[], str]] = {
    "settings": as_markdown,
    "commands": commands,
    "mutations": spoiled,
    "stores": stores,
}
PAGES: Mapping[str, str] = {
    "reference/settings.md": "settings",
    "reference/cli.md": "commands",
    "checks.md": "mutations",
    "personal-data.md": "stores",
}


def written(page: str) -> str:
    """Return a page as it should be."""
    name = PAGES[page]
    text = (DOCS / page).read_text(encoding="utf-8")
    begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
    made, count = re.subn(
        f"({re.escape(begin)}).*?({end})", lambda match: f"{match[1]}\n{PARTS[name]()}\n{match[2]}", text, flags=re.S
    )
    if count != 1:
        raise ValueError(f"docs/{page} needs {begin.strip()} and, below it, {end} once")
    return made


def main() -> None:
    for page in PAGES:
        text = written(page)
        if text != (DOCS / page).read_text(encoding="utf-8"):
            (DOCS / page).write_text(text, encoding="utf-8")
            print(f"wrote docs/{page}")


if __name__ == "__main__":
    main()
