"""Every reject reason that the code can give is told in plain words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import hopchain_etl
from hopchain_etl.hops.checks import DRAFT_RULES, PROOF_RULES
from hopchain_etl.imaging.rejection import RejectReason
from hopchain_etl.reporting.reasons import OF_DOUBTS, OF_FILES, OF_LABELS, OF_QUESTIONS, because
from hopchain_etl.stages.judge import VERDICTS

PACKAGE = Path(hopchain_etl.__file__).parent
MAKERS = {
    "Rejected": 0,
    "dropped": 1,
    "LabelError": 0,
    "LabelFileError": 0,
    "Mistake": 0,
}  # callables that make a reject, and where their reason stands


def literals(path: Path) -> Iterator[str]:
    """The reasons that a module writes as plain strings."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
            place = MAKERS[node.func.id]
            if len(node.args) > place and isinstance(reason := node.args[place], ast.Constant):
                yield str(reason.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                named = isinstance(key, ast.Constant) and key.value == "reason"
                if named and isinstance(value, ast.Constant):
                    yield str(value.value)


def stages_of(path: Path) -> list[str]:
    """The stages that may give the reasons in a module."""
    if path.parent.name == "labels" or path.stem in ("labels", "label_files"):
        return ["labels"]
    if path.parent.name in ("stages", "imaging"):
        by_module = {"drafts": "generate", "listing": "ingest", "normalise": "ingest"}
        name = by_module.get(path.stem, path.stem)
        if name in ("ingest", "detect", "segment", "generate", "judge", "screen"):
            return [name]
        return ["detect", "segment", "generate", "judge", "screen"]  # what all of them share
    return ["segment"]  # engines: what a segmenter dropped


WRITTEN = [
    (stage, reason)
    for folder in ("stages", "engines", "imaging", "labels")
    for path in sorted((PACKAGE / folder).rglob("*.py"))
    for reason in literals(path)
    for stage in stages_of(path)
]
MADE = [
    *(("ingest", reason.value) for reason in RejectReason),
    *(("generate", rule.__name__) for rule in (*PROOF_RULES, *DRAFT_RULES)),
    *(("generate", f"broken_{kind}") for kind in ("half", "single")),
    *(("judge", f"judged_{verdict}") for verdict in VERDICTS if verdict != "fine"),
]


def test_the_walk_finds_what_is_known_to_be_there() -> None:
    assert {("generate", "no_chain"), ("segment", "misnamed"), ("segment", "not_read"), ("ingest", "vanished")} < {
        *WRITTEN
    }
    assert ("screen", "too_easy") in WRITTEN
    assert {("labels", "zero_area"), ("labels", "broken_file"), ("labels", "refused")} < {*WRITTEN}


def test_labels_have_no_words_for_reasons_that_nothing_gives() -> None:
    found = {reason for stage, reason in WRITTEN if stage == "labels"}
    assert OF_LABELS.keys() <= found


@pytest.mark.parametrize(("stage", "reason"), sorted({*WRITTEN, *MADE}))
def test_every_reason_has_plain_words(stage: str, reason: str) -> None:
    said = because(stage, reason)
    assert "refused as" not in said, f"{reason} of {stage} has no words in reporting/reasons.py"
    assert said[0].islower()
    assert said[-1].isalnum()
    assert reason not in said or "_" not in reason


def test_every_doubt_has_plain_words() -> None:
    tree = ast.parse((PACKAGE / "engines/vision/certainty.py").read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    given = {
        node.value
        for function in functions
        if function.name.endswith("uncertainty")
        for back in ast.walk(function)
        if isinstance(back, ast.Return) and back.value
        for node in ast.walk(back.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    }
    assert {"cut", "rival", "low_score", "repeated", "printed", "unreadable"} <= given
    assert given - OF_DOUBTS.keys() == set()


def test_a_reason_without_words_is_told_by_its_name() -> None:
    assert because("ingest", "bad_phash") == "it was refused as bad phash"


def test_questions_and_files_are_told_apart() -> None:
    assert because("ingest", "duplicate") == OF_FILES["duplicate"]
    assert because("segment", "duplicate") != OF_FILES["duplicate"]
    assert because("judge", "judged_ambiguous") == OF_QUESTIONS["judged_ambiguous"]
