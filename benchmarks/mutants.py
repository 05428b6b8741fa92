"""Do the tests fail when the code is wrong? A sample of small changes to the code, each run against its tests.

    python -m benchmarks.mutants [--number 20] [--seed 0] [hops lake/lock.py ...]

Draws so many mutants of each package (or module), the same ones for the same seed and code. Each is put into a copy of
the repository, never into the working tree. There the tests of its module run (``tests/<package>/test_<module>.py``),
and if they pass, the others of its folder. A mutant is killed if a test fails, or if the tests take several times as
long as without it. Those in ``equivalent_mutants.toml``, which nobody could tell from the code, are not run. Prints
the survivors and, as its last line, JSON; ``score`` is the share of those killed among the others.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.mutate import Mutant, mutants_of

ROOT = Path(__file__).parents[1]
PACKAGE = "hopchain_etl"
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
PACKAGES = ("hops", "lake", "stages", "release", "annotation")
PATIENCE, SLACK = 4, 60  # a run may take so many times as long as without a mutant, and so many seconds more

Tests = tuple[str, ...]  # arguments for pytest


class Copy:
    """A copy of the repository's files as they are now, in which one module at a time is changed."""

    def __init__(self, folder: Path, *, own_only: bool) -> None:
        self.folder, self._own_only = folder, own_only
        self._limits: dict[Tests, float] = {}
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def tests_of(self, module: str) -> Iterator[Tests]:
        """Yield the tests of a module, then the others of its folder."""
        own, others = f"tests/{Path(module).parent}/test_{Path(module).stem}.py", f"tests/{Path(module).parent}"
        if (self.folder / own).is_file():
            yield (own,)
            if not self._own_only:
                yield (others, f"--ignore={own}")
        else:
            yield (others,)

    def fate(self, mutant: Mutant) -> str:
        """Return what became of a mutant: killed, or survived, and by what."""
        for tests in self.tests_of(mutant.module):
            limit = self._limit(tests)
            with self._changed(mutant):
                code = self._run(tests, limit)
            if code is None:
                return f"killed: {tests[0]} takes too long"
            if code:
                return f"killed: {tests[0]}"
        return "survived"

    def _limit(self, tests: Tests) -> float:
        """Return how many seconds some tests may take; RuntimeError if they fail without any mutant."""
        if tests not in self._limits:
            started = time.monotonic()
            if self._run(tests, 3600):
                raise RuntimeError(f"without a mutant, these tests already fail: {' '.join(tests)}")
            self._limits[tests] = PATIENCE * (time.monotonic() - started) + SLACK
        return self._limits[tests]

    @contextmanager
    def _changed(self, mutant: Mutant) -> Iterator[None]:
        path = self.folder / PACKAGE / mutant.module
        source = path.read_bytes()
        compiled = list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
        for one in compiled:  # a file that changes within a second to the same size would not be compiled again
            one.unlink()
        path.write_bytes(mutant.changed(source))
        try:
            yield
        finally:
            path.write_bytes(source)

    def _run(self, tests: Tests, limit: float) -> int | None:
        """Run some tests up to the first failure; return the exit code, or None if they took longer than ``limit``."""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), str(self.folder / "tests")])}
        command = [sys.executable, "-m", "pytest", "-x", "--no-header", "--tb=no", *tests]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=self.folder, env=env, start_new_session=True, **quiet) as process:
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)  # fixtures end what they started
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        return None


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


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("targets", nargs="*", default=PACKAGES, help="packages or modules of hopchain_etl")
    options.add_argument("--number", type=int, default=20, help="mutants of each")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--own", action="store_true", help="only a module's own tests: quick, and a lower bound")
    chosen = options.parse_args()
    known = equivalent()
    counts: Counter[str] = Counter()
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder), own_only=chosen.own)
        for target in chosen.targets:
            every = all_mutants(target)
            rng = random.Random(f"{chosen.seed} {target}")
            for mutant in rng.sample(every, min(chosen.number, len(every))):
                fate = "equivalent" if mutant.key in known else copy.fate(mutant)
                counts[fate.partition(":")[0]] += 1
                print(f"{mutant.module}:{mutant.line}: {mutant.new}  [{fate}]", flush=True)
                if fate == "survived":
                    survivors.append(mutant)
    for mutant in survivors:
        print(f"\nsurvived: {PACKAGE}/{mutant.module}:{mutant.line} in {mutant.where}")
        print(f"- {mutant.old}\n+ {mutant.new}")
    tried = counts["killed"] + counts["survived"]
    score = round(counts["killed"] / tried, 4) if tried else None
    figures = {
        "mutants": counts.total(),
        "killed": counts["killed"],
        "equivalent": counts["equivalent"],
        "score": score,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
