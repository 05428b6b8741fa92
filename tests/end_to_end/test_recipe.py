"""The steps of examples/recipe that need no trainer, run on a small drawn set; the others are looked at."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.training.preflight.facts import mixed_columns
from hopchain_etl.training_set.dataset import TrainingSet
from support.trainer_rows import VERL, verl_row
from support.training_sets import released, training_row

RECIPE = Path(__file__).parents[2] / "examples/recipe"
SCRIPTS = sorted(RECIPE.glob("[0-9]-*.sh"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released set with six training rows and two of validation, base data, and a model's folder."""
    folder = tmp_path_factory.mktemp("recipe")
    rows = [training_row(seed, number=seed) for seed in range(8)]
    for number, row in enumerate(rows):
        row |= {"band": "medium", "difficulty": 0.5, "split": "train" if number < 6 else "validation"}
    released(folder / "set", rows, range(8))
    base = [verl_row("base", number, b"b", graded=False) for number in range(4)]
    table = pa.Table.from_pylist(base, VERL).append_column("origin", pa.array(["web"] * 4))  # ours have no such column
    pq.write_table(table, folder / "base.parquet")
    (folder / "model").mkdir()
    return folder


def step(name: str, place: Path, *words: str, **variables: str) -> str:
    """Run a step as its user does; return what it prints."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    fixed = {
        "PATH": tools,
        "RELEASE": str(place / "set"),
        "MODEL": str(place / "model"),
        "WORK": str(place / "work"),
        "TOKENIZER": "",
    }
    (script,) = RECIPE.glob(f"[0-9]-{name}.sh")
    done = subprocess.run(
        [script, *words], env={**os.environ, **fixed, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers(place: Path, split: str, right: int, tries: int = 8) -> Path:
    """Write what a model said: the first question is always right, the second never, each other one ``right`` times."""
    lines = []
    for number, row in enumerate(TrainingSet(place / "set", split=split)):
        good = {0: tries, 1: 0}.get(number, right) if split == "train" else right
        for sample in range(tries):
            text = f"\\boxed{{{row['answer'] if sample < good else -1}}}"
            lines.append(json.dumps({"item_id": row["query_id"], "sample": sample, "text": text}))
    file = place / f"{split}-{right}.jsonl"
    file.write_text("\n".join(lines))
    return file


def test_the_steps_lead_from_a_release_to_a_comparison(place: Path) -> None:
    work = place / "work"
    step("prepare", place)
    assert json.loads((work / "export/export.json").read_text())["rows"] == 8
    step("restamp", place, "--answers", str(answers(place, "train", 2)))
    assert json.loads((work / "restamped/restamp.json").read_text())["dropped"] == {"all_right": 1, "all_wrong": 1}
    step("mix", place, BASE=str(place / "base.parquet"))
    rows: list[dict[str, Any]] = pq.read_table(work / "mixed/train.parquet").to_pylist()
    assert [row["extra_info"]["band"] for row in rows] == [None] * 4 + ["hard"] * 4
    assert [row["data_source"] for row in rows] == ["base"] * 4 + ["hopchain/default"] * 4
    assert (work / "mixed/validation.parquet").is_file()
    assert list(mixed_columns(sorted((work / "mixed").glob("*.parquet")))) == []  # as preflight is run again on the mix
    for name, right in (("base", 1), ("step200", 7)):
        step("evaluate", place, "--answers", str(answers(place, "validation", right)), NAME=name, STEP="200")
    step("compare", place, BEFORE="base", AFTER="step200")
    told = json.loads((work / "comparisons/base-step200/comparison.json").read_text())
    assert "comparison.html" in {one.name for one in (work / "comparisons/base-step200").iterdir()}
    assert told["headline"]["difference"]["value"] == 0.75


def test_a_mix_of_ours_alone_is_a_curriculum(place: Path, tmp_path: Path) -> None:
    step("prepare", place, WORK=str(tmp_path))
    step("mix", place, WORK=str(tmp_path))
    assert json.loads((tmp_path / "mixed/mix.json").read_text())["phases"][0]["order"] == "curriculum"


def test_preflight_gets_the_files_or_those_that_are_named(place: Path, tmp_path: Path) -> None:
    said = tmp_path / "python"
    said.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    said.chmod(0o755)
    words = step("preflight", place, "--rows", "5", PYTHON=str(said), TRAINER="swift").splitlines()
    assert words[:2] == ["-m", "hopchain_etl.training.preflight"]
    assert [Path(word).name for word in words if word.endswith(".jsonl")] == ["train.jsonl", "validation.jsonl"]
    assert words[-2:] == ["--rows", "5"]
    assert "--target" not in words
    words = step("preflight", place, "mixed.parquet", PYTHON=str(said), TARGET="paper").splitlines()
    assert words[words.index("--target") + 1] == "paper"
    assert [word for word in words if word.endswith("parquet")] == ["mixed.parquet"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_sound_and_says_what_it_needs(script: Path) -> None:
    text = script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "set -euo pipefail" in text
    # Every variable is quoted, given a default, or set in the script: an unset one would stop it half-way.
    used = set(re.findall(r"\$\{?([A-Za-z_]+)", text))
    known = set(re.findall(r"\b([A-Za-z_]+)=", text)) | set(re.findall(r"\$\{([A-Z_]+):?[-+?]", text))
    assert used - known == set()
    unset = {"PATH": os.environ["PATH"]}
    if needed := re.findall(r"\$\{([A-Z_]+):\?", text):
        done = subprocess.run([script], env=unset, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert needed[0] in done.stderr


def test_the_page_names_every_step() -> None:
    page = (RECIPE / "README.md").read_text()
    assert [script.name for script in SCRIPTS if f"examples/recipe/{script.name}" not in page] == []
