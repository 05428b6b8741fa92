"""lmms-eval's own loader, evaluator, client and log writer on our task folder; the model is a scripted server."""

from __future__ import annotations

import base64
import io
import os
import shutil
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none"}

import pyarrow.parquet as pq
import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.loggers import EvaluationTracker
from lmms_eval.tasks import TaskManager
from PIL import Image
from places import LOGS, NAME, SAMPLES, TASKS, knows, says

from support.scripted_server import Say, ScriptedServer, prompt_of

NAMES = [f"{NAME}_{variant}{blind}" for variant in ("full", "half") for blind in ("", "_blind")]
STAMP = "20261126_101500"


def questions(variant: str) -> list[dict[str, Any]]:
    return pq.read_table(TASKS / f"{NAME}_{variant}.parquet").to_pylist()


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager(include_path=str(TASKS), include_defaults=False)


@pytest.fixture(scope="module")
def evaluated(manager: TaskManager) -> dict[str, Any]:
    """Run all tasks by their tag and write the logs, as lmms-eval's command line does; return results and requests."""
    gold = {row["prompt"]: row["answer"] for variant in ("full", "half") for row in questions(variant)}

    def script(body: dict[str, Any], _: int) -> Say:
        sees = any(part["type"] == "image_url" for part in body["messages"][-1]["content"])
        prompt = prompt_of(body).strip()
        return Say(says(prompt, gold[prompt], sees), tokens=(50, 9))

    shutil.rmtree(LOGS, ignore_errors=True)
    tracker = EvaluationTracker(output_path=str(LOGS))
    with ScriptedServer(script) as server:
        results = simple_evaluate(
            model="openai",
            model_args=f"model=of/scripted,base_url={server.url},num_concurrent=4",
            tasks=[NAME],
            task_manager=manager,
            evaluation_tracker=tracker,
            log_samples=True,
            batch_size=1,
            bootstrap_iters=0,
            datetime_str=STAMP,
        )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples, datetime_str=STAMP)
    for name in results["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])
    return {"results": results["results"], "seen": server.seen, "samples": samples}


def test_its_loader_finds_the_tasks(manager: TaskManager) -> None:
    assert set(manager.all_subtasks) == set(NAMES)
    assert manager.all_tags == [NAME]


def test_every_question_is_asked_with_its_photo_or_blind(evaluated: dict[str, Any]) -> None:
    rows = {row["prompt"]: row for variant in ("full", "half") for row in questions(variant)}
    asked = [(prompt_of(body).strip(), body) for body in evaluated["seen"]]
    assert len(asked) == 2 * SAMPLES * len(rows)  # with the photo and without
    for prompt, body in asked:
        images = [part for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
        for part in images:
            sent = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            assert pixels(sent) == pixels(rows[prompt]["image"]["bytes"])
        assert (body["temperature"], body["max_tokens"]) == (0.6, 16384)
    assert sum(len(body["messages"][-1]["content"]) == 1 for _, body in asked) == len(asked) // 2


def test_it_grades_by_our_grader_and_clusters_by_photo(evaluated: dict[str, Any]) -> None:
    for variant in ("full", "half"):
        rows = questions(variant)
        right = sum(knows(row["prompt"]) for row in rows) / len(rows)
        assert 0 < right < 1
        task = evaluated["results"][f"{NAME}_{variant}"]
        assert task["hopchain_accuracy,all_samples"] == pytest.approx(right)
        assert task["hopchain_accuracy_stderr_clustered,all_samples"] > 0
        assert evaluated["results"][f"{NAME}_{variant}_blind"]["hopchain_accuracy,all_samples"] == 0


def test_an_answer_is_logged_whole_with_all_its_samples(evaluated: dict[str, Any]) -> None:
    """Its own default would end an answer at the first empty line, and keep one sample."""
    written = (LOGS / "of__scripted" / f"{STAMP}_samples_{NAME}_full.jsonl").read_text().splitlines()
    assert len(written) == len(questions("full"))
    assert all(line.count("</think>") == SAMPLES for line in written)
