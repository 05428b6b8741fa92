"""What `make mutants` says of a tiny repository with tests that notice some changes and not others."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.mutants import Copy, figures
from benchmarks.mutate import mutants_of

MODULE = "FAR = 2\nUNSEEN = 3\n"
FILES = {
    "hopchain_etl/__init__.py": "",
    "hopchain_etl/a.py": MODULE,
    "hopchain_etl/b.py": "from hopchain_etl.a import FAR\n",
    "tests/test_a.py": "import hopchain_etl.a\ndef test_near(): assert hopchain_etl.a.FAR\n",
    "tests/test_always_red.py": "import hopchain_etl.b\ndef test_red(): assert False\n",
    "tests/test_b.py": "import hopchain_etl.b\ndef test_far(): assert hopchain_etl.b.FAR == 2\n",
}


def test_a_mutant_is_killed_by_the_first_test_that_fails_only_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # what is compiled of a mutant must not stay
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # pytest starts four times as fast
    root, folder = tmp_path / "root", tmp_path / "copy"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    far, unseen = mutants_of("a.py", MODULE)
    copy = Copy(folder, 600, root)
    assert copy.fate(far) == "killed: tests/test_b.py::test_far"
    assert copy.fate(unseen) == "survived"
    assert (folder / "hopchain_etl/a.py").read_text() == (root / "hopchain_etl/a.py").read_text() == MODULE


def test_what_is_undecided_counts_as_not_killed() -> None:
    counts = Counter({"killed": 6, "survived": 1, "undecided": 1, "equivalent": 2})
    expected = {"mutants": 10, "killed": 6, "survived": 1, "undecided": 1, "equivalent": 2, "score": 0.75}
    assert figures(counts) == expected
    assert figures(Counter())["score"] is None
