"""Whom the desk knows as annotators, also if they have answered nothing yet."""

from __future__ import annotations

import json

from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.desk.practice import PRACTISED


class KnownPeople:
    """Whom the settings name as annotators, and who has finished the practice round; each record is read once."""

    def __init__(self, lake: Lake, settings: DeskSettings) -> None:
        self._lake = lake
        self._named = {entry.removeprefix("user:") for entry in settings.annotators if entry.startswith("user:")}
        self._practised: dict[str, str | None] = {}  # who is meant by a key

    def names(self) -> set[str]:
        """Return their names; costs a listing, and a request for each record that is new."""
        known = self._practised
        found = {entry.key: entry.key in known for entry in self._lake.store.list_objects(PRACTISED)}
        self._practised = {key: known[key] if is_known else self._read(key) for key, is_known in found.items()}
        return self._named | {name for name in self._practised.values() if name}

    def _read(self, key: str) -> str | None:
        name = json.loads(self._lake.store.get(key)).get("annotator")
        return None if name is None else str(name)
