"""The list of what holds data of people is complete: no key of any lake is outside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.takedown.people.stores import STORES, WITHOUT_PEOPLE, is_classified, store_of

PACKAGE = Path(__file__).parents[3] / "hopchain_etl"
WRITERS = (
    "annotation",
    "evaluation",
    "lake",
    "orchestration",
    "pipeline",
    "release",
    "stages",
    "takedown",
    "web",
    "admin",
)
_PREFIX = re.compile(r"[a-z][a-z-]*/([a-z-]+/)*")
# Texts that begin like a key and are none: routes, media types, git, the DVC remote.
NO_KEYS = ("api/", "application/", "assets/", "branch", "expectations/", "files/", "font/", "hopchain/", "image/",
           "new/", "no/", "intakes/", "refs/", "research/", "seen/", "text/", "training_set/", "training-set/", "xl/",
           "yanked/")  # fmt: skip


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield how each string begins, without doc strings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
            yield str(node.values[0].value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def prefixes() -> Iterator[tuple[str, str]]:
    """Yield each prefix of keys in the code that writes to lakes, with the file."""
    for path in sorted(path for name in WRITERS for path in (PACKAGE / name).rglob("*.py")):
        for text in texts(ast.parse(path.read_text("utf-8"))):
            if (match := _PREFIX.match(text)) and " " not in text and not text.startswith(NO_KEYS):
                yield match[0], str(path.relative_to(PACKAGE))


def test_every_prefix_of_keys_in_the_code_is_classified() -> None:
    found = list(prefixes())
    assert {"votes/", "gold/items/", "qualification/events/", "reviews/"} <= {prefix for prefix, _ in found}
    known = [*(one.prefix for one in STORES), *WITHOUT_PEOPLE]
    unknown = {(p, file) for p, file in found if not any(one.startswith(p) or p.startswith(one) for one in known)}
    assert unknown == set(), "does it hold data of people? Add it to hopchain_etl/takedown/people/stores.py"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (f"votes/b/{'a' * 64}/seat-1.12.json", "votes"),
        (f"votes/b/{'a' * 64}/skip-{annotator_key('x')}.json", "skips"),
        ("votes/b.parquet", "archived_votes"),
        ("batches/b.assigned.json", "assignments"),
        ("batches/b.json", "batches"),
        (f"annotators/{annotator_key('x')}.0001.finished.json", "voids"),
        (f"annotators/{annotator_key('x')}.voided.json", "voids"),
        ("runs/manual/data_docs/index.html", "pages"),
    ],
)
def test_a_key_is_of_one_kind(key: str, name: str) -> None:
    found = store_of(key)
    assert found is not None
    assert found.name == name


def test_a_new_kind_below_a_known_prefix_is_not_classified_by_itself() -> None:
    for key in ("votes/b/q/flag-1.json", "gold/said/1.json", "qualification/notes/1.json", "messages/1.json",
                "annotators/notes.json", "reviews/wrong/flags/1.json"):  # fmt: skip
        assert not is_classified(key), key
    assert is_classified("runs/manual.json")
    assert is_classified("blobs/x")


def test_names_are_file_names_and_differ() -> None:
    names = [one.name for one in STORES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
