"""Other packages as they are installed: a module and a dist-info folder on the path."""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
from collections.abc import Mapping
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


def install_files(
    monkeypatch: pytest.MonkeyPatch, folder: Path, package: str, version: str, files: Mapping[str, bytes]
) -> None:
    """Install files as a package that lists them with their sums, before one of the same name."""
    rows = []
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join([*rows, f"{info.name}/RECORD,,\n"]))
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
