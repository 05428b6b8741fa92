from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from hopchain_etl import schemas
from hopchain_etl.release.assemble import write_rows
from hopchain_etl.release.card import write_card
from support.training_sets import SNAPSHOT, training_row


def card(folder: Path, rows: list[dict[str, Any]], **snapshot: Any) -> tuple[str, dict[str, Any]]:
    """Write the card of rows into ``folder``; return it with its metrics."""
    for row in rows:
        row["lineage"] = row["lineage"] or "aa"
    write_rows([[pa.Table.from_pylist(rows, schema=schemas.TRAINING_ROWS)]], folder / "rows", 100)
    counts = {"read": len(rows) + 3, "rows": len(rows), "dropped": {"withdrawn": 3}}
    (folder / "dropped.json").write_text(json.dumps(counts))
    metrics = write_card(SNAPSHOT | snapshot, "default", folder)
    stored = (folder / "metrics.json").read_text()
    assert stored.startswith('{\n "answers": {\n  "distinct": ')
    assert stored.endswith("\n}\n")
    written = json.loads(stored)
    assert written == metrics
    assert list(written) == sorted(written), "so that versions can be compared line by line"
    return (folder / "README.md").read_text(), metrics


def flat(text: str) -> str:
    return " ".join(text.replace(">", "").replace("*", "").split())


def test_it_says_first_of_all_that_nobody_has_answered(tmp_path: Path) -> None:
    rows = [training_row(0), training_row(1) | {"policy": "unreviewed", "human_answers": []}]
    text, metrics = card(tmp_path, rows)
    assert "Unreviewed: no human has answered 1 of these 2 queries" in flat(text[: text.index("| queries")])
    assert metrics["policy"] == {"unanimous": 1, "unreviewed": 1}
    assert "Difficulty is null" in text
    assert "withdrawn 3" in text
    assert "| detect | eyes | 7 |" in text
    assert "`bb`" not in text  # no row is of that lineage


def test_it_counts_sources_and_licences_the_most_frequent_first(tmp_path: Path) -> None:
    odd = "a|b\n| c | 9 |\\ [d](e) <f>"
    stated = [(odd, "CC0"), ("web", "CC0"), ("web", None), ("", None), ("web", "")]
    rows = [training_row(seed) | {"source": source, "license": name} for seed, (source, name) in enumerate(stated)]
    text, _ = card(tmp_path, rows)
    told = text[text.index("## Sources and licences") :].splitlines()
    counted = [line for line in told if line.startswith("|") and line.endswith(("1 |", "2 |", "3 |"))]
    assert counted == [
        "| web | 3 |", r"| a\|b \| c \| 9 \|\\ \[d\](e) &lt;f&gt; | 1 |", "| unknown | 1 |",
        "| unknown | 3 |", "| CC0 | 2 |",
    ]  # fmt: skip


def test_it_is_the_same_in_every_locale(tmp_path: Path) -> None:
    text, _ = card(tmp_path, [training_row(0) | {"source": "写真館", "license": "© Müller"}])
    (tmp_path / "README.md").unlink()
    code = (
        "import sys; from pathlib import Path; from hopchain_etl.release.card import write_card; import json; "
        "write_card(json.loads(sys.argv[2]), 'default', Path(sys.argv[1]))"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, str(tmp_path), json.dumps(SNAPSHOT)]
    done = subprocess.run(command, env={**os.environ, **ascii_only}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "README.md").read_text("utf-8") == text


def test_it_counts_whose_eyes_the_rows_rest_on(tmp_path: Path) -> None:
    def seen(detector: str, segmenter: str) -> list[dict[str, str]]:
        return [{"stage": "detect", "model": detector}, {"stage": "segment", "model": segmenter},
                {"stage": "generate", "model": "author"}]  # fmt: skip

    by_labels = [training_row(0, number) | {"stages": seen("labels", "labels")} for number in range(2)]
    rows = [*by_labels, training_row(1) | {"stages": seen("finder", "cutter")}, training_row(2)]
    text, metrics = card(tmp_path / "mixed", rows)
    assert metrics["seen_by"] == [
        {"by": "labels", "queries": 2, "images": 1},
        {"by": "finder, cutter", "queries": 1, "images": 1},
        {"by": "not recorded", "queries": 1, "images": 1},
    ]
    assert "| labels | 2 | 1 |" in text
    assert "`labels` are outlines" in text
    text, _ = card(tmp_path / "networks", rows[2:])
    assert "`labels` are outlines" not in text


