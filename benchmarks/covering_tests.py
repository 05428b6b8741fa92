"""Which tests run a line of the package: recorded while all of them run once."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks.line_recorder import PACKAGE, file_of

TESTS = "tests"
_PASSED, _SOME_FAILED = 0, 1  # exit codes of pytest


@dataclass(frozen=True)
class CoveringTests:
    """Which tests run which lines. Paths are relative to the repository's root.

    ``lines``: for each module and line the tests, and the test files of which all tests share what runs it.
    ``seconds``: of each test that passes. ``digests``: of the modules that were recorded.
    """

    lines: dict[str, dict[int, set[str]]]
    seconds: dict[str, float]
    digests: dict[str, str]

    @classmethod
    def record(cls, root: Path, *options: str) -> CoveringTests:
        """Run all tests below a root, but for those that start Airflow, with ``options`` of pytest."""
        paths = [str(root), str(root / TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        with tempfile.TemporaryDirectory() as folder:
            # One word for the folder: pytest would take a second one for a test, and look there for its settings.
            options = (f"--lines={folder}", "-m", "not airflow", "--tb=no", *options)
            command = [sys.executable, "-m", "pytest", "-p", "benchmarks.line_recorder", *options]
            with subprocess.Popen(command, cwd=root, env=env, start_new_session=True) as process:
                try:
                    code = process.wait()
                except KeyboardInterrupt:
                    end(process)
                    raise
            if code not in (_PASSED, _SOME_FAILED):
                raise ValueError(f"the tests could not be recorded: pytest ended with {code}")
            return cls._merged(root, [json.loads(path.read_bytes()) for path in Path(folder).glob("*.json")])

    @classmethod
    def _merged(cls, root: Path, recorded: Iterable[dict[str, dict[str, dict[str, list[str]]]]]) -> CoveringTests:
        lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        seconds: dict[str, float] = {}
        for one in recorded:
            for module, found in one["lines"].items():
                for line, contexts in found.items():
                    lines[module][int(line)].update(contexts)
            seconds |= {test: float(took) for test, took in one["seconds"].items() if test not in one["failed"]}
        return cls(lines, seconds, {module: _digest(root / module) for module in lines})

    def write(self, path: Path) -> None:
        """Write this as JSON."""
        names = sorted({name for module in self.lines.values() for found in module.values() for name in found})
        number = {name: at for at, name in enumerate(names)}  # the names are long, and each runs many lines
        lines = {
            module: {line: sorted(number[name] for name in found) for line, found in at.items()}
            for module, at in self.lines.items()
        }
        document = {"names": names, "lines": lines, "seconds": self.seconds, "digests": self.digests}
        path.write_text(json.dumps(document), encoding="utf-8")

    @classmethod
    def read(cls, path: Path, root: Path) -> CoveringTests:
        """Read what ``write`` wrote; raise ValueError if a module was changed since then."""
        document = json.loads(path.read_bytes())
        names = document["names"]
        for module, digest in document["digests"].items():
            if not (root / module).is_file() or _digest(root / module) != digest:
                raise ValueError(f"{path}: {module} has changed since the tests were recorded; delete that file")
        lines = {
            module: {int(line): {names[at] for at in found} for line, found in at_line.items()}
            for module, at_line in document["lines"].items()
        }
        return cls(lines, document["seconds"], document["digests"])

    def of(self, module: str, lines: Iterable[int]) -> list[tuple[list[str], float]]:
        """Return the tests that run one of some lines, by test file, and the seconds that they take in all.

        The module's own file comes first, then the quickest. Without lines, and if no test runs them, these are all
        tests that run any line of the module.
        """
        ran = self.lines.get(module, {})
        found = set().union(*(ran.get(line, set()) for line in lines)) or set().union(*ran.values())
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in self.seconds:
            file = file_of(test)
            if test in found or file in found:
                by_file[file].append(test)
        place = PurePosixPath(module).relative_to(PACKAGE)
        own = (TESTS / place.with_name(f"test_{place.name}")).as_posix()
        groups = [(file, tests, sum(self.seconds[test] for test in tests)) for file, tests in by_file.items()]
        groups.sort(key=lambda group: (group[0] != own, group[2], group[0]))
        return [(tests, seconds) for _, tests, seconds in groups]


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a pytest that is a session of its own; kill it, and what it started, if that takes too long."""
    process.send_signal(signal.SIGINT)  # fixtures end what they started
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
