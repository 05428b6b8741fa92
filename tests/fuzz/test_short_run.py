"""Each fuzz target for a moment, and all of its past findings: the same inputs each time. `make fuzz` draws others."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz import TARGETS
from fuzz.target import FINDINGS, restored

FOUND = [(name, path) for name, target in TARGETS.items() for path in target.findings()]


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_inputs(name: str) -> None:
    TARGETS[name].explore(20, derandomize=True)


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.stem}" for name, path in FOUND])
def test_what_was_found_stays_mended(name: str, path: Path) -> None:
    TARGETS[name].run(restored(path))


def test_every_folder_of_findings_is_of_a_target() -> None:
    assert {path.name for path in FINDINGS.iterdir()} <= TARGETS.keys()
