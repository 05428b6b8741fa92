"""Presets: named sets of settings, below what is set explicitly and above the defaults.

``paper`` is what HopChain (arXiv 2603.17024) says and nothing that it does not say: four people answer each query and
only unanimous answers stay, 3 to 6 instances a query, and a query that the weaker model always gets right is dropped.
It knows no judge, no blind check and no balance of answers and templates, so those refuse nothing; their figures stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "paper": {
        "generate": {"min_instances": 3, "max_instances": 6},
        "desk": {"seats": 4, "agree": 4},
        "release": {"policy": "unanimous", "drop_disagreeing": False},
        "calibrate": {"judge_condemns": False, "keep_all_wrong": True, "keep_all_right": False},
        # An answer share of 1 is also a chance of 1 for guessers: no blind try is better than that.
        "diversity": {"answer": 1.0, "template": 1.0, "capabilities": 1.0, "n_hops": 1.0, "near": 1.0},
    }
}
