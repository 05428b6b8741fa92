"""The guidelines for annotators: Markdown that leads edit, kept in the lake as numbered versions.

A version is ``guidelines/versions/<n>.json``, written once (``If-None-Match: *``), so that nobody overwrites what
somebody else published meanwhile. Version 0 is ``guidelines.md`` of this package.
``guidelines/opened/<annotator_key>/<n>.json`` says that a person has opened a version. Names of people are in ``by`` of
a version, and in that key.
"""

from __future__ import annotations

import difflib
import json
import logging
import re
from dataclasses import asdict, dataclass
from importlib.resources import files

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError

log = logging.getLogger(__name__)

_VERSIONS = "guidelines/versions/"
_KEY = re.compile(r"guidelines/versions/(?P<number>\d{4,9})\.json")
_WORDS = re.compile(r"\s*\S+\s*")  # with the blanks after them, so that two words next to each other change as one


class ChangedMeanwhileError(ReportedError):
    """Somebody else has published a version since the one that an edit began from."""


@dataclass(frozen=True)
class Edition:
    """One version of the guidelines. ``at``: ISO 8601, UTC; ``by`` is a name. Both are empty for version 0."""

    number: int
    markdown: str
    by: str = ""
    at: str = ""
    note: str = "as delivered with this version of HopChain ETL"


@dataclass(frozen=True)
class Difference:
    """A place where two versions differ: its lines before and after, and the words as (kind, text).

    ``kind`` is "same", "out" or "in".
    """

    before: str
    after: str
    words: tuple[tuple[str, str], ...]


def default() -> Edition:
    """Return version 0, the text of this package."""
    return Edition(0, (files("hopchain_etl.annotation") / "guidelines.md").read_text("utf-8"))


def editions(lake: Lake) -> list[Edition]:
    """Return all versions, the oldest first; those that cannot be read are left out and logged."""
    return [default(), *(one for number in _numbers(lake) if (one := _read(lake, number)))]


def newest(lake: Lake) -> Edition:
    """Return the newest version that can be read: one listing, and one read unless there is none."""
    return _newest(lake, _numbers(lake))


def load(lake: Lake, number: int) -> Edition | None:
    """Return a version by its number, None if there is none that can be read."""
    return _read(lake, number) if number else default()


def publish(lake: Lake, markdown: str, *, by: str, at: str, note: str, based_on: int) -> Edition:
    """Store a new version and return it; raise ChangedMeanwhileError unless ``based_on`` is still the newest one."""
    numbers = _numbers(lake)  # listed once: who publishes after that has the same number, and only one is stored
    number = max(numbers, default=0) + 1
    made = Edition(number, markdown, by, at, note)
    data = json.dumps(asdict(made), sort_keys=True, indent=1).encode()
    if _newest(lake, numbers).number == based_on and lake.store.put_if_absent(_key(number), data):
        return made
    raise ChangedMeanwhileError(f"version {newest(lake).number} is not the version {based_on} that you have edited")


def opened(lake: Lake, person: str) -> int:
    """Return the number of the newest version that a person has opened; 0 if none."""
    names = (entry.key.rpartition("/")[2] for entry in lake.store.list_objects(_opened(person)))
    return max((int(name.removesuffix(".json")) for name in names), default=0)


def mark_opened(lake: Lake, person: str, number: int) -> None:
    """Store that a person has opened a version."""
    lake.store.put_if_absent(f"{_opened(person)}{number:04d}.json", b"{}")


def changed_lines(old: str, new: str) -> frozenset[int]:
    """Return the indices of the lines of ``new`` that are not in ``old``, blank ones left out."""
    after = new.splitlines()
    found = (range(j1, j2) for _, _, _, j1, j2 in _opcodes(old.splitlines(), after))
    return frozenset(line for lines in found for line in lines if after[line].strip())


def differences(old: str, new: str) -> list[Difference]:
    """Return where two texts differ, in order; places that differ in blank lines only are left out."""
    before, after = old.splitlines(), new.splitlines()
    found = []
    for _, i1, i2, j1, j2 in _opcodes(before, after):
        was, now = "\n".join(before[i1:i2]).strip("\n"), "\n".join(after[j1:j2]).strip("\n")
        if was.split() != now.split():
            found.append(Difference(was, now, _by_words(was, now)))
    return found


def _opcodes(before: list[str], after: list[str]) -> list[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return [code for code in matcher.get_opcodes() if code[0] != "equal"]


def _by_words(was: str, now: str) -> tuple[tuple[str, str], ...]:
    before, after = _WORDS.findall(was), _WORDS.findall(now)
    found: list[tuple[str, str]] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if kind == "equal":
            found.append(("same", "".join(after[j1:j2])))
        else:
            found += [(side, "".join(words)) for side, words in (("out", before[i1:i2]), ("in", after[j1:j2])) if words]
    return tuple(found)


def _newest(lake: Lake, numbers: list[int]) -> Edition:
    return next((one for number in reversed(numbers) if (one := _read(lake, number))), default())


def _numbers(lake: Lake) -> list[int]:
    """Return the numbers of the stored versions, in order."""
    matches = (_KEY.fullmatch(entry.key) for entry in lake.store.list_objects(_VERSIONS))
    return sorted(int(match["number"]) for match in matches if match)


def _read(lake: Lake, number: int) -> Edition | None:
    try:
        held = json.loads(lake.store.get(_key(number)))
        return Edition(number, *(str(held[name]) for name in ("markdown", "by", "at", "note")))
    except MissingObjectError:
        return None
    except (ValueError, KeyError, TypeError):
        log.exception("%s cannot be read; the version before it counts", lake.store.uri(_key(number)))
        return None


def _key(number: int) -> str:
    return f"{_VERSIONS}{number:04d}.json"


def _opened(person: str) -> str:
    return f"guidelines/opened/{annotator_key(person)}/"
