"""Exports: what becomes of every row, and what the files of each format hold."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hopchain_etl.cli import app
from hopchain_etl.imaging.vision_tokens import image_tokens
from hopchain_etl.training_set.dataset import TrainingSet
from hopchain_etl.training_set.export import ExportOptions, ExportResult, export
from hopchain_etl.training_set.export.formats import FORMATS, WITH_RESPONSE
from hopchain_etl.training_set.export.program import hops_of
from hopchain_etl.training_set.export.tokens import TEMPLATE_TOKENS, estimate, tokenizer_at
from hopchain_etl.training_set.images import NotPulledError
from hopchain_etl.training_set.rewards import grade
from hopchain_etl.training_set.rewards.process import process_score
from support.training_sets import INSTRUCTION, half_program, released, training_row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rows: one without variants, one that quotes a marker, one of validation, one that nobody has answered."""
    rows = [training_row(seed) for seed in range(6)]
    for row in rows:
        row |= {"n_hops": 5, **half_program(row)}
    rows[5] |= {"hops_half": None, "expr_half": None}
    rows[0] |= dict.fromkeys(("question_half", "answer_half", "question_single", "answer_single"))
    rows[1]["question"] += ' It says "<image>".'
    rows[2] |= {"split": "validation", "n_hops": 6}
    rows[3]["policy"] = "unreviewed"
    rows[4]["policy"] = "3 of 4"
    return released(tmp_path_factory.mktemp("set"), rows, range(6))


def read(out: Path, form: str, split: str = "train") -> list[dict[str, Any]]:
    if form in ("swift", "sft-jsonl"):
        return [json.loads(line) for line in (out / f"{split}.jsonl").read_text().splitlines()]
    rows: list[dict[str, Any]] = pq.read_table(out / f"{split}.parquet").to_pylist()
    return rows


def run(folder: Path, out: Path, form: str = "verl", **wanted: Any) -> ExportResult:
    return export(folder, out, ExportOptions(form, **wanted))


@pytest.mark.parametrize("form", FORMATS)
def test_every_row_ends_in_a_file_or_under_a_reason(folder: Path, tmp_path: Path, form: str) -> None:
    done = run(folder, tmp_path, form, variant="half")
    dropped = {"no_half": 1, **({"no_reasoning": 1} if form in WITH_RESPONSE else {})}
    assert (done.read, done.rows, done.dropped, done.filtered) == (6, 6 - sum(dropped.values()), dropped, 0)
    assert len(read(tmp_path, form)) + len(read(tmp_path, form, "validation")) == done.rows
    told = json.loads((tmp_path / "export.json").read_text())
    assert (told["format"], told["variant"], told["dropped"]) == (form, "half", dropped)
    assert set(told["files"]) < {path.name for path in tmp_path.iterdir()}


def test_a_marker_in_a_question_is_no_second_image(folder: Path, tmp_path: Path) -> None:
    assert run(folder, tmp_path).dropped == {"reserved_word": 1}
    assert all(row["prompt"][0]["content"].count("<image>") == 1 for row in read(tmp_path, "verl"))


def test_filters_and_splits(folder: Path, tmp_path: Path) -> None:
    done = run(folder, tmp_path, split="validation", filters=("n_hops >= 6",))
    assert (done.read, done.rows, done.filtered, done.files) == (1, 1, 0, ["validation.parquet"])
    done = run(folder, tmp_path, filters=("n_hops >= 6",))
    assert (done.read, done.rows, done.filtered) == (1, 1, 5)


@pytest.mark.parametrize("form", FORMATS)
def test_a_split_of_which_no_row_is_left_has_no_file(folder: Path, tmp_path: Path, form: str) -> None:
    run(folder, tmp_path, form)
    command = ["export", str(folder), "-f", form, "-o", str(tmp_path), "--filter", "n_hops >= 6"]
    told = CliRunner().invoke(app, command)
    assert (told.exit_code, "no row of train is left" in told.stderr) == (0, True)
    assert not list(tmp_path.glob("train.*"))  # nor that of the export before
    assert len(read(tmp_path, form, "validation")) == 1
    done = json.loads((tmp_path / "export.json").read_text())
    assert (len(done["files"]), done["empty"]) == (1, ["train"])
    assert run(folder, tmp_path, form, filters=("n_hops >= 7",)).empty == ["train", "validation"]


