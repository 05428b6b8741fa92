"""``python -m fuzz SECONDS [TARGET]``: all targets for equal shares of the time, or one in this process.

An input that fails, crashes or hangs lies in ``.fuzz/`` afterwards. Mend the fault, then move the file to
``tests/data/fuzz/TARGET/`` under a name that says what it was.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fuzz import TARGETS
from fuzz.target import stored

LAST = Path(".fuzz")  # the input that each target is at
MEMORY = 8 << 30  # bytes of address space
PATIENCE = 600.0  # seconds after its time until a target counts as hanging
EXAMPLES = 100  # between two looks at the clock


def one(name: str, seconds: float) -> None:
    """Explore a target for a time; raise what its simplest failing input does."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    LAST.mkdir(exist_ok=True)
    tried = 0

    def note(value: Any) -> None:
        nonlocal tried
        tried += 1
        suffix, data = stored(value)
        (LAST / f"{name}{suffix}").write_bytes(data)

    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        TARGETS[name].explore(EXAMPLES, note)
    for path in LAST.glob(f"{name}.*"):
        path.unlink()
    print(f"{name}: {tried:,} inputs, no finding", flush=True)


def every(seconds: float) -> int:
    """Explore all targets, each in a process of its own; return how many had a finding."""
    share = seconds / len(TARGETS)
    found = 0
    for name in TARGETS:
        try:
            ended = subprocess.run([sys.executable, "-m", "fuzz", str(share), name], timeout=share + PATIENCE)
            problem = "" if ended.returncode == 0 else f"exit status {ended.returncode}"
        except subprocess.TimeoutExpired:
            problem = "hangs"
        if problem:
            found += 1
            print(f"{name}: {problem}; the input is {LAST}/{name}.*", flush=True)
    print(f"{len(TARGETS)} targets, {found} with a finding")
    return found


if __name__ == "__main__":
    if len(sys.argv) > 2:
        one(sys.argv[2], float(sys.argv[1]))
    else:
        sys.exit(bool(every(float(sys.argv[1]))))
