"""The generated parts of the pages are what `make docs` would write now."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from hopchain_etl.settings import described

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()


@pytest.mark.parametrize("page", GENERATE.PAGES)
def test_no_page_is_stale(page: str) -> None:
    stale = GENERATE.written(page) != (DOCS / page).read_text(encoding="utf-8")
    assert not stale, f"docs/{page} is not what the code says now; run `make docs`"


def test_every_setting_says_what_it_means() -> None:
    rows = described()
    assert len(rows) > 40
    assert [row.variable for row in rows if not row.description] == []


def test_the_settings_that_a_user_meets_first_come_first() -> None:
    page = GENERATE.PARTS["settings"]()
    basic, advanced = page.index("## Basic"), page.index("## Advanced")
    assert basic < page.index("`HOPCHAIN_LAKE__URI`") < advanced < page.index("`HOPCHAIN_VLM__TIMEOUT_SECONDS`")


def test_every_option_of_a_command_is_listed() -> None:
    made = GENERATE.commands()
    for heading in ("## hopchain run", "## hopchain s3 start", "## hopchain verify"):
        assert heading in made
    assert "`--intakes VALUE`" in made


def test_a_stale_page_is_written_anew_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "<!-- generated: stores -->\nold\n<!-- end -->\n"
    (tmp_path / "personal-data.md").write_text(page)
    monkeypatch.setattr(GENERATE, "DOCS", tmp_path)
    monkeypatch.setattr(GENERATE, "PAGES", {"personal-data.md": "stores"})
    for told in ("wrote docs/personal-data.md\n", ""):
        GENERATE.main()
        assert capsys.readouterr().out == told
    assert page not in (tmp_path / "personal-data.md").read_text()


def test_a_page_without_its_markers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checks.md").write_text("# Checks\n")
    monkeypatch.setattr(GENERATE, "DOCS", tmp_path)
    with pytest.raises(ValueError, match="generated: mutations"):
        GENERATE.written("checks.md")