def test_verl(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path)
    rows = {row["query_id"]: row for row in TrainingSet(folder)}
    for number, made in enumerate(read(tmp_path, "verl")):
        row = rows[made["extra_info"]["query_id"]]
        assert made["data_source"] == "hopchain/default"
        assert made["prompt"] == [{"role": "user", "content": f"<image>{row['question']}\n{INSTRUCTION}"}]
        assert made["images"] == [{"bytes": row.image_bytes()}]
        assert made["reward_model"] == {"style": "rule", "ground_truth": row["answer"]}
        assert made["extra_info"]["index"] == number
        assert made["extra_info"]["human_verified"] == (row["policy"] != "unreviewed")


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "verl"])
def test_every_row_says_whose_it_is(folder: Path, tmp_path: Path, form: str) -> None:
    run(folder, tmp_path, form)
    assert {row["data_source"] for row in read(tmp_path, form)} == {"hopchain/default"}


def as_stored(hops: Any) -> Any:
    """Hops with their boxes as 32-bit numbers."""
    return hops and [{**hop, "boxes": np.float32(hop["boxes"]).tolist()} for hop in hops]


def hops_in(row: dict[str, Any], form: str) -> Any:
    if form == "easyr1":
        return json.loads(row["hops"])
    return row["extra_info"]["hops"] if form == "verl" else row["hops"]


@pytest.mark.parametrize("form", FORMATS)
def test_hops_come_only_where_they_are_asked_for_and_are_the_same_everywhere(
    folder: Path, tmp_path: Path, form: str
) -> None:
    for variant in ("full", "half"):
        run(folder, tmp_path / "with", form, variant=variant, with_hops=True)
        run(folder, tmp_path / "without", form, variant=variant)
        rows = {row["query_id"]: row for row in TrainingSet(folder)}
        for made, bare in zip(read(tmp_path / "with", form), read(tmp_path / "without", form), strict=True):
            made_facts, bare_facts = (row["extra_info"] if form == "verl" else row for row in (made, bare))
            assert "hops" not in bare_facts
            hops = hops_of(rows[made_facts["query_id"]], variant)
            assert as_stored(hops_in(made, form)) == as_stored(hops)


def test_easyr1(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "easyr1")
    rows = {row["query_id"]: row for row in TrainingSet(folder)}
    for made in read(tmp_path, "easyr1"):
        row = rows[made["query_id"]]
        assert made["problem"] == f"<image>{row['prompt']}"
        assert (made["answer"], made["images"]) == (row["answer"], [{"bytes": row.image_bytes(), "path": None}])


@pytest.mark.parametrize("form", sorted(WITH_RESPONSE))
def test_a_cold_start_is_graded_right_and_states_every_step(folder: Path, tmp_path: Path, form: str) -> None:
    run(folder, tmp_path, form, with_hops=True)
    made = read(tmp_path, form)
    assert len(made) == 4
    for row in made:
        asked, said = row["messages"]
        assert (asked["role"], said["role"]) == ("user", "assistant")
        assert asked["content"].startswith("<image>Find" if form == "sft-jsonl" else "Find")
        assert said["content"].startswith("Step 1: find the car.\nStep 2: the number nearest to the car of step 1 is ")
        assert grade(said["content"], row["answer"]).correct
        assert process_score(said["content"], row["hops"]) == 1.0
    if form == "sft-jsonl":
        assert all((tmp_path / image).is_file() for row in made for image in row["images"])


def test_the_half_is_paired_with_its_query_and_nobody_has_verified_it(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "full", "trl")
    run(folder, tmp_path / "half", "trl", variant="half")
    full = {row["query_id"]: row for row in read(tmp_path / "full", "trl")}
    halves = {row["query_id"]: row for row in read(tmp_path / "half", "trl")}
    assert len(full.keys() & halves.keys()) == 3
    for name in full.keys() & halves.keys():
        assert full[name]["prompt"] != halves[name]["prompt"]
        assert full[name]["images"] == halves[name]["images"]
        assert halves[name]["variant"] == "half"
        assert halves[name]["human_verified"] is False


