"""Converts a model's program (labels i1, i2) to rows of the lake (instance ids), and its variants."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hopchain_etl.engines.base import Row
from hopchain_etl.engines.prompts import json_line
from hopchain_etl.hops.draft_variants import variant_of_draft
from hopchain_etl.hops.expression import ExpressionError
from hopchain_etl.hops.query import QueryError, Read, Relation, query_from_row
from hopchain_etl.hops.variants import VARIANTS, to_row

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,5})(?:\.\d{1,3})?", re.ASCII)
_NUMBERS = frozenset({Read.NUMBER, Read.PARTS, Read.COUNT})
# What a prompt calls a side without a start; models take "left_of" without one for an omission.
_OUTERMOST = {
    "leftmost": Relation.LEFT_OF,
    "rightmost": Relation.RIGHT_OF,
    "topmost": Relation.ABOVE,
    "lowest": Relation.BELOW,
}
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def labels(rows: Sequence[Row]) -> dict[str, str]:
    """Return what instances are called in a prompt, by instance id: i1, i2, ..."""
    return {row["instance_id"]: f"i{number}" for number, row in enumerate(rows, start=1)}


def hop_row(hop: Mapping[str, Any], ids: Mapping[str, str]) -> Row:
    """Return a hop that a model wrote as a row of the lake; ``ids`` gives the instance of each label.

    An unknown label stays unchanged and is rejected by the checks, as is a reading of the wrong type. A count has no
    single target, whatever the model names.
    """
    target = [] if hop["read"] == Read.COUNT else [ids.get(label, label) for label in hop["target"]]
    rel = _OUTERMOST.get(hop["rel"], hop["rel"])
    return {**hop, "target": target, "rel": rel, "value": _value(hop), "words": hop.get("words")}


def draft_row(written: Mapping[str, Any], ids: Mapping[str, str], combination: Sequence[str]) -> Row:
    """Return a question that a model wrote in the format of an author's content, with its variants as programs.

    A variant that cannot be a program (it uses hops that it drops, or has no number for an answer) has no answer.
    """
    row = {
        **{key: written[key] for key in ("question", "expr", "answer")},
        "hops": [hop_row(hop, ids) for hop in written["hops"]],
        "combination": list(combination),
    }
    try:
        query = query_from_row(row)
    except QueryError:
        return row  # the checks say what is wrong with it
    for kind in VARIANTS:
        if (variant := written[kind]) is not None:
            try:
                words = variant.get("words")
                row |= to_row(kind, variant_of_draft(kind, query, variant["question"], variant["expr"], words))
            except (ExpressionError, ValueError):
                row |= {f"question_{kind}": variant["question"]}  # the checks refuse it as incomplete
    return row


def as_written(draft: Mapping[str, Any], label_of: Mapping[str, str]) -> str:
    """Return a draft (``base.Author``) as one line of JSON with labels, as its author wrote it, without variants."""
    named = {rel: name for name, rel in _OUTERMOST.items()}
    hops = [
        {
            **hop,
            "target": [label_of.get(one, one) for one in hop["target"]],
            "rel": hop["rel"] if hop["to"] else named.get(hop["rel"], hop["rel"]),
            "value": _written(hop["value"]),
        }
        for hop in draft["hops"]
    ]
    return json_line({"hops": hops, **{key: draft[key] for key in ("expr", "answer", "question")}})


def _written(value: str | None) -> str | None:
    """Return a stored reading as a model writes it: text without quotes."""
    return json.loads(value) if value and value.startswith('"') else value


def note(fact: Mapping[str, Any], label_of: Mapping[str, str]) -> str:
    """Return a fact of ``hops.round_trip.unexecutable_facts`` in words."""
    where = ", ".join(label_of.get(one, "?") for one in fact["of"]) or "the whole photograph"
    if fact["read"] == Read.COUNT:
        to = ", ".join(label_of.get(one, "?") for one in fact["to"])
        place = f"{fact['rel'].replace('_', ' ')} {to}" if to else where
        return f"how many {json_line(fact['category'])}, {place}: {fact['value']}"
    reading = f"{fact['read']} {json_line(fact['arg'])}" if fact["arg"] else fact["read"]
    return f"{where}: {reading}: {fact['value']}"


def _value(hop: Mapping[str, Any]) -> str | None:
    """Return a reading as the lake stores it: JSON of a number, a boolean or a string, by the kind of reading."""
    text = hop["value"]
    if text is None or hop["read"] is None:
        return None
    text = text.strip()
    if hop["read"] in _NUMBERS and _NUMBER.fullmatch(text):
        return str(text)
    if hop["read"] == Read.PRESENT and text.casefold() in _TRUTHS:
        return json.dumps(_TRUTHS[text.casefold()])
    return json.dumps(text, ensure_ascii=False)
