"""``hopchain evaluate export`` and ``import`` as they are typed, and the warning that ``compare`` shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hopchain_etl.cli import app, main
from support.evaluated import a_set
from support.harness_logs import lmms_log, sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def evaluate(*command: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, command)])


def test_an_export_names_the_tasks(folder: Path, tmp_path: Path) -> None:
    done = evaluate("export", folder, "--out", tmp_path, "--harness", "vlmevalkit", "--variant", "half", "--json")
    assert json.loads(done.stdout) == {"tasks": {"hopchain_default_validation_half": 5}}
    assert f"5 questions in {tmp_path}" in evaluate(
        "export", folder, "--out", tmp_path, "--harness", "lmms-eval", "--variant", "half"
    ).stdout.replace("\n", "")


def test_what_a_benchmark_shares_with_the_set_is_told_and_shown_by_compare(folder: Path, tmp_path: Path) -> None:
    from hopchain_etl.training_set.dataset import TrainingSet

    known = next(iter(TrainingSet(folder, split="train")))["question"]
    for name, answers in (("before", (0, 0, 1)), ("after", (1, 0, 1))):
        samples = [sample(number, acc=score) for number, score in enumerate(answers)]
        samples[1]["input"] = f"{known}\nAnswer briefly."
        path = lmms_log(tmp_path / name, "countbench", samples, ["acc"])
        done = evaluate("import", path, "--out", tmp_path / f"run-{name}", "--against", folder, "--json")
        told = json.loads(done.stdout)
        assert told["benchmarks"] == [{"benchmark": "countbench", "answers": 3, "score": round(sum(answers) / 3, 6)}]
        assert told["warnings"][0].startswith("1 questions of countbench are also in the training set")
    out = tmp_path / "comparison"
    done = evaluate("compare", tmp_path / "run-before", tmp_path / "run-after", "--output", out, "--json")
    shown = json.loads(done.stdout)["warnings"]
    assert shown.count(told["warnings"][0]) == 1
    assert told["warnings"][0] in (out / "comparison.html").read_text()


def test_a_warning_is_printed_and_an_old_one_forgotten(folder: Path, tmp_path: Path) -> None:
    path = lmms_log(tmp_path / "log", "mixed", [sample(0, "3", "3"), sample(1, "red", "red")], [])
    assert "1 of 2 answers" in evaluate("import", path, "--out", tmp_path / "run", "--against", folder).output
    assert (tmp_path / "run/overlap.json").exists()
    assert evaluate("import", path, "--out", tmp_path / "run").exit_code == 0
    assert not (tmp_path / "run/overlap.json").exists()
    assert "give --against" in str(evaluate("import", path, "--out", tmp_path / "run", "--images", ".").exception)


def test_names_in_a_log_do_not_reach_the_terminal_as_codes(tmp_path: Path) -> None:
    path = lmms_log(tmp_path / "log", "a\x1b]0;b", [sample(0, "3", "3"), sample(1, "red", "red")], [])
    results = next(path.parent.glob("*_results.json"))
    results.write_text(json.dumps(json.loads(results.read_text()) | {"model_name": "m\x1b[31m\u202e"}))
    done = evaluate("import", path, "--out", tmp_path / "run")
    assert "a]0;b: 1 answers" in done.stdout
    assert "m[31m: 1 answers" in done.stdout
    assert "Warning: a]0;b: 1 of 2 answers" in done.stderr
    assert not {"\x1b", "\u202e"} & set(done.output)


def test_nor_do_those_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lmms_log(tmp_path / "log", "t", [sample(0, acc=1) | {"doc_id": "\x1b]0;x"}] * 2, ["acc"])
    monkeypatch.setattr("sys.argv", ["hopchain", "evaluate", "import", str(path), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr().err
    assert "item ]0;x of t is there a second time" in " ".join(told.split())
    assert "\x1b" not in told
