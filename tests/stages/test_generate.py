from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hopchain_etl.engines.base import AuthorJob, Identity, Photo, ReadJob, Reply
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.hops.checks import MIN_INSTANCES
from hopchain_etl.hops.instance import Instance
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.settings import GenerateSettings, LakeSettings, Settings, SourceSettings
from hopchain_etl.stages.drafts import Drafts
from hopchain_etl.stages.generate import Generate, Reviewers
from hopchain_etl.stages.runner import Accepted, Rejected
from support.hop_scenes import price_list
from support.memory_store import MemoryStore, lake_in
from support.toy_build import night, put_photos
from support.toy_reviewers import ToyReader, ToyWriter, reviewed_engines

IMAGE = "a" * 64


def row_of(one: Instance) -> dict[str, Any]:
    return {
        "instance_id": one.id,
        "image_id": IMAGE,
        "category": one.category,
        "certain": one.certain,
        "box": list(one.box),
        "mask": {},
        "area": one.area,
        "attributes": [],
        "text": one.text,
    }


def written() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An images row with its instances, and what the program author writes over it."""
    scene = price_list()
    row = {"image_id": IMAGE, "width": scene.width, "height": scene.height}
    instances = tuple(map(row_of, scene.instances))
    (reply,) = ProgramAuthor(GenerateSettings()).write([AuthorJob(photo(), instances)])
    assert reply.content
    return {**row, "instances": list(instances)}, reply.content["queries"]


def photo() -> Photo:
    scene = price_list()
    return Photo(IMAGE, IMAGE, scene.width, scene.height, lambda: b"")


def made_of(row: dict[str, Any], drafts: list[dict[str, Any]]) -> Accepted:
    """What generate makes of an author's drafts."""
    replies = [Reply(AuthorJob(photo(), tuple(row["instances"])), {"queries": drafts})]
    made = Drafts(row, "me", saw_photo=False).write(replies).finish(0.0).outcome
    assert isinstance(made, Accepted)
    return made


def test_the_program_author_writes_variants_with_their_programs() -> None:
    made = made_of(*written())
    assert not made.rejected_candidates
    halves = [one for one in made.rows if one["question_half"]]
    assert halves
    assert all(one["answer_half"] and one["hops_half"] and one["expr_half"] for one in halves)


def test_a_broken_variant_goes_with_its_reason_and_the_query_stays() -> None:
    row, drafts = written()
    draft = next(one for one in drafts if one["question_half"] and one["question_single"])
    made = made_of(row, [draft | {"answer_half": "999"}])
    (kept,) = made.rows
    assert kept["question"] == draft["question"]
    assert [kept[name] for name in ("question_half", "answer_half", "hops_half", "expr_half")] == [None] * 4
    assert kept["question_single"] == draft["question_single"]
    (refused,) = made.rejected_candidates
    assert refused.reason == "broken_half"
    assert "999" in refused.detail
    assert refused.payload["question_half"] == draft["question_half"]


# --- several authors ---


class NotingReader(ToyReader):
    """Keeps what it was asked to read."""

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[Reply[ReadJob]]:
        self.read_questions: list[str] = []
        for job in jobs:
            self.read_questions.append(job.question)
            yield from super().read([job])


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    settings = Settings(
        lake=LakeSettings(uri=f"file://{tmp_path}/lake"), source=SourceSettings(uri=f"file://{tmp_path}/photos")
    )
    put_photos(settings.source, range(2))
    return settings


def questions(settings: Settings, engines: Engines, intake: str) -> tuple[list[dict[str, Any]], list[str], Build]:
    """The rows of a build's queries table, the reasons of what was refused, and the build."""
    _, build = night(settings, intake, engines, intakes="all")
    (shard,) = build.lake.completed_shards("queries", build.lineage)
    refused = build.lake.rejects("queries", build.lineage, shard)["reason"].to_pylist()
    return build.lake.read("queries", build.lineage, shard).to_pylist(), refused, build


