from __future__ import annotations

from typing import Any

from hopchain_etl.engines.base import AuthorJob, Photo, Reply
from hopchain_etl.engines.program import ProgramAuthor
from hopchain_etl.hops.instance import Instance
from hopchain_etl.settings import GenerateSettings
from hopchain_etl.stages.drafts import Drafts
from hopchain_etl.stages.runner import Accepted
from support.hop_scenes import price_list

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
