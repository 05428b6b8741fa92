"""A plugin of pytest that records which tests run which lines of the package: ``-p benchmarks.line_recorder``.

Writes one JSON file for each process of pytest into the folder of ``--lines``: ``lines`` (module, line, contexts),
``seconds`` of each test, and the tests that ``failed``. A context is a test, or a test file: what a fixture runs that
several tests share counts for all tests of the file. All cases of a test are one test.
"""

from __future__ import annotations

import functools
import gc
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

PACKAGE = "hopchain_etl"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lines``."""
    parser.addoption("--lines", type=Path, required=True, help="folder for what is recorded")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to record."""
    config.pluginmanager.register(LineRecorder(config))


class LineRecorder:
    """Records one process."""

    def __init__(self, config: pytest.Config) -> None:
        worker = getattr(config, "workerinput", {}).get("workerid", "main")
        self._root, self._to = config.rootpath, config.getoption("--lines") / f"{worker}.json"
        self._seconds: Counter[str] = Counter()
        self._failed: set[str] = set()
        self._file = ""
        self._caches: list[functools._lru_cache_wrapper[object]] = []
        self._coverage = Coverage(data_file=None, include=[f"{self._root}/{PACKAGE}/*"], config_file=False)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Record under the test's name."""
        self._empty_caches(file_of(item.nodeid))
        self._test = _test(item.nodeid)
        self._coverage.switch_context(self._test)
        started = time.monotonic()
        try:
            return (yield)
        finally:
            self._seconds[self._test] += time.monotonic() - started
            self._coverage.switch_context("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[object]:
        """Record under the name of the test file what is set up for several tests."""
        if fixturedef.scope == "function":
            return (yield)
        self._coverage.switch_context(file_of(self._test))
        try:
            return (yield)
        finally:
            self._coverage.switch_context(self._test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the tests that fail."""
        if report.failed:
            self._failed.add(_test(report.nodeid))

    def pytest_sessionfinish(self) -> None:
        """Write what was recorded."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {}
        for path in data.measured_files():
            by_line = data.contexts_by_lineno(path).items()
            lines[Path(path).relative_to(self._root).as_posix()] = {
                line: named for line, contexts in by_line if (named := [*filter(None, contexts)])
            }
        self._to.write_text(json.dumps({"lines": lines, "seconds": self._seconds, "failed": sorted(self._failed)}))

    def _empty_caches(self, file: str) -> None:
        """Empty the package's caches: else only the first test that asks for a value runs the lines that make it."""
        if file != self._file:  # to look for them takes longer than many a test
            self._file = file
            found = [one for one in gc.get_objects() if type(one) is functools._lru_cache_wrapper]
            self._caches = [one for one in found if str(getattr(one, "__module__", "")).startswith(PACKAGE)]
        for cache in self._caches:
            cache.cache_clear()


def _test(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.partition("::")[0]
