"""Pseudonyms of annotators in releases; a person has the same pseudonym in every release of a lake.

A name is keyed (HMAC-SHA256) with random bytes that stay in the lake, so that names cannot be guessed
from a release by trying a list. Anyone who can read the key can also read the votes with the real names.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.object_store import MissingObjectError

_KEY = "annotators/pseudonyms.key"


def fingerprint(lake: Lake) -> str:
    """Return 16 hex digits that identify the lake's key; creates the key if it does not exist."""
    lake.store.put_if_absent(_KEY, secrets.token_hex(32).encode())
    return _fingerprint(lake.store.get(_KEY))


def reader(lake: Lake, expected: str | None) -> Callable[[str], str]:
    """Return a function from name to pseudonym; raise LakeError if the key is not the ``expected`` one.

    Without an expected key there are no answers, and the function must not be called.
    """
    if expected is None:
        return lambda name: _unknown(name, lake)
    key = lake.store.get(_KEY)
    if _fingerprint(key) != expected:
        raise LakeError(f"{lake.store.uri(_KEY)} is not the key of the snapshot; take a new snapshot")
    return lambda name: _pseudonym(key, name)


def pseudonym(lake: Lake, name: str) -> str | None:
    """Return the pseudonym of a name; None if no release was ever made of the lake, so that nobody has one."""
    try:
        return _pseudonym(lake.store.get(_KEY), name)
    except MissingObjectError:
        return None


def _pseudonym(key: bytes, name: str) -> str:
    return "annotator-" + hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:12]


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]


def _unknown(name: str, lake: Lake) -> str:
    raise LakeError(f"there are answers, but the snapshot of {lake.store.uri('')} contains no pseudonym key")
