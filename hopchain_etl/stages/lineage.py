"""Fingerprints: which version of a stage's work a row belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from hopchain_etl.engines.base import Identity, canonical_json


@dataclass(frozen=True)
class Lineage:
    """Everything that decides a stage's output: change one fact and exactly the stages below have work.

    Stored as ``lineages/<fingerprint>.json``, so that a row can be traced to the models and prompts behind it.
    """

    stage: str
    revision: int  # the stage's own constant, raised when its code changes what it puts out
    identity: Identity
    upstream: str | None  # fingerprint of the stage above; None for the first after ingest
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """The lineage as plain JSON."""
        return {
            "stage": self.stage,
            "revision": self.revision,
            **identity_facts(self.identity),
            "params": self.params,
            "upstream": self.upstream,
        }

    @property
    def fingerprint(self) -> str:
        """12 hex digits over the facts."""
        return hashlib.sha256(canonical_json(self.facts).encode()).hexdigest()[:12]


def identity_facts(identity: Identity) -> dict[str, Any]:
    """Return who answers, and what is asked, as plain JSON."""
    facts = {"model": identity.model, "model_revision": identity.revision, "recipe": dict(identity.recipe)}
    return {**facts, "plan": dict(identity.plan)} if identity.plan else facts
