"""Rows in verl's format, without a training set behind them: as base data of others look."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

BANDS = ("hard", "medium", "easy")
RIGHT = {"hard": 0.25, "medium": 0.5, "easy": 0.75}
VERL = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [("index", pa.int64()), ("query_id", pa.string()), ("variant", pa.string()),
                 ("difficulty", pa.float32()), ("band", pa.string())]
            ),
        ),
    ]
)  # fmt: skip


def verl_row(source: str, number: int, image: bytes = b"image", *, graded: bool = True) -> dict[str, Any]:
    """Return a row; with ``graded`` one of a release, with a query_id and a band, else one of other data."""
    band = BANDS[number % 3]
    facts = {"query_id": f"{source}-{number:06}", "variant": "full", "difficulty": RIGHT[band], "band": band}
    return {
        "data_source": f"hopchain/{source}" if graded else source,
        "prompt": [{"role": "user", "content": f"<image>How many in {source} {number}?"}],
        "images": [{"bytes": image}],
        "ability": "count",
        "reward_model": {"style": "rule", "ground_truth": str(number)},
        "extra_info": {"index": number, **(facts if graded else {})},
    }
