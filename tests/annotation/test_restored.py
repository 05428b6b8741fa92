"""A tombstone that somebody deletes by hand after a batch was settled without the photo's questions."""

from __future__ import annotations

from pathlib import Path

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.annotation.restored import reopen_restored
from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.settings import LakeSettings
from support import drawn_lake


def announced(lake: Lake) -> list[tuple[str, int, int]]:
    """Return name, open and withdrawn questions of each batch whose event is sent."""
    found = collect(Lake(lake.settings), lambda table, rows: SuiteResult(rows.num_rows))
    return [(one.id, one.open, one.withdrawn) for one in found if settle(lake, vars(one))]


def test_its_questions_are_asked_again(tmp_path: Path) -> None:
    lake = Lake(LakeSettings(uri=f"file://{tmp_path}/lake"))
    prints, queries = drawn_lake.fill(lake, [1, 2])
    images = sorted({one["image_id"] for one in queries})
    for number, image in enumerate(images):
        asked = tuple(one["query_id"] for one in queries if one["image_id"] == image)
        batches.create(lake, Batch(f"b{number}", "run", asked, lineage=prints.queries, shards=("first/0000",)))
        lake.write_tombstone(image, reason="asked", blob_sha=None)
    assert announced(lake) == [("b0", 0, 2), ("b1", 0, 2)]
    assert reopen_restored(Lake(lake.settings)) == []
    lake.store.delete([f"withdrawn/{images[1]}.json"])
    assert reopen_restored(Lake(lake.settings)) == ["b1"]
    assert announced(lake) == [("b1", 2, 0)]
    assert announced(lake) == []
    assert {name: set(kinds) for name, kinds in batches.batch_states(lake).items()} == {"b0": {"decided"}, "b1": set()}
    assert reopen_restored(Lake(lake.settings)) == []
