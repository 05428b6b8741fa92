"""Do the tests fail when the code is wrong? A sample of small changes to the code, each run against its tests.

    python -m benchmarks.mutants [--number 20] [--seed 0] [--limit 300] [--covering FILE] [hops lake/lock.py ...]

Draws so many mutants of each package (or module), the same ones for the same seed and code. Each is put into a copy of
the repository, never into the working tree. There the tests run that run the changed line: those of the module
(``tests/<package>/test_<module>.py``) first, then the quickest, until one fails or ``--limit`` seconds are over. Which
tests these are is recorded before, while all tests run once; ``--covering FILE`` keeps it for the next time. Tests that
start Airflow are left out. A mutant is killed if a test fails that passes without it, or if tests take several times as
long as without it. It is undecided if the time is over and no test has failed. Those in ``equivalent_mutants.toml``,
which nobody could tell from the code, are not run. Prints what became of each, the figures of each package and, as its
last line, those of all as JSON; ``score`` is the share of those killed among all that are not equivalent.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.covering_tests import CoveringTests, end
from benchmarks.line_recorder import PACKAGE
from benchmarks.mutate import Mutant, mutants_of
from hopchain_etl.concurrency import batched

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
PACKAGES = ("hops", "lake", "stages", "release", "annotation")
PATIENCE, AT_LEAST = 4, 60.0  # tests may take so many times as long as without a mutant, and so many seconds more
LONGEST = 3600.0  # seconds that a test may take without a mutant
NO_TESTS = 5  # pytest's exit code
AT_ONCE = 8  # test files that one pytest collects: the first of them should not wait for the import of all
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s:]+\.py(?:::\w+)*)", re.MULTILINE)


class Copy:
    """A copy of the repository's files as they are now, in which one module at a time is changed.

    ``limit``: the seconds that the tests of a mutant may take.
    """

    def __init__(self, folder: Path, limit: float, root: Path = ROOT) -> None:
        self.folder, self._limit = folder, limit
        self._passing: set[str] = set()  # tests that pass without any mutant
        self._failing: set[str] = set()  # tests that do not
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)

    def fate(self, mutant: Mutant, covering: CoveringTests) -> str:
        """Return what became of a mutant: killed, survived or undecided, and by which test."""
        files = covering.of(f"{PACKAGE}/{mutant.module}", mutant.lines)
        if not files:
            return "survived: no test runs it"
        end = time.monotonic() + self._limit
        for some in (files[:1], *batched(files[1:], AT_ONCE)):
            tests = [test for found, _ in some for test in found]
            patience = AT_LEAST + PATIENCE * sum(seconds for _, seconds in some)
            left = end - time.monotonic()
            try:
                failed = self._fails_only_with(mutant, tests, min(patience, left))
            except TimeoutError:
                return "undecided" if left < patience else f"killed: {tests[0]} and others take too long"
            if failed:
                return f"killed: {failed}"
        return "survived"

    def _fails_only_with(self, mutant: Mutant, tests: Sequence[str], limit: float) -> str | None:
        """Return the first test that fails with a mutant and passes without it."""
        while True:
            failed = self._run([test for test in tests if test not in self._failing], limit, mutant)
            if failed is None or failed in self._passing:
                return failed
            if self._run([failed], LONGEST) is None:
                self._passing.add(failed)
                return failed
            print(f"fails without any change, so it says nothing: {failed}", flush=True)
            self._failing.add(failed)

    @contextmanager
    def _changed(self, mutant: Mutant | None) -> Iterator[None]:
        if mutant is None:
            yield
            return
        path = self.folder / PACKAGE / mutant.module
        source = path.read_bytes()
        _write(path, mutant.changed(source))
        try:
            yield
        finally:
            _write(path, source)

    def _run(self, tests: Sequence[str], limit: float, mutant: Mutant | None = None) -> str | None:
        """Run tests up to the first failure; return that test, if any. Raises TimeoutError after ``limit`` seconds."""
        if limit <= 0:
            raise TimeoutError
        if not tests:
            return None
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), str(self.folder / "tests")])}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "--tb=no", "-rfE", *tests]
        with self._changed(mutant), tempfile.TemporaryFile("w+") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.DEVNULL}
            with subprocess.Popen(command, cwd=self.folder, env=env, start_new_session=True, **streams) as process:
                try:
                    code = process.wait(limit)
                except subprocess.TimeoutExpired:
                    end(process)
                    raise TimeoutError from None
            output.seek(0)
            named = _FAILED.search(output.read())
        if code in (0, NO_TESTS):
            return None
        return named[1] if named else tests[0]  # pytest names none if it could not even begin


def _write(path: Path, source: bytes) -> None:
    """Write a module, and remove what was compiled of it: Python compares only seconds and size, which may be equal."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()
    path.write_bytes(source)


def all_mutants(target: str) -> list[Mutant]:
    """Return every mutant of a package or module, such as ``hops`` or ``lake/lock.py``."""
    place = ROOT / PACKAGE / target
    paths = sorted(place.glob("*.py")) if place.is_dir() else [place]
    found = [
        one
        for path in paths
        for one in mutants_of(path.relative_to(ROOT / PACKAGE).as_posix(), path.read_text(encoding="utf-8"))
    ]
    if not found:
        raise ValueError(f"{place} has nothing to change")
    return found


def equivalent() -> dict[tuple[str, str, str], str]:
    """Return the keys of the mutants that behave as the code does, each with the reason."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(one["where"], one["old"], one["new"]): one["reason"] for one in listed}


def _covering(root: Path, kept: Path | None) -> CoveringTests:
    if kept and kept.exists():
        return CoveringTests.read(kept, root)
    print("recording which tests run which lines", flush=True)
    found = CoveringTests.record(root, "-n", "auto", "--dist", "loadfile")
    if kept:
        found.write(kept)
    return found


def figures(counts: Counter[str]) -> dict[str, float | None]:
    """Return how many mutants were killed and how many not, and the share of those killed (null of none)."""
    tried = counts.total() - counts["equivalent"]
    fates = {fate: counts[fate] for fate in ("killed", "survived", "undecided", "equivalent")}
    return {"mutants": counts.total(), **fates, "score": round(counts["killed"] / tried, 4) if tried else None}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("targets", nargs="*", default=PACKAGES, help="packages or modules of hopchain_etl")
    options.add_argument("--number", type=int, default=20, help="mutants of each")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--limit", type=float, default=300, help="seconds for the tests of a mutant")
    options.add_argument("--covering", type=Path, help="which tests run which lines; written if it does not exist")
    chosen = options.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by the tests, too
    known = equivalent()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder), chosen.limit)
        covering = _covering(Path(folder), chosen.covering)
        for target in chosen.targets:
            every = all_mutants(target)
            rng = random.Random(f"{chosen.seed} {target}")
            counts: Counter[str] = Counter()
            for mutant in rng.sample(every, min(chosen.number, len(every))):
                fate = "equivalent" if mutant.key in known else copy.fate(mutant, covering)
                counts[fate.partition(":")[0]] += 1
                print(f"{PACKAGE}/{mutant.module}:{mutant.line} in {mutant.where}  [{fate}]")
                print(f"- {mutant.old}\n+ {mutant.new}\n", flush=True)
            print(f"{target}: {json.dumps(figures(counts))}\n", flush=True)
            total += counts
    print(json.dumps(figures(total)))


if __name__ == "__main__":
    main()
