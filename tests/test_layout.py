"""Where files lie: tests mirror the package, and neither a file nor the top of the package grows without end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE, TESTS = ROOT / "hopchain_etl", ROOT / "tests"
MOST_LINES = 400
MOST_MODULES = 6  # directly in the package
NOT_MIRRORED = {"benchmarks", "dags", "deploy", "docs", "end_to_end", "examples", "fuzz", "suites"}
EXCEPTIONS = {
    "engines/vlm/test_cached_calls.py": "the client behind the cache of answers, killed on the way",
    "hops/test_margins.py": "the margins of all relations, at their limits",
    "hops/test_mutations.py": "all rules on spoiled queries",
    "hops/test_published.py": "the paper's examples",
    "hops/test_reader.py": "the author against the independent reader",
    "quality/test_suites.py": "the files in expectations/",
    "test_layout.py": "this file",
    "test_releases.py": "version, changelog and tags of the package",
    "web/test_airflow.py": "the plugin in a real Airflow",
    "web/test_erased_people.py": "the desk while somebody is erased",
    "web/test_races.py": "several API workers at once",
    "web/test_messages.py": "the texts of the pages in other languages",
    "web/test_scripts.py": "the JavaScript of the pages",
    "web/test_security.py": "attacks on all routes",
}


def python_files() -> Iterator[Path]:
    """Every Python file of the repository; folders that git ignores (environments, builds) are left out."""
    for top in ROOT.iterdir():
        if top.suffix == ".py":
            yield top
        elif top.is_dir() and not top.name.startswith((".", "venv", "build", "dist")):
            yield from top.rglob("*.py")


def is_mirrored(test: Path) -> bool:
    """Whether the package has the module or package of that name, or the test is about its folder as a whole."""
    folder, name = PACKAGE / test.parent, test.stem.removeprefix("test_")
    if not folder.is_dir():
        return False
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file() or name == folder.name


def test_every_test_file_has_its_module() -> None:
    tests = [path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")]
    mirrored = {test.as_posix(): is_mirrored(test) for test in tests if test.parts[0] not in NOT_MIRRORED}
    assert len(mirrored) > 50
    assert {test for test, has_module in mirrored.items() if not has_module} == EXCEPTIONS.keys()


def test_few_modules_lie_directly_in_the_package() -> None:
    modules = sorted(path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py")
    assert "schemas.py" in modules
    assert len(modules) <= MOST_MODULES, modules


def test_no_python_file_is_too_long() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in python_files()}
    assert {"hopchain_etl/schemas.py", "tests/test_layout.py"} <= lines.keys()
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_every_folder_of_the_package_says_what_it_is_for() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert PACKAGE / "hops" in folders
    silent = []
    for folder in folders:
        said = folder / "__init__.py"
        if not said.is_file() or not ast.get_docstring(ast.parse(said.read_text("utf-8"))):
            silent.append(str(folder.relative_to(ROOT)))
    assert silent == []
