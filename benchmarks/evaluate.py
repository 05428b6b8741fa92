"""Does an evaluation say the truth, and how much does it cost? On models of known skill, and on many answers.

    python -m benchmarks.evaluate [--rounds 1000] [--answers 80000]

*Coverage*: scripted models with error rates by kind of reading sit an exam over drawn scenes, again and again; in how
many rounds does the interval contain the true difference, and does it still with questions in place of photos as the
units? *Level*: how often does McNemar's test find a difference between two models of the same skill? *Compare*: two
runs of many answers, read, compared and written as page, JSON and tables, in a process of its own. Processor time and
memory are that process's. *Ratio*: how much of a server's time an evaluation uses, see ``evaluate_client``; measure it
on a machine that is otherwise idle. *Slip*: of how many single-hop errors code names the hop, see ``slips``. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluate_client import ratio
from benchmarks.slips import slip_right as slips
from hopchain_etl.cli.evaluate_compare import compare
from hopchain_etl.evaluation.statistics import Clusters, accuracy, bootstrap, difference, mcnemar
from support.evaluation_runs import large
from support.peak_memory import peak_mib
from support.scripted_models import BASELINE, TRAINED, exam

SCENES, PHOTOS = 18, 120  # drawn, and in each round
SAMPLES = 8


def coverage(rounds: int) -> dict[str, float]:
    """Return in which share of rounds each interval contains the truth."""
    drawn, random = exam(SCENES), np.random.default_rng(0)
    before_truth, gain = drawn.truth(BASELINE), drawn.truth(TRAINED) - drawn.truth(BASELINE)
    covered: Counter[str] = Counter()
    for seed in range(rounds):
        photos, before, after = drawn.sit((BASELINE, TRAINED), PHOTOS, random)
        for unit, clusters in (("", Clusters(photos)), ("_unclustered", Clusters(np.arange(len(photos))))):
            covered[f"accuracy{unit}"] += accuracy(before, clusters).covers(before_truth)
            covered[f"difference{unit}"] += difference(after - before, clusters).covers(gain)
            covered[f"bootstrap{unit}"] += bootstrap(after - before, clusters, seed=seed, draws=1_000).covers(gain)
    return {name: round(count / rounds, 3) for name, count in covered.items()}


def level(rounds: int) -> dict[str, float]:
    """Return how often McNemar's test at .05 tells two models of the same skill apart."""
    drawn, random = exam(SCENES), np.random.default_rng(1)
    found: Counter[str] = Counter()
    for _ in range(rounds):
        photos, one, other = drawn.sit((BASELINE, BASELINE), PHOTOS, random)
        found["photos"] += mcnemar(Clusters(photos).sums(other - one)) < 0.05
        found["questions"] += mcnemar(other - one) < 0.05
    return {name: round(count / rounds, 3) for name, count in found.items()}


def compared(folder: Path, pipe: Connection) -> None:
    """Compare the runs in a folder as the command does; send processor seconds and the peak memory in MB."""
    started = time.process_time()
    compare(folder / "before", folder / "after", output=folder / "out", json_=True)
    pipe.send((time.process_time() - started, peak_mib() * 1.048576))


def compare_cost(answers: int) -> dict[str, float]:
    """Return the dearer of one answer a question and several: processor seconds and MB."""
    fresh, costs = multiprocessing.get_context("spawn"), []
    for samples in (1, SAMPLES):
        with tempfile.TemporaryDirectory() as folder:
            for seed, (name, rate) in enumerate((("before", 0.5), ("after", 0.6))):
                large(name, answers // samples, samples, rate, seed).write(Path(folder) / name)
            here, there = fresh.Pipe()
            process = fresh.Process(target=compared, args=(Path(folder), there))
            process.start()
            costs.append(here.recv())
            process.join()
    seconds, peaks = zip(*costs, strict=True)
    return {"compare_processor_s": round(max(seconds), 1), "peak_mb": round(max(peaks))}


def main() -> None:
    """Measure each part in turn; each prints its figures, and the last line has what issue and docs quote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--answers", type=int, default=80_000, help="of each of the two runs that are compared")
    parser.add_argument("--scenes", type=int, default=100, help="whose single-hop errors are to be named")
    wanted = parser.parse_args()
    figures: dict[str, Any] = compare_cost(wanted.answers)
    print(json.dumps(figures))
    covered = coverage(wanted.rounds)
    print(json.dumps(covered))
    levels = level(wanted.rounds)
    print(json.dumps(levels))
    figures |= {"coverage": covered["difference"], "coverage_unclustered": covered["difference_unclustered"]}
    figures |= {"mcnemar_level": levels["photos"], "mcnemar_level_unclustered": levels["questions"]}
    with tempfile.TemporaryDirectory() as folder:
        figures["ratio"] = ratio(Path(folder))["ratio"]
    named = slips(wanted.scenes)
    print(json.dumps(named))
    figures |= {"slip_right": named["slip_right"], "slip_right_answer_only": named["answer_only"]["right"]}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
