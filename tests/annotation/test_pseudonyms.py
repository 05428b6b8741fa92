"""Pseudonyms of annotators: the same in every release of a lake, in no other lake, and none before a release."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from hopchain_etl.annotation.pseudonyms import fingerprint, pseudonym, reader
from hopchain_etl.lake.lake import LakeError
from support.memory_store import MemoryStore, lake_in

KEY = "annotators/pseudonyms.key"


def test_a_name_has_one_pseudonym_in_a_lake_and_another_one_in_another_lake() -> None:
    lake, other = lake_in(MemoryStore()), lake_in(MemoryStore())
    assert pseudonym(lake, "ann") is None, "nobody has one before the first release"
    known = fingerprint(lake)
    named = reader(lake, known)("ann")
    assert fingerprint(lake) == known, "the key is made once"
    assert reader(lake, known)("ann") == pseudonym(lake, "ann") == named
    assert reader(lake, known)("bob") != named
    assert fingerprint(other) != known
    assert pseudonym(other, "ann") != named


def test_a_pseudonym_is_twelve_digits_of_the_keyed_name() -> None:
    """Whoever has the key can tell whose answers a release holds; so releases of all versions must say the same."""
    lake = lake_in(MemoryStore())
    key = b"0123"
    lake.store.put(KEY, key)
    assert fingerprint(lake) == hashlib.sha256(key).hexdigest()[:16]
    assert pseudonym(lake, "Zoë") == "annotator-" + hmac.digest(key, "Zoë".encode(), "sha256").hex()[:12]


def test_the_key_cannot_be_guessed_and_reveals_nothing_by_its_fingerprint() -> None:
    lake = lake_in(MemoryStore())
    known = fingerprint(lake)
    key = lake.store.get(KEY)
    assert len(bytes.fromhex(key.decode())) >= 32
    assert known.encode() not in key


def test_another_key_than_the_one_of_the_snapshot_is_refused() -> None:
    lake = lake_in(MemoryStore())
    known = fingerprint(lake)
    lake.store.put(KEY, b"another")
    with pytest.raises(LakeError, match=f"{KEY} is not the key of the snapshot"):
        reader(lake, known)


def test_without_a_key_in_the_snapshot_there_must_be_no_answers() -> None:
    lake = lake_in(MemoryStore())
    fingerprint(lake)
    with pytest.raises(LakeError, match="contains no pseudonym key"):
        reader(lake, None)("ann")