def test_swift_names_images_that_lie_beside_it(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "swift")
    rows = {row["query_id"]: row for row in TrainingSet(folder)}
    for made in read(tmp_path, "swift"):
        (image,) = made["images"]
        assert (tmp_path / image).read_bytes() == rows[made["query_id"]].image_bytes()
        assert made["messages"][0]["content"].startswith("<image>Find")
        assert grade(f"\\boxed{{{made['answer']}}}", rows[made["query_id"]]["answer"]).correct


def test_prompts_over_the_limit_are_left_out_with_the_image_counted(folder: Path, tmp_path: Path) -> None:
    free = run(folder, tmp_path, "hf")
    row = read(tmp_path, "hf")[0]
    assert row["prompt_tokens"] == image_tokens(320, 240) + estimate(row["prompt"])
    assert run(folder, tmp_path, "hf", max_prompt_tokens=free.longest_prompt).rows == free.rows
    assert run(folder, tmp_path, "hf", max_prompt_tokens=free.longest_prompt - 1).dropped["prompt_too_long"] > 0
    small = run(folder, tmp_path, "hf", max_pixels=32 * 32 * 70)
    assert small.longest_prompt < free.longest_prompt
    assert run(folder, tmp_path, "hf", max_prompt_tokens=10).rows == 0
    assert not list(tmp_path.glob("*.parquet"))


def test_the_same_set_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for form in FORMATS:
        run(folder, tmp_path / "a" / form, form)
        run(folder, tmp_path / "b" / form, form)
    files = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    assert len(files) >= len(FORMATS)
    assert files == {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.*")}
    assert not [name for name in files if name.suffix == ".part"]


def test_what_cannot_be_exported_is_told_and_leaves_no_half_file(folder: Path, tmp_path: Path) -> None:
    for wrong in (ExportOptions("jax"), ExportOptions("verl", variant="third"), ExportOptions("verl", split="test")):
        with pytest.raises(ValueError, match=r"no (format|variant|split)"):
            export(folder, tmp_path, wrong)
    with pytest.raises(ValueError, match="condition"):
        run(folder, tmp_path, filters=("rm -rf",))
    with pytest.raises(NotPulledError, match=r"no training set below .*; clone the registry"):
        run(tmp_path, tmp_path / "out")
    images = folder / "training_set/images/part-00001.parquet"
    images.rename(images.with_suffix(".gone"))
    try:
        with pytest.raises(NotPulledError, match=r"dvc pull training_set/images/part-00001\.parquet"):
            run(folder, tmp_path)
    finally:
        images.with_suffix(".gone").rename(images)
    assert not list(tmp_path.glob("*.parquet"))
    assert not list(tmp_path.glob(".*"))


def test_a_tokenizer_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        tokenizer_at(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="tokenizer"):
        tokenizer_at(tmp_path)
    assert estimate("") == TEMPLATE_TOKENS


def test_the_command(folder: Path, tmp_path: Path) -> None:
    command = ["export", str(folder), "--out", str(tmp_path), "--format", "trl", "--variant", "single"]
    shown = CliRunner().invoke(app, [*command, "--filter", "n_hops >= 5", "--json"], catch_exceptions=False)
    assert shown.exit_code == 0
    told = json.loads(shown.stdout)
    assert (told["rows"], told["dropped"]) == (5, {"no_single": 1})
    shown = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "no_single" in shown.stdout
    assert CliRunner().invoke(app, ["export", str(folder)]).exit_code == 2


def test_the_commands_of_the_documentation_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs/using-releases.md").read_text()
    commands = re.findall(r"^hopchain (export .+)$", page, re.M)
    assert {shlex.split(one)[3] for one in commands} == set(FORMATS)
    (tmp_path / "set").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
        assert done.exit_code == 0, done.output
    (block,) = re.findall(r"```python\n(from hopchain_etl.training_set.dataset .+?)```", page, re.S)
    exec(block, {})
