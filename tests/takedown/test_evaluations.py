"""An erased photo leaves neither answers about it in the journal nor rows in the runs that are kept."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from hopchain_etl.annotation import error_reviews
from hopchain_etl.evaluation import lake_runs
from hopchain_etl.evaluation.answers import EvaluationRun
from hopchain_etl.evaluation.errors.people import review_batch
from hopchain_etl.evaluation.errors.taxonomy import diagnose
from hopchain_etl.evaluation.run import SHARD, ask, folder_lake
from hopchain_etl.lake.journal import answers
from hopchain_etl.takedown.documents import erase_model_answers
from hopchain_etl.takedown.evaluations import erase_from_evaluations, erase_reviews
from hopchain_etl.takedown.photos import Plan, hash_of
from hopchain_etl.training_set.dataset import TrainingSet
from support.evaluated import Knowing, a_set, questions
from support.wrong_answers import lake_with_photos, off_by, run_over


def test_answers_about_a_photo_go_and_all_others_stay(tmp_path: Path) -> None:
    asked, lake = questions(a_set(tmp_path), samples=2, blind_samples=1), folder_lake(tmp_path / "lake")
    run = ask(asked, Knowing(lambda job: "<answer>1</answer>"), lake, name="kept")
    lake_runs.store(lake, run)
    photo = next(iter(asked)).photo
    about = {one.item_id for one in asked if one.photo.image_id == photo.image_id}
    plan = Plan(images={photo.image_id}, blobs={photo.blob_sha}, queries=set(about))
    assert erase_model_answers(lake, plan) == 3 * len(about) == erase_from_evaluations(lake, plan)
    assert photo.blob_sha not in {answer.blob_sha for _, answer in answers(lake, SHARD)}
    left = lake_runs.fetch(lake, "kept", tmp_path / "copy").answers.to_pylist()
    assert left == [row for row in run.answers.to_pylist() if row["item_id"] not in about]
    assert left
    assert erase_from_evaluations(lake, plan) == 0, "it can be repeated"


def test_a_group_that_is_named_after_a_photo_is_named_anew(tmp_path: Path) -> None:
    asked, lake = questions(a_set(tmp_path)), folder_lake(tmp_path / "lake")
    run = ask(asked, Knowing(lambda job: "<answer>1</answer>"), folder_lake(tmp_path / "journal"), name="kept")
    photo = next(iter(asked)).photo
    about = {one.item_id for one in asked if one.photo.image_id == photo.image_id}
    items, place = run.answers["item_id"].to_pylist(), run.answers.schema.get_field_index("cluster")
    alone = next(item for item in items if item not in about)
    grouped = pa.array(["another" if item == alone else photo.image_id for item in items])  # near-duplicates
    run = EvaluationRun(run.header, run.answers.set_column(place, "cluster", grouped))
    lake_runs.store(lake, run)
    plan = Plan(images={photo.image_id}, blobs={photo.blob_sha}, queries=about)
    assert erase_from_evaluations(lake, plan) == len(about)
    left = lake_runs.fetch(lake, "kept", tmp_path / "copy").answers
    assert left.num_rows == run.answers.num_rows - len(about)
    assert set(left["cluster"].to_pylist()) == {hash_of(photo.image_id), "another"}


def test_wrong_answers_about_a_photo_leave_the_desk(tmp_path: Path) -> None:
    folder = a_set(tmp_path)
    rows, lake = TrainingSet(folder), lake_with_photos(folder_lake(tmp_path / "lake"), folder)
    batch = review_batch("errors-1", "lead", "base", diagnose(run_over(folder, off_by(1)), rows), rows)
    error_reviews.create(lake, batch)
    photo = next(iter(questions(folder))).photo
    gone = [one for one in batch.items if one.image_id == photo.image_id]
    assert erase_reviews(lake, Plan(images={photo.image_id}, blobs={photo.blob_sha}, queries=set())) == len(gone) > 0
    assert error_reviews.load(lake, "errors-1").items == tuple(one for one in batch.items if one not in gone)
