"""The changes that `make mutants` tries: each is valid Python, and texts and annotations stay as they are."""

from __future__ import annotations

import ast

from benchmarks.mutants import all_mutants, equivalent
from benchmarks.mutate import mutants_of

SOURCE = '''
"""A module."""
LIMIT: float = 0.5  # ü: columns are counted in bytes

@cached(maxsize=3)
def size(values: list[int], least: int = 1) -> int | None:
    """Return 1."""
    assert len(values) > 0, 7
    log.info("size %d", 3)
    for one in values:
        if one.known and not -one < least:
            break
    raise ValueError(f"{least + 1}")
'''


def test_every_change_is_made_once() -> None:
    found = list(mutants_of("a.py", SOURCE))
    assert [(one.where, one.new) for one in found] == [
        ("a.py", "LIMIT: float = 1.0 # ü: columns are counted in bytes"),
        ("a.py size", "def size(values: list[int], least: int = 2) -> int | None:"),
        ("a.py size", "if (not (one.known and (not -one < least))):"),
        ("a.py size", "if (one.known or not -one < least):"),
        ("a.py size", "if one.known and (-one < least):"),
        ("a.py size", "if one.known and not (-one <= least):"),
        ("a.py size", "if one.known and not (-one >= least):"),
        ("a.py size", "if one.known and not one < least:"),
        ("a.py size", "continue"),
        ("a.py size", "pass"),
    ]
    for one in found:
        changed = one.changed(SOURCE.encode())
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))
        assert one.new in {" ".join(line.split()) for line in changed.decode().splitlines()}


def test_changes_over_several_lines_and_of_conditions() -> None:
    source = "while some(\n    [one for one in all if one.known],\n):\n    total += max(\n        1,\n        2)\n"
    assert [" ".join(one.changed(source.encode()).decode().split()) for one in mutants_of("a.py", source)] == [
        "while (not (some([one for one in all if one.known]))): total += max( 1, 2)",
        "while some( [one for one in all if (not (one.known))], ): total += max( 1, 2)",
        "while some( [one for one in all if one.known], ): total -= max(1, 2)",
        "while some( [one for one in all if one.known], ): total += (min(1, 2))",
        "while some( [one for one in all if one.known], ): total += max( 2, 2)",
        "while some( [one for one in all if one.known], ): total += max( 1, 3)",
    ]


def test_assertions_are_left_alone() -> None:
    assert not list(mutants_of("a.py", "assert one == 1\nfor a, b in zip(c, d, strict=True): pass\n"))


def test_every_equivalent_mutant_that_is_listed_exists() -> None:
    listed = equivalent()
    modules = {where.split()[0] for where, _, _ in listed}
    assert listed.keys() <= {one.key for module in modules for one in all_mutants(module)}
    assert all(listed.values())


def test_the_lines_of_a_change_are_those_of_its_statement_if_a_function_runs_them() -> None:
    source = """\
LIMIT = 1
def size(
    least=2,
):
    while some(
        3,
        least,
    ):
        return 4
class Row:
    width: int = 5
"""
    lines = {one.new.strip(): sorted(one.lines) for one in mutants_of("a.py", source)}
    assert lines == {
        "LIMIT = 2": [],
        "least=3,": [],
        "while (not (some(3, least))):": [5, 6, 7, 8],
        "4,": [5, 6, 7, 8],
        "return None": [9],
        "return 5": [9],
        "width: int = 6": [],
    }
