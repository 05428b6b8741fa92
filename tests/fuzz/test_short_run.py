"""Each fuzz target for a moment, and all of its past findings: the same inputs each time. `make fuzz` draws others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from fuzz import TARGETS
from fuzz.target import FINDINGS, Target, restored

FOUND = [(name, path) for name, target in TARGETS.items() for path in target.findings()]


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_inputs(name: str) -> None:
    TARGETS[name].explore(20, derandomize=True)


@pytest.mark.parametrize(("name", "path"), FOUND, ids=[f"{name}-{path.stem}" for name, path in FOUND])
def test_what_was_found_stays_mended(name: str, path: Path) -> None:
    TARGETS[name].run(restored(path))


def test_every_folder_of_findings_is_of_a_target() -> None:
    assert {path.name for path in FINDINGS.iterdir()} <= TARGETS.keys()


def test_a_long_run_draws_other_inputs_each_time_also_where_tests_draw_the_same() -> None:
    drawn: list[list[int]] = []
    target = Target("numbers", st.integers(0, 10**30), lambda value: drawn[-1].append(value))
    the_same: dict[str, Any] = {"derandomize": True}
    for options in ({}, {}, the_same, the_same):
        drawn.append([])
        target.explore(20, **options)
    assert drawn[0] != drawn[1]
    assert drawn[2] == drawn[3]


def test_the_targets_are_imported_without_samples_and_heavy_packages() -> None:
    # `make fuzz` starts one process for each target, and pytest imports them to collect.
    code = (
        "import sys, fuzz; print(*{'pandas', 'boto3', 'pillow_heif'} & sys.modules.keys(),"
        " fuzz.pictures.files.cache_info().currsize)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert shown.split() == ["0"]
