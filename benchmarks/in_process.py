"""Measures a function in a process of its own, with the package of this checkout or of another one.

Two versions are compared in one run on one machine, in turns: times of two runs say nothing. Import ``measured``; this
file itself is what the process runs: ``in_process.py MODULE FUNCTION [ARGUMENT ...]``, with a MODULE beside it.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parents[1]


class Figures(NamedTuple):
    """What a call cost. ``processor`` seconds and ``peak_mb`` are with its child processes: of these, the largest."""

    seconds: float
    processor: float
    peak_mb: float
    result: Any


def measured(function: str, *arguments: object, checkout: Path = HERE) -> Figures:
    """Call ``module:function`` of ``benchmarks/`` with texts, using the package ``hopchain_etl`` of ``checkout``."""
    command = [sys.executable, __file__, *function.split(":"), *map(str, arguments)]
    ran = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(checkout)}, stdout=subprocess.PIPE, text=True, check=True
    )
    return Figures(*json.loads(ran.stdout.splitlines()[-1]))


def _processor() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def _main(module: str, function: str, *arguments: str) -> None:
    sys.path.insert(0, str(HERE))
    importlib.import_module("benchmarks")  # of this checkout, with its tests' helpers, whichever package is measured
    sys.path.remove(str(HERE))
    work = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    began, processor = time.perf_counter(), _processor()
    result = work(*arguments)
    seconds, processor = time.perf_counter() - began, _processor() - processor
    kib = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(Figures(seconds, processor, kib / 1024, result)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
