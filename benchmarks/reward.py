"""Gradings a second on one core, of completions as long as a reasoning model writes them.

Run it as ``python -m benchmarks.reward``. The last line is JSON: ``per_s`` through verl's adapter over a mix of right,
wrong, undeclared and hostile completions (the goal is at least 20,000), and the same for long ones alone.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence

from hopchain_etl.training_set.rewards.verl import compute_score

THOUGHT = "The word has 7 letters, and 3 numbers are lower down, so (7 + 12) × 3 = 57 so far. "
SECONDS = 1.0


def main() -> None:
    """Measure each kind of completion in turn, three times, and print the medians."""
    short = [
        ("\\boxed{57}", "57"),
        ("Therefore the answer is \\boxed{1,234}.", "1234"),
        ("<answer>58</answer>", "57"),
        ("I think it is 57.", "57"),
        ("\\boxed{\\frac{7}{2}}", "3.5"),
        ("<answer>twenty-four apples</answer>", "24"),
        ("\\boxed{" * 20, "57"),
    ]
    long = [(THOUGHT * 40 + said, answer) for said, answer in short]
    mixed = short + [(THOUGHT * 4 + said, answer) for said, answer in short]
    rounds = [(per_second(mixed), per_second(long)) for _ in range(3)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    print(json.dumps({"per_s": round(medians[0]), "per_s_of_3000_characters": round(medians[1])}))


def per_second(cases: Sequence[tuple[str, str]]) -> float:
    """Return gradings a second of processor time, so that other programs on the machine do not count."""
    started, done = time.process_time(), 0
    while time.process_time() - started < SECONDS:
        for completion, answer in cases:
            compute_score("hopchain/default", completion, answer)
        done += len(cases)
    return done / (time.process_time() - started)


if __name__ == "__main__":
    main()
