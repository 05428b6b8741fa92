"""Fingerprints: which version of a stage's work a row belongs to."""

from __future__ import annotations

import hashlib
from typing import Any

from hopchain_etl.engines.base import Identity, canonical_json


def fingerprint(stage: str, revision: int, identity: Identity, params: dict[str, Any], upstream: str | None) -> str:
    """Return 12 hex digits over everything that decides a stage's output.

    That is the stage's own revision constant, who answers (model, revision, prompt text and parameters in its
    recipe), the stage's parameters and the fingerprint upstream. Change one and exactly the stages below have work.
    """
    facts = {
        "stage": stage,
        "revision": revision,
        "model": identity.model,
        "model_revision": identity.revision,
        "recipe": dict(identity.recipe),
        "params": params,
        "upstream": upstream,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:12]
