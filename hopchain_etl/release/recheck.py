"""For a release: checks queries of an older generate REVISION against the current rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from hopchain_etl.hops.checks import check_again, variant_rules
from hopchain_etl.hops.query import QueryError, query_from_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.variants import VARIANTS, variant_violation
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.inputs import Inputs, upstream_of
from hopchain_etl.stages.generate import REVISION as CURRENT_RULES

Row = dict[str, Any]


def broken_rules(
    inputs: Inputs, lineage: str, links: list[dict[str, Any]], shard: Shard, images: Mapping[str, Row]
) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return the first broken rule of each query of a shard, and the variants that break a rule, by query_id.

    ``links`` is the chain of stages behind ``lineage``, ``images`` the shard's images by image_id. Queries of the
    current revision of ``generate`` have already passed the current rules, so they are not checked. Every released
    row, old or new, is executed again by ``validate``.
    """
    if next(link["revision"] for link in links if link["stage"] == "generate") == CURRENT_RULES:
        return {}, {}
    instances: defaultdict[str, list[Row]] = defaultdict(list)
    for one in inputs.rows("instances", upstream_of(links, "segment"), shard):
        instances[one["image_id"]].append(one)
    broken: dict[str, str] = {}
    broken_variants: dict[str, set[str]] = {}
    for row in inputs.rows("queries", lineage, shard):
        if row["image_id"] not in images:
            continue
        image = images[row["image_id"]]
        scene = Scene.from_rows(instances[row["image_id"]], image["width"], image["height"])
        if rule := _first_broken_rule(row, scene):
            broken[row["query_id"]] = rule
        else:
            rules = variant_rules(row.get("confirmed_by"))
            if kinds := {kind for kind in VARIANTS if variant_violation(kind, row, scene, rules)}:
                broken_variants[row["query_id"]] = kinds
    return broken, broken_variants


def _first_broken_rule(row: Row, scene: Scene) -> str | None:
    try:
        query = query_from_row(row)
    except QueryError:
        return "unreadable_query"
    if query_id(row["image_id"], query.question) != row["query_id"]:
        return "wrong_query_id"
    complaints, _ = check_again(query, scene, row.get("confirmed_by"))
    return complaints[0].reason if complaints else None
