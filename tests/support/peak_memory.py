"""How much memory a process has needed at most."""

from __future__ import annotations

from pathlib import Path


def peak_mib() -> float:
    """Return this process's peak resident memory in MiB. Not ``ru_maxrss``: that begins with what the parent had."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
