"""Other packages as they are installed: a module and a dist-info folder on the path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest


def install(
    monkeypatch: pytest.MonkeyPatch, folder: Path, module: str, text: str, engines: str, package: str = ""
) -> None:
    """Install a module as a package of its own, with lines of entry points such as ``toy = "toy:ENTRY"``."""
    package = package or module.replace("_", "-")
    place = folder / package
    info = place / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (place / f"{module}.py").write_text(text, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hopchain_etl.engines]\n" + engines.replace('"', "") + "\n")
    monkeypatch.syspath_prepend(place)
    monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