def test_it_names_every_rule_by_which_people_decided(tmp_path: Path) -> None:
    rows = [training_row(seed) | {"policy": "3 of 4" if seed else "unanimous"} for seed in range(3)]
    text, metrics = card(tmp_path / "decided", rows)
    assert metrics["policy"] == {"unanimous": 1, "unreviewed": 0, "3 of 4": 2}
    assert "unanimous: 1, 3 of 4: 2." in flat(text)
    text, _ = card(tmp_path / "mixed", [*rows, training_row(3) | {"policy": "unreviewed", "human_answers": []}])
    assert 'Rows with `policy = "unanimous"` (1) were answered by four people who all agreed.' in flat(text)
    assert 'Rows with `policy = "3 of 4"` (2): 3 of 4 people agreed.' in flat(text)


def test_a_unanimous_set_with_difficulty_says_so(tmp_path: Path) -> None:
    text, metrics = card(tmp_path, [training_row(0) | {"difficulty": 0.25}])
    assert "Unanimous: four people answered" in flat(text)
    assert "Unreviewed" not in text
    assert metrics["difficulty"] == 0.25
    assert "right 25.0 % of the time" in text


def test_bands_guessers_and_blind_share_are_told(tmp_path: Path) -> None:
    tried = [(0.25, "hard", 0.5), (0.5, "medium", 0.0), (0.0, "all_wrong", None), (None, None, None)]
    rows = [
        training_row(seed, number=seed) | {"difficulty": share, "band": band, "blind": blind, "answer": answer}
        for seed, ((share, band, blind), answer) in enumerate(zip(tried, "7789", strict=True))
    ]
    text, metrics = card(tmp_path, rows)
    assert metrics["bands"] == {"all_wrong": 1, "hard": 1, "medium": 1, "easy": 0, "all_right": 0, "not_tried": 1}
    assert metrics["blind"] == {"share": 0.25, "queries": 2}
    assert metrics["guessers"] == {"constant": 0.5, "template": 0.5}
    assert "| all wrong | 1 |" in text
    assert "right 25.0 % of the time (on 2 queries" in text
    assert "right for 50.0 %, the most frequent of each template for 50.0 %" in text
    assert (tmp_path / "plots/bands.csv").read_text().splitlines()[:3] == ["band,queries", "all_wrong,1", "hard,1"]


def test_it_says_who_confirmed_the_hops_or_that_it_is_not_known(tmp_path: Path) -> None:
    by = ["code", "code", "code", "eyes", "nobody"]
    confirmed = [{"by": one, "looks": 2 * (one == "eyes")} for one in by]
    rows = [training_row(seed) | {"confirmed_by": confirmed, "has_shortcut": seed == 0} for seed in range(2)]
    text, metrics = card(tmp_path / "new", [*rows, training_row(2)])
    assert metrics["confirmed"] == {"code": 0.6, "eyes": 0.2, "nobody": 0.2, "not_recorded": 1}
    assert metrics["shortcuts"] == {"queries": 1, "not_recorded": 1}
    assert "Who confirmed each hop: code 60.0 %" in text
    assert "nobody 20.0 %; not recorded, and not counted here, for 1 of the queries" in text
    assert "can be skipped in 1 of the queries (`has_shortcut`); not recorded for 1 of the queries." in text

    text, metrics = card(tmp_path / "old", [training_row(0)])
    assert metrics["confirmed"] == {"code": None, "eyes": None, "nobody": None, "not_recorded": 1}
    assert "Who confirmed each hop is not recorded." in text
    assert "Shortcuts: not recorded." in text


