from __future__ import annotations

from pathlib import Path

from benchmarks.nearest_tests import ImportGraph

ROOT = Path(__file__).parents[2]
FILES = {
    "hopchain_etl/__init__.py": "",
    "hopchain_etl/lake/__init__.py": "",
    "hopchain_etl/lake/lock.py": "import os",
    "hopchain_etl/lake/view.py": "def see():\n    from hopchain_etl.lake import lock",
    "hopchain_etl/web.py": "from hopchain_etl.lake.view import see",
    "tests/lake/test_lock.py": "",  # its own tests, even if they run it as a program only
    "tests/lake/test_view.py": "import hopchain_etl.lake.view",
    "tests/test_web.py": "import hopchain_etl.web",
    "tests/a/test_first.py": "import hopchain_etl.lake.view",
    "tests/a/test_other.py": "import os",
    "tests/a/test_helped.py": "from support.drawn import fill",
    "tests/support/drawn.py": "from hopchain_etl.web import see",
    "tests/suites/test_elsewhere.py": "import hopchain_etl.lake.lock",
}


def test_own_tests_come_first_then_those_with_the_fewest_imports_between(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = ImportGraph(tmp_path)
    assert graph.tests_of("hopchain_etl/lake/lock.py") == [
        "tests/lake/test_lock.py",
        "tests/lake/test_view.py",
        "tests/a/test_first.py",
        "tests/test_web.py",
        "tests/a/test_helped.py",
    ]
    assert graph.tests_of("hopchain_etl/web.py") == ["tests/test_web.py", "tests/a/test_helped.py"]
