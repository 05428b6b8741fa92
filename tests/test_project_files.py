"""Project files are found in an installed package and in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopchain_etl import project_files
from hopchain_etl.project_files import project_file


def test_project_files_come_from_the_package_first_then_from_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "hopchain_etl"
    monkeypatch.setattr(project_files, "_PACKAGE", package)
    with pytest.raises(FileNotFoundError, match=r"params\.yaml is neither .*_project/params\.yaml nor .*/params\.yaml"):
        project_file("params.yaml")
    (tmp_path / "params.yaml").write_text("checkout")
    assert project_file("params.yaml").read_text() == "checkout"
    (package / "_project").mkdir(parents=True)
    (package / "_project" / "params.yaml").write_text("wheel")
    assert project_file("params.yaml").read_text() == "wheel"
