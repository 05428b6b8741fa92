"""Who saw a photo: the detector and the segmenter whose answers its instances are.

A lineage may have several of each (``engines.first_of``), such as label files for some photos and a network for all
others: its own name for them is a mix. Rows of older versions say nothing; of them only the mix is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.schemas import WHO_SAW

Facts = Mapping[str, Any]  # of a stage, as in ``Lineage.facts`` and the column ``stages`` of released rows

_COLUMNS = dict(zip(("detect", "segment"), WHO_SAW, strict=True))  # of the table instances, by stage
UNKNOWN = "not recorded"


def one_of_each(instances: pa.Table, image_ids: pa.Array | pa.ChunkedArray) -> list[dict[str, Any]]:
    """Return for each image what its rows say of who saw it, in the order of ``image_ids``."""
    first = pc.index_in(image_ids, value_set=instances["image_id"].combine_chunks())
    rows: list[dict[str, Any]] = instances.select(list(WHO_SAW)).take(first).to_pylist()
    return rows


def seen_by(stage: Facts, instance: Facts) -> dict[str, Any]:
    """Return the facts of a lineage's stage, with the model that saw the photo of an instance (row of instances)."""
    who = instance.get(_COLUMNS.get(stage["stage"], ""))
    return {**stage, "model": who["model"], "model_revision": who["revision"]} if who else dict(stage)


def name_eyes(stages: Iterable[Facts]) -> str:
    """Return the models that saw a photo, in words: ``labels``, or a detector and a segmenter with a comma between."""
    models = (stage["model"] for stage in stages if stage["stage"] in _COLUMNS)
    return ", ".join(dict.fromkeys(models)) or UNKNOWN