@pytest.mark.parametrize(
    ("photos", "each", "finds", "at_worst", "told"),
    [
        (600, 1, 0.0571, 0.0571, "true difference of 5.7 points"),
        (200, 3, 0.0571, 0.0985, "it takes 9.8 points (200 photos"),
        (20, 6, 0.1266, None, "answered alike, no difference is found (20 photos"),
        (5, 1, None, None, "5 validation questions are too few"),
        (0, 0, None, None, "no validation questions"),
    ],
)
def test_it_says_how_large_a_difference_the_validation_split_finds(
    tmp_path: Path, photos: int, each: int, finds: float | None, at_worst: float | None, told: str
) -> None:
    row = training_row(0)
    rows = [
        row | {"split": "validation", "group": f"{photo}", "query_id": f"{photo}-{query}"}
        for photo in range(photos)
        for query in range(each)
    ]
    text, metrics = card(tmp_path, [row, *rows])
    expected = {"questions": photos * each, "photos": photos, "discordant": 0.25}
    assert metrics["power"] == expected | {"finds": finds, "finds_at_worst": at_worst}
    assert told in flat(text)


def test_a_set_with_queries_that_are_always_solved_does_not_claim_that_they_are_dropped(tmp_path: Path) -> None:
    text, _ = card(tmp_path / "kept", [training_row(0) | {"difficulty": 1.0, "band": "all_right"}])
    assert "always got right are dropped" not in text
    text, _ = card(tmp_path / "dropped", [training_row(0) | {"difficulty": 0.5, "band": "medium"}])
    assert "always got right are dropped" in text


def test_the_preset_is_named_with_all_that_departs_from_it(tmp_path: Path) -> None:
    rows = [training_row(0)]
    assert "no preset" in card(tmp_path / "none", rows)[0]
    assert "Preset `paper`: its rules and no others." in card(tmp_path / "paper", rows, preset="paper")[0]
    text, _ = card(tmp_path / "but", rows, preset="paper", departures={"desk.agree": 3, "release.policy": "unreviewed"})
    assert 'Preset `paper`, but for `desk.agree = 3`, `release.policy = "unreviewed"`.' in text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_header_is_yaml_and_the_files_are_the_same_each_time(tmp_path: Path, count: int) -> None:
    for name in ("a", "b"):
        card(tmp_path / name, [training_row(seed) for seed in range(count)])
    files = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    assert files == {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.*")}
    header = YAML(typ="safe").load(files[Path("README.md")].decode().split("---\n")[1])
    assert header["configs"][0]["data_files"][0] == {"split": "train", "path": "rows/train-*.parquet"}


def test_a_set_without_rows_has_counts_of_zero_and_shares_of_nothing(tmp_path: Path) -> None:
    _, metrics = card(tmp_path, [])
    assert {name: metrics[name] for name in metrics.keys() - {"bands", "power", "decontamination"}} == {
        "queries": 0,
        "images": 0,
        "splits": {"train": 0, "validation": 0},
        "n_hops": {},
        "seen_by": [],
        "policy": {"unanimous": 0, "unreviewed": 0},
        "unchecked_share": 0.0,
        "confirmed": {"code": None, "eyes": None, "nobody": None, "not_recorded": 0},
        "shortcuts": {"queries": 0, "not_recorded": 0},
        "program_agrees_share": 0.0,
        "difficulty": None,
        "blind": {"share": None, "queries": 0},
        "answers": {"distinct": 0, "most_frequent": None, "most_frequent_share": 0.0},
        "dropped": {"withdrawn": 3},
        "guessers": {"constant": 0.0, "template": 0.0},
    }
    assert set(metrics["bands"].values()) == {0}


def test_no_question_gets_into_git(tmp_path: Path) -> None:
    row = training_row(0)
    text, _ = card(tmp_path, [row])
    assert row["question"] not in text


def test_shares_are_rounded_to_four_digits(tmp_path: Path) -> None:
    rows = [
        training_row(seed) | {"answer": answer, "difficulty": difficulty, "confirmed_by": [{"by": by, "looks": 0}]}
        for seed, (answer, difficulty, by) in enumerate([("7", 0.0, "code"), ("7", 0.0, "code"), ("8", 1.0, "eyes")])
    ]
    _, metrics = card(tmp_path, rows)
    assert metrics["difficulty"] == 0.3333
    assert metrics["confirmed"] == {"code": 0.6667, "eyes": 0.3333, "nobody": 0.0, "not_recorded": 0}
    assert metrics["answers"]["most_frequent_share"] == metrics["guessers"]["constant"] == 0.6667
    assert metrics["guessers"]["template"] == 0.6667
