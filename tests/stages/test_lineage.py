"""Fingerprints: any fact that decides the rows changes them, and those that are stored are found again."""

from __future__ import annotations

from dataclasses import replace

from hopchain_etl.engines.base import Identity
from hopchain_etl.stages.lineage import Lineage

LINEAGE = Lineage("detect", 1, Identity("model", "1"), "a" * 12, {"least": 4})


def test_a_fingerprint_is_that_of_earlier_versions() -> None:
    assert LINEAGE.fingerprint == "3ca6e973d682"


def test_any_fact_changes_the_fingerprint_and_the_order_of_parameters_does_not() -> None:
    changed = [
        replace(LINEAGE, stage="segment"),
        replace(LINEAGE, revision=2),
        replace(LINEAGE, identity=Identity("model", "2")),
        replace(LINEAGE, upstream=None),
        replace(LINEAGE, params={"least": 5}),
    ]
    assert len({one.fingerprint for one in [LINEAGE, *changed]}) == 6
    one, other = replace(LINEAGE, params={"a": 1, "b": 2}), replace(LINEAGE, params={"b": 2, "a": 1})
    assert one.fingerprint == other.fingerprint
