"""What is found in a file, whatever the trainer: each check with a trainer that is scripted to fail it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hopchain_etl.training.preflight.checks import Limits, Opened, PreflightError, Prompt, Report, preflight
from hopchain_etl.training.preflight.command import told
from hopchain_etl.training_set.rewards.trl import accuracy_reward
from support.trainer_rows import VERL, verl_row

TOKENS = 80  # of 320 x 240 px


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (320, 240)).save(out, "PNG")
    return out.getvalue()


class Scripted:
    """A trainer that does as it is told; its rewards are ours."""

    name, suffix = "Scripted", ".parquet"

    def __init__(self, **told: Callable[..., Any]) -> None:
        self.told = told
        self.batches: list[list[int]] = []
        self.golds: list[str] = []

    def open(self, file: Path, max_pixels: int) -> Opened:
        self.max_pixels = max_pixels
        self.golds = [row["reward_model"]["ground_truth"] for row in pq.read_table(file).to_pylist()]
        self.told.get("open", lambda: None)()
        return self

    def __len__(self) -> int:
        return int(self.told.get("rows", lambda: len(self.golds))())

    def prompt(self, row: int) -> Prompt:
        made: Prompt = self.told.get("prompt", lambda _: Prompt(100, TOKENS))(row)
        return made

    def scores(self, row: int, completions: Sequence[str]) -> list[float | None]:
        given: list[float | None] = self.told.get("scores", self._ours)(row, completions)
        return given

    def _ours(self, row: int, completions: Sequence[str]) -> list[float | None]:
        return list(accuracy_reward(completions, [self.golds[row]] * len(completions)))

    def collate(self, rows: Sequence[int]) -> None:
        self.batches.append(list(rows))
        self.told.get("collate", lambda: None)()


def fail(*_: object) -> Any:
    raise RuntimeError("the trainer's own  words")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [verl_row("hops", number, picture()) for number in range(6)]
    pq.write_table(pa.Table.from_pylist(rows, VERL), tmp_path / "train.parquet")
    return tmp_path / "train.parquet"


def found(report: Report) -> list[tuple[str, int | None]]:
    return [(one.check, one.row) for one in report.findings]


def test_good_rows_are_counted_and_make_a_batch(file: Path) -> None:
    trainer = Scripted()
    advanced: list[int] = []
    report = preflight(trainer, [file], Limits(max_prompt_tokens=100), advanced.append)
    assert found(report) == []
    assert (report.rows, report.longest, sum(advanced)) == (6, 100, 6)
    assert trainer.batches == [[0, 1, 2, 3]]
    assert report.to_json()["passed"] is True


@pytest.mark.parametrize(
    ("told_so", "expected", "words"),
    [
        ({"open": fail}, [("load", None)], "RuntimeError: the trainer's own words"),
        ({"rows": lambda: 5}, [("load", None)], "keeps 5 of 6 rows"),
        ({"collate": fail}, [("batch", 0)], "rows 0, 1, 2, 3 make no batch"),
        ({"prompt": fail}, [("load", row) for row in range(6)], "makes no prompt"),
        ({"prompt": lambda row: Prompt(100 + (row == 4), TOKENS)}, [("length", 4)], "101 tokens, 80 of them"),
        ({"prompt": lambda row: Prompt(90, TOKENS - (row == 2))}, [("image tokens", 2)], "79 tokens, and the export"),
        ({"scores": lambda row, texts: fail() if row == 3 else [1.0, 0, 0, 0]}, [("reward", 3)], "the reward fails"),
        ({"scores": lambda *_: [1.0, 0, 0.5, 0]}, [("reward", row) for row in range(6)], "a truncated answer scores"),
        (
            {"scores": lambda *_: [1.0, None, 0, 0]},
            [("reward", row) for row in range(6)],
            "an empty answer scores None",
        ),
        ({"scores": lambda *_: [1.0, 0, 0, 1]}, [("reward", row) for row in range(6)], "gold + 1, 1, scores 1"),
    ],
)
def test_each_fault_is_named_with_its_row(
    told_so: dict[str, Any], expected: list[tuple[str, int | None]], words: str, file: Path
) -> None:
    report = preflight(Scripted(**told_so), [file], Limits(max_prompt_tokens=100))
    assert found(report) == expected
    assert words in report.findings[0].problem
    assert all(one.file == str(file) and one.remedy for one in report.findings)
    assert words in told(report)


def test_faults_of_rows_themselves_are_named(tmp_path: Path) -> None:
    rows = [verl_row("hops", number, picture()) for number in range(5)]
    rows[0]["images"] = [{"bytes": picture()[:50]}]
    rows[1]["images"] = [{"bytes": None}]
    rows[2]["images"] = []
    rows[3]["reward_model"]["ground_truth"] = ""
    file = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows, VERL), file)
    assert [one for one in found(preflight(Scripted(), [file], Limits())) if one[0] == "image"] == [
        ("image", 0), ("image", 1), ("image", 2),
    ]  # fmt: skip
    assert ("reward", 3) in found(preflight(Scripted(), [file], Limits()))


def test_answers_are_held_against_the_release(file: Path) -> None:
    answers = {("hops-000001", "full"): "1", ("hops-000002", "full"): "7", ("hops-000003", "half"): "9"}
    report = preflight(Scripted(), [file], Limits(answers=answers))
    assert found(report) == [("reward", 2)]
    assert "its answer is '2', and the release says '7'" in report.findings[0].problem


@pytest.fixture
def base(tmp_path: Path) -> Path:
    rows = [verl_row("base", number, picture(), graded=False) for number in range(2)]
    pq.write_table(pa.Table.from_pylist(rows, VERL), tmp_path / "base.parquet")
    return tmp_path / "base.parquet"


def test_rows_that_no_reward_grades_are_named(base: Path) -> None:
    report = preflight(Scripted(scores=lambda row, _: [None, None] if row else [0.0, None]), [base], Limits())
    assert found(report) == [("reward", 1)]
    assert "no reward grades it" in report.findings[0].problem
    assert "others" in report.findings[0].remedy


def test_other_data_needs_no_exact_answer_but_a_reward_that_answers(base: Path) -> None:
    file = base
    report = preflight(Scripted(scores=lambda *_: [None, 0.3]), [file], Limits())
    assert (found(report), report.others) == ([], 2)
    assert found(preflight(Scripted(scores=fail), [file], Limits())) == [("reward", 0), ("reward", 1)]


def test_the_export_says_what_the_limits_are(file: Path) -> None:
    (file.parent / "export.json").write_text(json.dumps({"max_prompt_tokens": 99, "max_pixels": 40_000}))
    trainer = Scripted()
    checks = {check for check, _ in found(preflight(trainer, [file], Limits()))}
    assert checks == {"length", "image tokens"}
    assert trainer.max_pixels == 40_000
    assert found(preflight(Scripted(), [file], Limits(max_prompt_tokens=100, max_pixels=10**6))) == []


def test_files_with_other_columns_are_named(file: Path, tmp_path: Path) -> None:
    other = VERL.remove(VERL.get_field_index("ability"))
    rows = [verl_row("more", 1, picture())]
    del rows[0]["ability"]
    pq.write_table(pa.Table.from_pylist(rows, other), tmp_path / "other.parquet")
    report = preflight(Scripted(), [file, tmp_path / "other.parquet"], Limits())
    assert [(one.check, one.file) for one in report.findings] == [("schema", str(tmp_path / "other.parquet"))]
    assert "column ability is no such column; in" in report.findings[0].problem


def test_files_of_another_split_may_have_other_columns(file: Path, tmp_path: Path) -> None:
    table = pq.read_table(file)
    pq.write_table(table.append_column("more", pa.array(range(6))), tmp_path / "validation.parquet")
    assert found(preflight(Scripted(), [file, tmp_path / "validation.parquet"], Limits())) == []


@pytest.mark.parametrize("broken", ["train", "export"])
def test_a_broken_file_is_named_and_the_others_are_checked(broken: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other/train.parquet"
    other.write_bytes(file.read_bytes()[:-9] if broken == "train" else file.read_bytes())
    (tmp_path / "other/export.json").write_text("{" if broken == "export" else "{}")
    report = preflight(Scripted(), [other, file], Limits())
    assert [(one.check, one.file, one.row) for one in report.findings] == [("load", str(other), None)]
    assert report.rows == 6


def test_a_part_is_drawn_and_the_same_each_time(file: Path) -> None:
    seen: list[int] = []
    trainer = Scripted(prompt=lambda row: seen.append(row) or Prompt(1, TOKENS))
    for _ in range(2):
        assert preflight(trainer, [file], Limits(rows=3)).rows == 3
    assert seen[:3] == seen[3:] == sorted(set(seen))


def test_what_is_no_file_of_the_trainer_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match=r"gone\.parquet is no \.parquet file"):
        preflight(Scripted(), [tmp_path / "gone.parquet"], Limits())
    pq.write_table(pa.Table.from_pylist([], VERL), file)
    with pytest.raises(PreflightError, match="there are no rows"):
        preflight(Scripted(), [file], Limits())
