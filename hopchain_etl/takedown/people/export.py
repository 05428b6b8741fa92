"""``hopchain person export``: everything that lake and registry hold about one person, as JSON lines and CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from hopchain_etl.annotation.csv_cells import CSV_ENCODING, safe_cell
from hopchain_etl.annotation.pseudonyms import pseudonym
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import Settings
from hopchain_etl.takedown.people.documents import Found, documents, packed
from hopchain_etl.takedown.people.registry import rows_in_registry
from hopchain_etl.takedown.people.stores import STORES, Form, Rule
from hopchain_etl.takedown.people.tables import rows_of, shards_with
from hopchain_etl.templating import render

RELEASED = "released"
_STORED = (one for one in STORES if one.form in (Form.JSON, Form.TABLE) and one.rule is not Rule.PLAN)
_KINDS = {one.name: one.holds for one in _STORED} | {
    RELEASED: "rows of released versions and of the research artifact with the answers under the pseudonym"
}

JSON = dict[str, Any]


def export_person(settings: Settings, name: str, folder: Path) -> JSON:
    """Write all that is held about a person into a folder, and return the number of records of each kind.

    Of each kind there are ``<kind>.jsonl``, complete, and ``<kind>.csv``, with nested values as JSON; README.md says
    what each is. Raises FileExistsError if the folder has files, and LakeError if something in the lake is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} has files; choose another folder, so that nobody gets what is about others")
    lake = Lake(settings.lake)
    known = pseudonym(lake, name)
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for kind, record in _records(settings, lake, name, known):
            if kind not in files:
                files[kind] = stack.enter_context((folder / f"{kind}.jsonl").open("w", encoding="utf-8"))
            files[kind].write(json.dumps(record, ensure_ascii=False) + "\n")
            counts[kind] = counts.get(kind, 0) + 1
    for kind in counts:
        _write_csv(folder / f"{kind}.jsonl", folder / f"{kind}.csv")
    kinds = [{"name": kind, "holds": holds, "count": counts.get(kind, 0)} for kind, holds in sorted(_KINDS.items())]
    readme = render("takedown.people", "person.md.j2", person=name, pseudonym=known, kinds=kinds)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return dict(sorted(counts.items()))


def export_as_zip(settings: Settings, name: str) -> tuple[bytes, JSON]:
    """Return the same files as a ZIP file, and the numbers."""
    with tempfile.TemporaryDirectory() as folder:
        counts = export_person(settings, name, Path(folder))
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed_files:
            for path in sorted(Path(folder).iterdir()):
                packed_files.write(path, path.name)
    return sink.getvalue(), counts


def _records(settings: Settings, lake: Lake, name: str, known: str | None) -> Iterator[tuple[str, JSON]]:
    """Yield each record with its kind; ``known`` is the pseudonym in releases."""
    for one in documents(lake, name):
        yield one.store.name, _record(one)
    for one in packed(lake, name):
        yield one.store.name, {**_record(one), "archive": one.archive}
    for shard in shards_with(lake, name):
        place = {"fingerprint": shard.place[1], "shard": str(shard.place[2]), "pseudonym": known}
        yield from (("answers", {**place, **row}) for row in rows_of(lake, shard, name))
    if known and settings.registry.git_url:
        yield from ((RELEASED, row) for row in rows_in_registry(settings, known))


def _record(one: Found) -> JSON:
    damaged = {} if one.document or one.data == b"{}" else {"damaged_base64": base64.b64encode(one.data).decode()}
    return {"key": one.key, **one.document, **damaged}


def _write_csv(lines: Path, table: Path) -> None:
    """Write JSON lines as CSV; the columns are those of all lines, in the order in which they come first."""
    with lines.open(encoding="utf-8") as read:
        columns = list(dict.fromkeys(name for line in read for name in json.loads(line)))
    with lines.open(encoding="utf-8") as read, table.open("w", encoding=CSV_ENCODING, newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(columns)
        for line in read:
            row = json.loads(line)
            writer.writerow([_cell(row.get(name)) for name in columns])


def _cell(value: Any) -> Any:
    nested = isinstance(value, (dict, list, bool))
    return safe_cell(json.dumps(value, ensure_ascii=False) if nested else value)
