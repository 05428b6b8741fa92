"""Operators that spoil the English of a question, or what a hop calls its target."""

from __future__ import annotations

import random

from hopchain_etl.hops.instance import parse_phrase
from hopchain_etl.hops.query import Query, Read, Relation
from hopchain_etl.hops.scene import Scene
from support.mutations.base import Operator, Spoiled, picked, says, with_hop


def forbidden_word(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It speaks of what only the author saw."""
    words = ("It lies in the bounding box.", "Use its mask.", "See the second crop.", "Mind the coordinates.",
             "It is the third instance.", "The detector found it.", "This is h2.", "Take a segment.")  # fmt: skip
    return says(query, rng.choice(words)), scene


def names_id(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It names an instance by its id."""
    return says(query, f"It is {rng.choice(('9c1185a5c5e9fc54', 'e5b7e1c04a2d'))}."), scene


def their_side(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It speaks of somebody else's left or right."""
    words = (
        "Mind what is on her left.",
        "It stands at his right side.",
        "Seen from its point of view.",
        "Go clockwise.",
    )
    return says(query, rng.choice(words)), scene


def quoted_reading(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It quotes what is to be read."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.TEXT, Read.NUMBER))
    return (says(query, f'It reads "{query.hops[number - 1].value}".'), scene) if number else None


def reading_beside(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It says what is to be read beside the name of what it is read off."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.NUMBER, Read.COLOUR, Read.COUNT))
    if number is None:
        return None
    hop = query.hops[number - 1]
    noun = parse_phrase(hop.category)[1]
    many = "s" if hop.read is Read.COUNT and hop.value != 1 and not noun.endswith("s") else ""
    words = f"number {hop.value}" if noun == "number" and hop.read is Read.NUMBER else f"{hop.value} {noun}{many}"
    return says(query, f"Look at the {words}."), scene


def reading_in_phrase(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """What a hop is to read is part of what it calls its target."""
    number = picked(query, rng, lambda _, hop: hop.read in (Read.NUMBER, Read.TEXT, Read.COLOUR))
    if number is None:
        return None
    hop = query.hops[number - 1]
    noun = parse_phrase(hop.category)[1]
    return with_hop(
        query, number, category=f"{hop.value} {noun}" if hop.read is Read.COLOUR else f'{noun} "{hop.value}"'
    ), scene


def vague_start(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """The first reference loses what made it fit one instance only."""
    start = query.hops[0]
    noun = parse_phrase(start.category)[1]
    if start.rel is not Relation.NAMED or noun == start.category or len(scene.matching(noun)) < 2:
        return None
    return with_hop(query, 1, category=noun), scene


def unseen_text(query: Query, scene: Scene, rng: random.Random) -> Spoiled | None:
    """It quotes what stands nowhere in the picture."""
    return (says(query, 'Mind the words "Quokka Island".'), scene) if scene.texts else None


OPERATORS: tuple[Operator, ...] = (
    forbidden_word, names_id, their_side, quoted_reading, reading_beside, reading_in_phrase, vague_start,
    unseen_text,
)  # fmt: skip
