"""Cards: a question with its answer, and for each hop its words, its colour and its mask, as pages show them.

``templates/cards.html.j2`` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hopchain_etl.hops.describe import HopWords, describe, describe_confirmations
from hopchain_etl.hops.query import Hop, Read, query_from_row
from hopchain_etl.imaging.thumbnails import COLOURS, mask_uri

Row = dict[str, Any]
WIDTH = 760  # px of pictures on a page


@dataclass(frozen=True)
class Look:
    """One hop for display: its words, who confirmed it, its colour and its mask."""

    number: int
    words: HopWords
    confirmed: str
    level: int
    colour: str
    mask: str | None
    several: bool  # it takes in more than one thing, whose masks would hide those of the other hops


@dataclass(frozen=True)
class Card:
    """One query with its photo and a mask layer for each hop."""

    query_id: str
    photo: str  # image_id
    question: str
    answer: str
    expr: str
    looks: tuple[Look, ...]
    eyes: str  # who saw what is in the photo


def card(row: Row, masks: Mapping[str, Row], eyes: str) -> Card:
    """Return the card of a row of the queries table; ``masks`` are those of its photo's instances, by instance_id, and
    ``eyes`` the models that saw them.
    """
    query = query_from_row(row)
    confirmed = describe_confirmations(row["confirmed_by"], len(query.hops))
    looks = tuple(_look(number, hop, confirmed[number - 1], masks) for number, hop in query.numbered())
    return Card(row["query_id"], row["image_id"], row["question"], row["answer"], row["expr"], looks, eyes)


def _look(number: int, hop: Hop, confirmed: str, masks: Mapping[str, Row]) -> Look:
    colour = COLOURS[(number - 1) % len(COLOURS)]
    layers = [masks[target] for target in hop.target if target in masks]
    return Look(
        number=number,
        words=describe(hop),
        confirmed=confirmed,
        level=hop.level,
        colour=f"rgb{colour}",
        mask=mask_uri(layers, colour, WIDTH) if layers else None,
        several=hop.read is Read.COUNT,
    )
