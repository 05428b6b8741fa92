"""What an export says of a row's program: its hops with values and boxes, and its reasoning in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hopchain_etl.hops.expression import ExpressionError, number_of, parse
from hopchain_etl.hops.query import Hop, Query, QueryError, hop_from_row, query_from_row
from hopchain_etl.hops.reasoning import reasoning, step
from hopchain_etl.training_set.rewards import grade_any

COLUMNS = ("hops", "expr", "hops_half", "expr_half", "hops_single", "expr_single", "program_agrees", "instances")
_THOUSAND = 1_000  # Qwen3-VL states boxes in thousandths of width and height
_Row = Mapping[str, Any]


def hops_of(row: _Row, variant: str) -> list[dict[str, Any]] | None:
    """Return the hops of a variant as rows of ``formats.HOPS``; None if it has no program.

    A hop has the boxes of everything that it finds or counts: none if it refers to the whole image. It has no value if
    people and program differ, because then its reading may be what is wrong.
    """
    try:
        hops = _hops(row, variant)
    except QueryError:
        return None
    if hops is None:
        return None
    written: Sequence[_Row] = row[_name("hops", variant)]
    boxes = {one["instance_id"]: _share(one["box"], row["width"], row["height"]) for one in row["instances"]}
    return [
        {
            "text": step(hops, number),
            **{name: stated[name] for name in ("category", "rel", "to", "read", "arg", "words", "value")},
            "boxes": [boxes[one] for one in hop.target if one in boxes],
            "boxes_1000": [[round(edge * _THOUSAND) for edge in boxes[one]] for one in hop.target if one in boxes],
        }
        for number, (hop, stated) in enumerate(zip(hops, written, strict=True), 1)
    ]


def response_of(row: _Row, variant: str, answer: str) -> str | None:
    """Return an answer to imitate: the reasoning of a variant's program, and the boxed answer.

    None if the variant has no program or it gives another answer, if people and program differ, or if the text would
    not be graded as right (a reading may quote anything that is written in a photo).
    """
    if variant == "full" and not row["program_agrees"]:
        return None
    try:
        query = _query(row, variant, answer)
        if query is None or number_of(parse(query.expr), query.values) != query.answer:
            return None
        lines = reasoning(query)
    except (QueryError, ExpressionError):
        return None
    text = "\n".join([*lines, f"The answer is \\boxed{{{answer}}}."])
    graded = grade_any(text, answer)
    return text if graded and graded.correct else None


def _query(row: _Row, variant: str, answer: str) -> Query | None:
    """Return the program of a variant, with the answer that it should give; None if there is none."""
    hops, expr = row[_name("hops", variant)], row[_name("expr", variant)]
    if hops is None or expr is None:
        return None
    return query_from_row({"question": "", "hops": hops, "expr": expr, "answer": answer})


def _hops(row: _Row, variant: str) -> list[Hop] | None:
    written = row[_name("hops", variant)]
    return None if written is None else [hop_from_row(hop, number) for number, hop in enumerate(written, 1)]


def _name(column: str, variant: str) -> str:
    return column if variant == "full" else f"{column}_{variant}"


def _share(box: Sequence[float], width: int, height: int) -> list[float]:
    """Return a box in px as shares of the image, 0 to 1."""
    sizes = (width, height, width, height)
    return [min(max(edge / size, 0.0), 1.0) for edge, size in zip(box, sizes, strict=True)]
