"""The README says what the code does: its commands exist, its settings are all the settings, its files are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.testing

from hopchain_etl.cli import app
from hopchain_etl.settings import Settings, described

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNNER = typer.testing.CliRunner()


def test_the_settings_table_is_the_settings() -> None:
    printed = RUNNER.invoke(app, ["settings", "--markdown"]).stdout.strip()
    assert printed in README
    assert len(described()) > 40
    assert all(row.description for row in described()), "a setting without a description"


def test_every_command_in_the_readme_exists_and_teaches() -> None:
    named = set(re.findall(r"`hopchain ([a-z0-9]+)", README)) | set(re.findall(r"^hopchain ([a-z0-9]+)", README, re.M))
    assert {"run", "status", "rejects", "verify", "withdraw", "erase", "gc"} <= named
    for command in named:
        shown = RUNNER.invoke(app, [command, "--help"])
        assert shown.exit_code == 0, command
        assert len(shown.stdout) > 200, command


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_link_into_the_project_leads_somewhere() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_configuration_in_the_readme_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.findall(r"```toml\n(.*?)```", README, re.S)
    assert len(shown) >= 3
    for number, text in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        monkeypatch.setenv("HOPCHAIN_CONFIG", str(path))
        assert Settings().model_fields_set, text


def test_no_host_names_of_package_indexes_and_no_paths_of_a_machine() -> None:
    """Pins are versions only; where packages come from is each machine's own affair."""
    index = re.compile("|".join(("py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.", "deb" + r"\.debian")))
    home = re.compile(r"(^|[\s\"'(=])/(home|root|work|Users)/[a-z]")
    files = [
        ROOT / name for name in ("README.md", "pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "dvc.yaml")
    ]
    for path in [*files, *(ROOT / "hopchain_etl").rglob("*.py"), *(ROOT / "dags").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not index.search(text), path
        assert not home.search(text), path
