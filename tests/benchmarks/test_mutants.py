"""What `make mutants` says of a tiny repository with tests that notice some changes and not others."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.covering_tests import CoveringTests
from benchmarks.mutants import Copy, figures
from benchmarks.mutate import mutants_of

HERE = Path(__file__).parents[2]
MODULE = """\
FAR = 2

def seen(): return 4

def unnoticed(): return 5

def untested(): return 6

def asked_by_a_fixture(): return 7
"""
FILES = {
    "pytest.ini": "[pytest]\nnorecursedirs = suites\n",
    "tests/suites/test_elsewhere.py": "import nothing_of_that_name\n",
    "hopchain_etl/__init__.py": "",
    "hopchain_etl/a.py": MODULE,
    "tests/test_a.py": """\
import pytest
from hopchain_etl import a

@pytest.mark.parametrize("number", [1, 4])
def test_near(number): assert a.seen() >= number

def test_of_the_return(): assert a.unnoticed() > 1
""",
    "tests/test_always_red.py": "from hopchain_etl import a\ndef test_red(): assert a.seen() == 0\n",
    "tests/test_b.py": """\
import pytest
from hopchain_etl import a

@pytest.fixture(scope="module")
def made(): return a.asked_by_a_fixture()

def test_first(made): assert made

def test_second(made): assert made == 7

def test_exactly(): assert (a.FAR, a.seen()) == (2, 4)
""",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # what is compiled of a mutant must not stay
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # pytest starts four times as fast
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    for name, text in FILES.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q", str(tmp_path / "root")], check=True)
    return tmp_path / "root"


def test_a_mutant_is_killed_by_a_test_that_runs_its_line_and_fails_only_with_it(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    copy = Copy(folder, 600, root)
    covering = CoveringTests.record(folder)
    fates = {one.new: copy.fate(one, covering) for one in mutants_of("a.py", MODULE)}
    assert fates == {
        "FAR = 3": "killed: tests/test_b.py::test_exactly",
        "def seen(): return None": "killed: tests/test_a.py::test_near",
        "def seen(): return 5": "killed: tests/test_b.py::test_exactly",
        "def unnoticed(): return None": "killed: tests/test_a.py::test_of_the_return",
        "def unnoticed(): return 6": "survived",
        "def untested(): return None": "survived",
        "def untested(): return 7": "survived",
        "def asked_by_a_fixture(): return None": "killed: tests/test_b.py::test_first",
        "def asked_by_a_fixture(): return 8": "killed: tests/test_b.py::test_second",
    }
    assert (folder / "hopchain_etl/a.py").read_text() == (root / "hopchain_etl/a.py").read_text() == MODULE


def test_what_was_recorded_is_read_again_for_the_same_code_only(root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "covering.json"
    recorded = CoveringTests.record(root)
    recorded.write(kept)
    read = CoveringTests.read(kept, root)
    assert read == recorded
    line = MODULE.splitlines().index("def seen(): return 4") + 1
    own, other = read.of("hopchain_etl/a.py", [line])
    assert (own[0], other[0]) == (["tests/test_a.py::test_near"], ["tests/test_b.py::test_exactly"]), (
        "red tests are out"
    )
    (root / "hopchain_etl/a.py").write_text("FAR = 3\n")
    with pytest.raises(ValueError, match=r"hopchain_etl/a\.py has changed since the tests were recorded"):
        CoveringTests.read(kept, root)


def test_tests_that_cannot_run_are_not_recorded(root: Path) -> None:
    (root / "tests/test_b.py").write_text("import nothing_of_that_name")
    with pytest.raises(ValueError, match="could not be recorded: pytest ended with 2"):
        CoveringTests.record(root)


def test_what_is_undecided_counts_as_not_killed() -> None:
    counts = Counter({"killed": 6, "survived": 1, "undecided": 1, "equivalent": 2})
    expected = {"mutants": 10, "killed": 6, "survived": 1, "undecided": 1, "equivalent": 2, "score": 0.75}
    assert figures(counts) == expected
    assert figures(Counter())["score"] is None
