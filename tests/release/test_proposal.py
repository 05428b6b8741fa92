"""What a person is shown before a release is pushed, and that exactly this is pushed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopchain_etl.release import proposal
from hopchain_etl.release.proposal import Proposal, ProposalError, propose
from hopchain_etl.release.registry import publish
from hopchain_etl.release.withdrawn import tell_withdrawn
from support import drawn_lake
from support.registry_world import World

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def proposed(world: World, *lineages: str, name: str = "manual__1:00", **how: Any) -> Proposal:
    made = propose(world.settings(*lineages, **how), name)
    assert isinstance(made, Proposal), made
    return made


def test_what_is_shown_is_pushed_even_if_the_lake_has_more_by_then(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(3))
    drawn_lake.answer(world.lake, prints.queries, queries[:4])
    settings = world.settings(prints.queries)
    shown = proposed(world, prints.queries)
    assert (world.refs(), world.remote()) == ("", {}), "nothing is pushed"
    (version,) = shown.versions
    assert (version["tag"], version["rows"], version["images"]) == ("training-set/default@v0.1.0", 6, 3)
    assert (version["agreement"], version["answered"]) == (1.0, 4)
    assert sorted(row["question"] for row in version["examples"]) == sorted(query["question"] for query in queries)
    assert "# HopChain training set: default" in version["card"]
    assert "| rows | 6 (0 before) over 3 photos |" in shown.summary
    assert "100.0 % of the answers are the released one (of 4 rows)" in shown.summary

    drawn_lake.fill(world.lake, range(10, 12), intake="second")
    result = publish(settings, proposal=proposal.load(world.lake, shown.name), run="manual__1-00")
    assert (result.tag, result.rows) == (version["tag"], 6)
    refs = world.refs()
    again = publish(settings, proposal=proposal.load(world.lake, shown.name), run="manual__1-00")
    assert again.releases == result.releases, "the task was killed before it could say that it had published"
    assert world.refs() == refs
    assert (publish(settings).version, publish(settings).changed) == ("0.2.0", False)


def test_nothing_else_is_pushed_instead_of_what_was_shown(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(3))
    settings = world.settings(prints.queries)
    shown = proposed(world, prints.queries)
    other = world.settings(prints.queries, release={"answer_instruction": "Say <answer>N</answer>."})
    with pytest.raises(ProposalError, match="would not come out again"):
        publish(other, proposal=shown)
    image = queries[0]["image_id"]
    world.lake.write_tombstone(image, reason="asked", blob_sha=None)
    tell_withdrawn(settings, [image])
    with pytest.raises(ProposalError, match="A photo was withdrawn"):
        publish(settings, proposal=shown)
    assert "tags" not in world.refs()
    assert world.remote() == {}
    assert publish(settings).rows == 4


def test_a_proposal_says_what_changes_and_replaces_the_one_before(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(3))
    settings = world.settings(prints.queries)
    first = proposed(world, prints.queries)
    publish(settings, proposal=first)
    assert propose(settings, "again") == "snapshot and parameters have not changed since the last version"
    with pytest.raises(ProposalError, match="a later one replaced it"):
        proposal.load(world.lake, first.name)
    world.lake.write_tombstone(queries[0]["image_id"], reason="asked", blob_sha=None)
    second = proposed(world, prints.queries, name="second")
    assert "| rows | 4 (6 before) over 2 photos |" in second.summary
    assert "| removed | withdrawn: 2 |" in second.summary
    assert [entry.key for entry in world.lake.store.list_objects("proposals/")] == ["proposals/second.json"]


def test_a_dozen_questions_from_all_over_a_file_are_shown_and_answers_are_weighed_alike(tmp_path: Path) -> None:
    def rows(name: str, agreement: list[float | None]) -> Path:
        rows = [
            {"image_id": "i", "question": f"{name}{number}", "answer": "7", "agreement": share}
            for number, share in enumerate(agreement)
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
        return tmp_path / name

    shown = proposal._of_rows([rows("a", [None, *[1.0] * 27, 0.5, 0.5])])
    assert [one["question"] for one in shown["examples"]] == [f"a{number}" for number in range(0, 24, 2)]
    assert shown["examples"][0] == {"image_id": "i", "question": "a0", "answer": "7"}
    assert (shown["agreement"], shown["answered"]) == (28 / 29, 29)
    shown = proposal._of_rows([rows("a", [None, 0.75]), rows("b", [0.25] * 11)])
    assert [one["question"] for one in shown["examples"]] == ["a0", "a1", *(f"b{number}" for number in range(10))]
    assert (shown["agreement"], shown["answered"]) == (3.5 / 12, 12)
    nothing = rows("a", [None])
    assert proposal._of_rows([nothing])["agreement"] is None
