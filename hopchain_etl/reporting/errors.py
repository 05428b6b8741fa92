"""One HTML page about the errors of a run, or of two: what went wrong first, who says so, what was corrected."""

from __future__ import annotations

from typing import Any

from hopchain_etl.evaluation.errors.kinds import DESCRIPTIONS
from hopchain_etl.evaluation.errors.taxonomy import PAPER
from hopchain_etl.evaluation.words import between, percent, points
from hopchain_etl.templating import render

Facts = dict[str, Any]
TABLES = (("baseline", "errors before"), ("corrected", "corrected"), ("broken", "broken"), ("trained", "errors after"))
BY = {
    "code": "code: one hop explains the answer",
    "ambiguous": "code, but several hops explain it about equally",
    "judge": "the judge",
    "nobody": "nobody",
}


def write_errors(facts: Facts) -> str:
    """Return the page for the facts of ``hopchain evaluate errors``: self-contained, without scripts."""
    tables = [
        (name, title if len(facts["names"]) > 1 else "errors", facts[name]) for name, title in TABLES if name in facts
    ]
    return render(
        "reporting",
        "errors.html.j2",
        facts=facts,
        tables=tables,
        by=BY,
        descriptions=DESCRIPTIONS,
        paper=PAPER,
        percent=percent,
        points=points,
        between=between,
    )
