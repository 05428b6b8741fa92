"""Which versions contain a query, and what the last selection said of it: after a real release to a real registry."""

from __future__ import annotations

import pytest

from hopchain_etl.lake.lake import Shard
from hopchain_etl.release import query_status
from hopchain_etl.release.query_status import among, last_outcomes, released_queries, versions_with
from hopchain_etl.release.registry import publish
from support import drawn_lake
from support.registry_world import World


@pytest.mark.s3
@pytest.mark.slow
def test_a_released_query_has_its_version_and_one_that_was_left_out_a_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(2))
    place = prints.queries, Shard("first", 0)
    assert last_outcomes(world.lake, ["default"], place, 0) == {}
    world.lake.write_tombstone(queries[0]["image_id"], reason="asked to", blob_sha=None)
    settings = world.settings(prints.queries)
    tag = publish(settings).tag
    assert tag
    world.git("tag", "training-set/by-hand", tag)
    world.git("tag", "yanked/training-set/default@v0.0.1", tag)

    released = released_queries(world.lake, settings)
    gone, taken = queries[0]["query_id"], queries[-1]["query_id"]
    assert (versions_with(released, taken), versions_with(released, gone)) == ([tag], [])
    assert among(released, [gone, taken, "no id"]) == {taken}
    said = [last_outcomes(world.lake, ["default", "other"], place, row) for row in range(len(queries))]
    assert (said[0], said[-1]) == ({"default": "withdrawn"}, {"default": "released"})
    assert last_outcomes(world.lake, ["default"], place, len(queries)) == {}

    monkeypatch.setattr(query_status, "rows_of", None)  # whatever reads the version again fails
    assert released_queries(world.lake, settings) == released