def test_two_authors_write_for_one_lineage(place: Settings, tmp_path: Path) -> None:
    seeing = reviewed_engines(tmp_path / "calls")
    assert isinstance(seeing.author, ToyWriter)
    reader = NotingReader(seeing.author.programs)
    proving = ProgramAuthor(GenerateSettings(queries_per_image=1))
    alone, _, _ = questions(place, replace(seeing, author=proving, reader=None, looker=None), "first")
    both, refused, build = questions(place, replace(seeing, reader=reader, coauthors=(proving,)), "second")

    assert {row["author"] for row in both} == {"program-author", "toy-writer"}
    assert len({row["query_id"] for row in both}) == len(both)
    proven = [row for row in both if row["author"] == "program-author"]
    assert sorted(proven, key=str) == sorted(alone, key=str), "who else writes changes nothing of a proven question"
    assert all(one["by"] == "code" for row in proven for one in row["confirmed_by"])
    assert any(one["by"] == "eyes" for row in both for one in row["confirmed_by"] if row not in proven)
    assert reader.read_questions
    assert not {row["question"] for row in proven} & set(reader.read_questions), "code proves them, nobody is asked"
    assert "duplicate_query" in refused, "both wrote some of the same questions"
    identity = build.steps["generate"].lineage.identity
    assert identity.model == "program-author + toy-writer"
    assert build.steps["generate"].lineage.params["reader"]["model"] == "toy-reader"


def test_one_author_is_the_lineages_identity_and_the_order_of_authors_is_not() -> None:
    proving, seeing = ProgramAuthor(GenerateSettings()), ToyWriter()
    assert Generate([proving], "i").identity == proving.identity
    assert Generate([seeing, proving], "i").identity == Generate([proving, seeing], "i").identity
    assert Generate([proving], "i").params == {} != Generate([proving, seeing], "i").params


def test_an_author_mends_only_what_it_wrote_itself() -> None:
    row, drafts = written()
    replies = [Reply(AuthorJob(photo(), tuple(row["instances"])), {"queries": [drafts[0] | {"answer": "4321"}]})]
    refused = Drafts(row).hand_to("a", True).write(replies)
    assert refused.repair_jobs(photo())
    assert not refused.hand_to("b", True).repair_jobs(photo())


class Mending:
    """Gives another answer than its program at first, and the right one when it is asked again."""

    identity, saw_photo = Identity("mending", "1"), False

    def __init__(self, draft: dict[str, Any]) -> None:
        self._draft = draft

    def plan(self, photo: Photo, instances: Sequence[dict[str, Any]]) -> list[AuthorJob]:
        return [AuthorJob(photo, tuple(instances))]

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]:
        for job in jobs:
            yield Reply(job, {"queries": [self._draft if job.refused else {**self._draft, "answer": "999"}]})


@pytest.mark.parametrize("repairs", [0, 1])
def test_what_was_written_at_the_second_try_says_so(repairs: int) -> None:
    row, (draft, *_) = written()
    lake, instances = lake_in(MemoryStore()), pa.Table.from_pylist(row["instances"])
    stage = Generate([Mending(draft)], "i", Reviewers(repairs=repairs))
    with Journal(lake, Shard("first", 0)) as journal:
        (made,) = stage.process(lake, journal, [{**row, "blob_sha": IMAGE, "instances": instances}])
    assert isinstance(made, Accepted)
    assert [one["repaired"] for one in made.rows] == [True] * repairs
    assert [one.reason for one in made.rejected_candidates] == ["wrong_answer"]


@pytest.mark.parametrize(("missing", "reason"), [(0, "no_chain"), (1, "too_few_instances")])
def test_a_photo_without_questions_says_whether_it_shows_enough_for_one(missing: int, reason: str) -> None:
    instances = [{"certain": True}] * (MIN_INSTANCES - missing) + [{"certain": False}] * 5
    outcome = Drafts({"image_id": IMAGE, "instances": instances, "width": 10, "height": 10}).outcome
    assert isinstance(outcome, Rejected)
    assert outcome.reason == reason


@pytest.mark.parametrize("repaired", [False, True])
def test_a_rejected_draft_says_at_which_try(repaired: bool) -> None:
    row, drafts = written()
    reply = Reply(AuthorJob(photo(), tuple(row["instances"])), {"queries": [drafts[0] | {"answer": "999"}]})
    (found,) = Drafts(row, "me", saw_photo=False).write([reply], repaired=repaired).rejected
    assert found.payload
    assert (found.reason, found.payload["try"]) == ("wrong_answer", 1 + repaired)
