"""First step, in the main environment: draw the scenes, write the training set, and export it as for any training.

python -m examples.train_demo.prepare [--small]
"""

from __future__ import annotations

import json
import shutil
import sys

from examples.train_demo.data import worked, write_set
from examples.train_demo.plan import plan_of
from hopchain_etl.cli import app
from hopchain_etl.training_set.dataset import VARIANTS, TrainingSet


def main() -> None:
    """Write the set, its exports and the worked answers below the plan's folder, unless they are there.

    What another plan or other code left there is removed, results included.
    """
    plan = plan_of(sys.argv[1:])
    folder = plan.folder
    done = folder / "prepared.json"
    if done.exists() and done.read_text() == plan.state:
        print(f"the training set is in {folder} already")
        return
    shutil.rmtree(folder, ignore_errors=True)
    rows = write_set(folder / "set", plan.train, plan.validation)
    print(f"{rows} questions about {plan.train + plan.validation} scenes")
    _hopchain("verify", folder / "set")
    for variant in VARIANTS:
        out = folder / "exports" / variant
        _hopchain("export", folder / "set", "--format", "trl", "--variant", variant, "--out", out)
    columns = ("query_id", "instances", "hops", "answer", "hops_half", "answer_half", "hops_single", "answer_single")
    held = list(TrainingSet(folder / "set").select(*columns))
    texts = {variant: {row["query_id"]: worked(row, variant) for row in held} for variant in VARIANTS}
    (folder / "worked.json").write_text(json.dumps(texts))
    done.write_text(plan.state)


def _hopchain(*words: object) -> None:
    """Run a command of ``hopchain`` in this process; raise SystemExit if it fails."""
    print("hopchain", *words, flush=True)
    if code := app([str(word) for word in words], standalone_mode=False):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
