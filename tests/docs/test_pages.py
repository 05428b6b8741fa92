"""The pages say what the code does: links lead somewhere, commands, settings and names exist, examples are valid."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import hopchain_etl
from hopchain_etl.cli import app
from hopchain_etl.hops.checks import DRAFT_RULES, PROOF_RULES
from hopchain_etl.hops.query import Read, Relation
from hopchain_etl.imaging.rejection import RejectReason
from hopchain_etl.settings import Settings, described
from hopchain_etl.training.mix import MixSpec

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
EVERYTHING = "\n".join(TEXTS.values())
COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(language: str, text: str = EVERYTHING) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def links(page: Path) -> list[str]:
    """What the links of a page lead to, but for those to other sites."""
    return re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[page])


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len(TEXTS[ROOT / "README.md"].splitlines()) <= 150


def test_pages_and_their_links_are_found() -> None:
    assert len(PAGES) > 30
    assert sum(len(links(page)) for page in PAGES) > 100


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_found() -> None:
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page)}
    assert [page for page in PAGES if page.parent != ROOT and page.name != "index.md" and page not in linked] == []


def test_every_command_exists_and_teaches() -> None:
    named = set(re.findall(r"(?:`|^)hopchain ([a-z0-9]+)", EVERYTHING, re.M))
    assert {"run", "status", "rejects", "verify", "withdraw", "erase", "gc"} <= named
    for command in named:
        shown = CliRunner().invoke(app, [command, "--help"])
        assert shown.exit_code == 0, command
        assert len(shown.stdout) > 200, command


def test_every_option_exists() -> None:
    lines = re.findall(r"^hopchain (.+)$|`hopchain ([^`]+)`", EVERYTHING, re.M)
    checked = 0
    for words in (f"{line}{quoted}".partition("#")[0].split() for line, quoted in lines):
        command = COMMANDS.get(words[0])
        if command is None or "commands" in vars(command):
            continue
        known = {"--help"} | {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        options = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert options <= known, words
        checked += len(options)
    assert checked > 10


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", EVERYTHING, re.M))
    assert {"demo", "test", "docs"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_variable_is_a_setting() -> None:
    known = {row.variable for row in described()}
    text = re.sub(r"PODS__[A-Z]+__", "PODS__<NAME>__", EVERYTHING)  # a name of tasks
    named = set(re.findall(r"HOPCHAIN_[A-Z0-9]+__[A-Z0-9_<>]+", text))
    assert len(named & known) > 100
    for name in named - known:
        # A section's name, with dots for any of its settings, or the way to write one.
        assert any(one.startswith(f"{name}__") or one == name for one in known) or f"{name}..." in EVERYTHING, name


def test_every_configuration_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = blocks("toml")
    assert len(shown) >= 4
    for number, text in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        if "[[phase]]" in text:  # what `hopchain train mix` takes
            assert MixSpec.read(path).phases
            continue
        monkeypatch.setenv("HOPCHAIN_CONFIG", str(path))
        assert Settings().model_fields_set, text


def test_every_name_exists() -> None:
    names = set(re.findall(r"`(hopchain_etl(?:\.\w+)*):(\w+)`", EVERYTHING))
    assert len(names) > 40
    for module, name in sorted(names):
        assert hasattr(importlib.import_module(module), name), f"{module}:{name}"


def test_every_path_in_backticks_exists() -> None:
    folders = "hopchain_etl|dags|plugins|tests|benchmarks|docs|expectations"
    named = set(re.findall(rf"`((?:{folders})/[\w./-]*)`", EVERYTHING))
    assert len(named) > 50
    for name in named:
        assert (ROOT / name).exists() or name == "docs/_build", name


def test_every_test_that_is_named_exists() -> None:
    files = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    defined = {name for text in files.values() for name in re.findall(r"^def (test_\w+)\(", text, re.M)}
    alone = set(re.findall(r"`(test_\w+)`", EVERYTHING))
    assert len(alone) > 5
    assert alone <= defined, alone - defined
    in_files = re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", EVERYTHING)
    assert in_files
    for path, name in in_files:
        assert f"def {name}(" in files[ROOT / path], name


def test_what_is_imported_in_examples_exists() -> None:
    imported = [
        (node.module or "", one.name)
        for text in blocks("python")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hopchain_etl.")
        for one in node.names
    ]
    assert len(imported) > 5
    for module, name in imported:
        assert hasattr(importlib.import_module(module), name), f"{module}: {name}"


def test_the_signatures_are_those_of_the_code() -> None:
    text = TEXTS[DOCS / "python-api.md"]
    homes = dict(re.findall(r"^\| `(\w+)` \| `(hopchain_etl[\w.]*):\w+`", text, re.M))
    signatures = re.findall(r"```text\n(\w+)\((.*)\)\n```", text)
    assert signatures
    assert {name for name, _ in signatures} == set(homes)
    for name, written in signatures:
        real = inspect.signature(getattr(importlib.import_module(homes[name]), name)).parameters
        shown = [one.partition("=")[0].strip() for one in written.split(", ") if one != "*"]
        assert shown == list(real) or written.startswith("**"), name


def test_the_public_names_are_exported() -> None:
    text = TEXTS[DOCS / "python-api.md"]
    named = {
        one.name
        for block in blocks("python", text)
        if block.startswith("from hopchain_etl import")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.ImportFrom) and node.module == "hopchain_etl"
        for one in node.names
    }
    assert named == set(hopchain_etl.__all__)
    assert all(hasattr(hopchain_etl, name) for name in named)
    (grading,) = (block for block in blocks("python", text) if "\nassert grade(" in block)
    exec(compile(grading, "python-api.md", "exec"), {})


def test_every_folder_of_the_tree_has_its_line() -> None:
    text = TEXTS[DOCS / "architecture.md"]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {str(Path(name).parent) for name in listed.splitlines()} - {"."}
    assert len(folders) > 50
    package = {folder.removeprefix("hopchain_etl/") for folder in folders if folder.startswith("hopchain_etl/")}
    mirrored = {f"tests/{folder}" for folder in package} | {"tests/dags", "tests/docs", "tests/end_to_end"}
    outside = (folder for folder in folders if not folder.startswith("hopchain_etl"))
    beside = {"/".join(folder.split("/")[:2]) for folder in outside}
    missing = [folder for folder in sorted(package | (beside - mirrored)) if f"`{folder}/`" not in text]
    assert missing == []


def test_every_rule_and_every_reason_of_ingest_is_explained() -> None:
    rules = TEXTS[DOCS / "checks.md"].partition("## Reasons after the rules")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", rules, re.M)) == {rule.__name__ for rule in (*PROOF_RULES, *DRAFT_RULES)}
    operating = TEXTS[DOCS / "operating.md"]
    assert [reason for reason in RejectReason if f"`{reason}`" not in operating] == []


def test_every_relation_and_every_reading_is_explained() -> None:
    hops = TEXTS[DOCS / "concepts.md"].partition("## Hops")[2].partition("\n## ")[0]
    cells = " ".join(re.findall(r"^\|(.*?)\|", hops, re.M))
    assert [one for one in (*Relation, *Read) if f"`{one}`" not in cells] == []


def test_pictures_are_readable_in_light_and_dark() -> None:
    pictures = sorted((DOCS / "pictures").glob("*.svg"))
    assert len(pictures) >= 4
    for path in pictures:
        text = path.read_text(encoding="utf-8")
        assert "prefers-color-scheme: dark" in text, path
        assert "<title>" in text, path
        assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', ""), path


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    strict = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"]
    command = [*strict, "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_host_names_of_package_indexes_and_no_paths_of_a_machine() -> None:
    """Pins are versions only; where packages come from is each machine's own affair."""
    index = re.compile("|".join(("py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.", "deb" + r"\.debian")))
    home = re.compile(r"(^|[\s\"'(=])/(home|root|work|Users)/[a-z]")
    names = ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "dvc.yaml", "docs/conf.py", "docs/generate.py")
    code = [*(ROOT / "hopchain_etl").rglob("*.py"), *(ROOT / "dags").glob("*.py")]
    assert len(code) > 200
    for path in [*PAGES, *(ROOT / name for name in names), *code]:
        text = path.read_text(encoding="utf-8")
        assert not index.search(text), path
        assert not home.search(text), path
