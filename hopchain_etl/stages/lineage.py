"""Lineage: everything that decides a stage's rows, and its fingerprint (a hash)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from hopchain_etl.engines.base import Identity, canonical_json, identity_facts


@dataclass(frozen=True)
class Lineage:
    """Everything that determines a stage's output: if one fact changes, this stage and those below it run again.

    Stored as ``lineages/<fingerprint>.json``, so that a row can be traced to the models and prompts behind it.
    """

    stage: str
    revision: int  # the stage's own constant, increased when a code change changes its output
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
