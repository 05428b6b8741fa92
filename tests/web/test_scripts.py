"""Every script of the pages can be parsed: one that cannot leaves a page that shows nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

SCRIPTS = sorted((Path(__file__).parents[2] / "hopchain_etl/web/pages").glob("*.js"))
NODE = str(compute_driver_executable()[0])  # playwright brings its own


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_parsed(script: Path, tmp_path: Path) -> None:
    module = tmp_path / f"{script.stem}.mjs"  # the pages load them as modules
    shutil.copy(script, module)
    done = subprocess.run([NODE, "--check", str(module)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
