"""The plainest job for a model: a number, asked about a photo of its own; for tests of clients, caches and budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hopchain_etl.engines.base import Photo


@dataclass(frozen=True)
class PlainJob:
    number: int

    @property
    def photo(self) -> Photo:
        return Photo("", f"{self.number:064x}", 1, 1, bytes)

    @property
    def payload(self) -> dict[str, Any]:
        return {"blob": self.photo.blob_sha, "n": self.number}
