"""Which questions a model is asked, how often, about which photo, and what is known of each."""

from __future__ import annotations

import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.evaluation.answers import EVALUATIONS, EvaluationError
from hopchain_etl.evaluation.questions import Choice, facts_of
from hopchain_etl.training_set.dataset import TrainingSet
from hopchain_etl.training_set.images import NotPulledError
from support.evaluated import a_set, questions

ALL = ("full", "half", "single")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_set(tmp_path_factory.mktemp("set"))


def hop(category: str = "cup", rel: str = "named", to: str | None = None, read: str | None = None) -> dict[str, Any]:
    return {"category": category, "rel": rel, "to": to, "read": read}


@pytest.mark.parametrize(
    ("hops", "capability", "chain"),
    [
        ([hop(), hop("red car", "nearest", "h1")], "spatial", "objects"),
        ([hop('number "3"'), hop("word", "below", "h1", "text")], "text", "text"),
        ([hop("cup", read="colour"), hop("text", "inside", "h1", "number")], "text", "mixed"),  # the last of two
        ([hop(read="count"), hop(read="count"), hop("dial", read="number")], "counting", "objects"),
        (
            [hop("dial", read="number"), hop(read="present"), hop(read="size"), hop(read="shape")],
            "attributes",
            "objects",
        ),
        ([hop('cup "number"', read="category")], "recognition", "objects"),  # what is written on it does not matter
    ],
)
def test_facts_tell_what_a_question_needs(hops: list[dict[str, Any]], capability: str, chain: str) -> None:
    facts = facts_of(hops)
    assert (facts["n_hops"], facts["capability"], facts["chain"]) == (len(hops), capability, chain)


def test_a_template_is_the_relations_and_readings_without_names() -> None:
    one = facts_of([hop("cup"), hop("word", "below", "h1", "text")])["template"]
    assert one == "named below>:text"
    assert one == facts_of([hop("dog"), hop("number", "below", "h1", "text")])["template"]
    others = [[hop(), hop("word", "below", None, "text")], [hop(), hop("word", "below", "h1")], [hop()]]
    assert one not in {facts_of(other)["template"] for other in others}
    assert set(facts_of(None).values()) == {None}


def test_every_variant_that_a_row_has_is_asked_with_the_photo_and_blind(folder: Path) -> None:
    asked = questions(folder, variants=("single", "half", "full"), samples=3, blind_samples=2)
    rows = list(TrainingSet(folder, split="validation"))
    found = [(one.item_id, one.variant, one.sees_image, one.samples) for one in asked]
    expected = [
        (row["query_id"], variant, sees, 3 if sees else 2)
        for row in rows
        for variant in ALL
        if row.prompt(variant)
        for sees in (True, False)
    ]
    assert found == expected
    assert len(asked) == sum(samples for *_, samples in found) == 5 * (3 * len(rows) - 1)
    jobs = [job for one in asked for job in one.jobs()]
    assert len(jobs) == len(asked)


def test_a_question_knows_its_photo_its_cluster_and_its_gold(folder: Path) -> None:
    rows = {row["query_id"]: row for row in TrainingSet(folder)}
    for one in questions(folder, split=None, variants=ALL):
        row = rows[one.item_id]
        assert one.photo.blob_sha == hashlib.sha256(one.photo.load()).hexdigest()
        assert one.photo.load() == row.image_bytes()
        assert (one.cluster, one.gold, one.benchmark) == (row["group"], row.answer(one.variant), "hopchain/default")
        answer = one.row(1, f"<answer>{one.gold}</answer>", "stop", 9)
        assert set(answer) == set(EVALUATIONS.names)
        assert (answer["score"], answer["sample"], answer["tokens"], answer["band"]) == (1, 1, 9, row["band"])
        hops = row["hops" if one.variant == "full" else f"hops_{one.variant}"]
        assert answer["n_hops"] == (len(hops) if hops else None)


def test_photos_are_right_from_many_threads(folder: Path) -> None:
    asked = list(questions(folder, split=None)) * 20
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda one: hashlib.sha256(one.photo.load()).hexdigest(), asked))
    assert loaded == [one.photo.blob_sha for one in asked]


def test_a_choice_narrows_the_rows_and_the_run_says_so(folder: Path) -> None:
    easy = questions(folder, filters=("band != hard",))
    assert 0 < len(easy) < len(questions(folder)) < len(questions(folder, split=None))
    some = questions(folder, limit=3, variants=ALL)
    assert len(some) == sum(one.samples for one in some)
    assert len({one.item_id for one in some}) == 3
    (said,) = some.splits.values()
    assert said.endswith(" validation, first 3")
    assert easy.splits["hopchain/default"].endswith(" validation, where band != hard")


def test_the_version_is_the_tag_or_else_what_the_files_hold(folder: Path, tmp_path: Path) -> None:
    def version(path: Path) -> str:
        return questions(path).splits["hopchain/default"]

    other = a_set(tmp_path, range(3))
    assert version(folder).startswith("rows ")
    assert version(folder) == version(folder) != version(other)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    commands = (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "1"], ["tag", "training-set/default@v0.2.0"])
    for command in (*commands, ["tag", "training-set/other@v9.0.0"]):
        subprocess.run([*git, *command], cwd=other, check=True)
    assert version(other) == "v0.2.0 validation"


def test_nothing_to_ask_and_what_is_not_there_are_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no variant 'third'"):
        Choice(variants=("third",))
    with pytest.raises(EvaluationError, match="nothing is asked"):
        Choice(samples=0)
    lacking = a_set(tmp_path)
    (lacking / "training_set/images/part-00000.parquet").unlink()
    with pytest.raises(NotPulledError, match=r"dvc pull training_set/images/part-00000\.parquet"):
        list(questions(lacking, split=None))
