"""The template of a program: which relations and readings its hops have, without names and constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def template_of(hops: Iterable[Mapping[str, Any]]) -> str:
    """Return the template of a program from its hops as rows, such as ``named below>:number``.

    One word for each hop: its relation, ``>`` if it starts from another hop, and what it reads.
    """
    return " ".join(f"{hop['rel']}{'>' if hop['to'] else ''}{_after_colon(hop['read'])}" for hop in hops)


def has_hop(template: str, rel: str | None = None, read: str | None = None) -> bool:
    """Return whether some hop of a template has this relation, and some hop this reading; None: any."""
    words = [word.partition(":") for word in template.split()]
    rels, reads = {word[0].removesuffix(">") for word in words}, {word[2] for word in words}
    return (rel is None or rel in rels) and (read is None or read in reads)


def _after_colon(read: str | None) -> str:
    return f":{read}" if read else ""
