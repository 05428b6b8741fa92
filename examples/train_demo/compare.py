"""Last step, in the main environment: `hopchain evaluate compare` on the answers, the curves, and the figures.

    python -m examples.train_demo.compare [--small]

The last line is JSON.
"""

from __future__ import annotations

import json
import shutil
import sys

from examples.train_demo.curves import write_curves
from examples.train_demo.figures import figures, result_of
from examples.train_demo.plan import VARIANTS, Job, Plan, plan_of
from hopchain_etl.cli import app

NAMES = {"warm": "before", "full": "after", "half": "after-half", "single": "after-single", "blind": "blind"}
PAIRS = (("before", "after"), ("blind", "after"), ("after-half", "after"), ("after-single", "after"))


def main() -> None:
    """Compare the runs of the first seed, and print the figures of all."""
    plan = plan_of(sys.argv[1:])
    runs, seed = plan.folder / "runs", plan.seeds[0]
    shutil.rmtree(runs, ignore_errors=True)
    for kind, name in NAMES.items():
        file = Job(kind, seed, plan).file("jsonl")
        hopchain("evaluate", "run", plan.folder / "set", "--answers", file, "--out", runs / name)
    for before, after in PAIRS:
        print(f"== {before} against {after}, seed {seed}", flush=True)
        hopchain("evaluate", "compare", runs / before, runs / after, "--output", runs / f"{before}-{after}")
    check_curves(plan)
    found = figures(plan)
    (plan.folder / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    write_curves(plan, found, plan.folder / "curves")
    print(f"accuracy on {found['questions']} questions about {found['pictures']} held-out scenes, by seed:")
    for kind, by_seed in found["by_seed"].items():
        print(f"  {NAMES[kind]:>12}: {', '.join(f'{share:.1%}' for share in by_seed.values())}")
    print(f"  best constant: {found['headline']['best_constant']:.1%} (always {found['constant']})")
    for name, (value, low, high) in found["differences"].items():
        print(f"  {name}: {value:+.1%} ({low:+.1%} to {high:+.1%})")
    print("This is a tiny model on drawn scenes: it shows that the loop turns, and nothing about large models.")
    print(json.dumps(found["headline"]))


def check_curves(plan: Plan) -> None:
    """Raise ValueError unless the warm start's loss fell, and our reward was logged at each step of reinforcement."""
    for seed in plan.seeds:
        losses = [one["loss"] for one in result_of(plan, "warm", seed)["curve"]]
        fifth = max(1, len(losses) // 5)
        if not sum(losses[-fifth:]) < 0.9 * sum(losses[:fifth]):
            raise ValueError(f"the loss of warm-{seed} did not fall: {losses[0]:.2f} to {losses[-1]:.2f}")
        for kind in VARIANTS:
            rewards = [one["reward"] for one in result_of(plan, kind, seed)["curve"]]
            if len(rewards) != plan.reinforce_steps or not all(0 <= reward <= 1 for reward in rewards):
                raise ValueError(f"{kind}-{seed} logged other rewards than ours: {rewards}")


def hopchain(*words: object) -> None:
    """Run a command of ``hopchain`` in this process; raise SystemExit if it fails."""
    if code := app([str(word) for word in words], standalone_mode=False):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
