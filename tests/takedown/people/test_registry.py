"""Erasing a person from the registry: every version can be pulled as before, and no reference has the pseudonym."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import pyarrow.parquet as pq
import pytest

from hopchain_etl.annotation.pseudonyms import pseudonym
from hopchain_etl.release.drop_guard import ReleaseRefusedError
from hopchain_etl.release.registry import publish, releases
from hopchain_etl.settings import Settings
from hopchain_etl.takedown.people.command import erase_person, what_erase_changes
from hopchain_etl.takedown.people.erase import PersonError, unfinished
from hopchain_etl.takedown.people.export import export_person
from hopchain_etl.takedown.people.registry import rename_in_registry
from hopchain_etl.training_set.verify import verify
from support import person_traces, taken
from support.person_traces import NAME, read_lines
from support.registry_world import World

pytestmark = [pytest.mark.s3, pytest.mark.slow]
Row = dict[str, Any]


def released(world: World) -> tuple[Settings, str]:
    """Publish a version with the person's answers and the research artifact; return the settings and its tag."""
    prints = person_traces.fill(world.lake)
    settings = world.settings(prints.queries, release={"research": True, "policy": "unanimous"})
    return settings, publish(settings).tag or ""


def rows_of(world: World, tag: str, name: str) -> list[Row]:
    """Pull a version and return its rows, verified."""
    pulled = world.pull(tag, name)
    assert pulled.returncode == 0, pulled.stderr
    assert verify(world.folder / name).ok
    files = sorted((world.folder / name / "training_set" / "default" / "rows").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_a_version_stays_with_another_pseudonym_and_the_next_publish_has_nothing_new(world: World) -> None:
    settings, tag = released(world)
    lake, old = world.lake, pseudonym(world.lake, NAME)
    assert old
    before = rows_of(world, tag, "before")
    assert len(before) == 4
    needles = [needle for needle in person_traces.needles(lake) if needle != b"a secret comment"]
    assert taken.traces(world.store, needles)
    counts = export_person(settings, NAME, world.folder / "mine")
    lines = read_lines(world.folder / "mine" / "released.jsonl")
    assert counts["released"] == len(lines) > 4
    assert {row["annotator"] for row in lines} == {old}
    assert {row["table"] for row in lines} == {"released rows", "research votes"}
    assert what_erase_changes(settings, NAME, "keep")["released"] == len(lines)

    desk = settings.desk.model_copy(update={"leads": (f"user:{NAME}",)})
    with pytest.raises(PersonError, match=r"may still log in: remove them from desk\.leads"):
        erase_person(settings.model_copy(update={"desk": desk}), NAME, "keep")
    world.git("config", "receive.denyNonFastForwards", "true")
    with pytest.raises(PersonError, match=r"(?s)nothing was deleted.*allow forced pushes.*what remains: registry"):
        erase_person(settings, NAME, "keep")
    assert unfinished(lake) == ["registry"]
    world.git("config", "receive.denyNonFastForwards", "false")

    done = erase_person(settings, NAME, "keep")

    assert done["rewritten"] >= 2
    assert taken.traces(world.store, needles) == set()
    assert taken.traces_in_git(world.bare, needles) == set()
    assert taken.traces(lake.store, needles) == set()
    assert [one["tag"] for one in releases(settings)] == [tag]
    new = pseudonym(lake, done["pseudonym"])
    after = rows_of(world, tag, "after")
    assert after == [{**row, "annotators": [new if who == old else who for who in row["annotators"]]} for row in before]
    assert publish(settings).note == "no rows, or the rows have not changed since the last version"
    status = world.git("show", "main:dvc.lock")
    size = sum(file.stat().st_size for file in (world.folder / "after/training_set/default/rows").iterdir())
    assert f"size: {size}" in status, "sizes are those of the new files"
    assert erase_person(settings, NAME, "keep")["changed"] == {}


def test_dropped_votes_stay_in_old_versions_under_a_pseudonym_and_the_next_release_is_refused(world: World) -> None:
    settings, tag = released(world)
    lake, old = world.lake, pseudonym(world.lake, NAME)
    erase_person(settings, NAME, "drop")
    person_traces.collect_all(lake)
    needles = [(old or "").encode(), NAME.encode()]
    assert taken.traces_in_git(world.bare, needles) | taken.traces(world.store, needles) == set()
    assert [one["tag"] for one in releases(settings)] == [tag]
    with pytest.raises(ReleaseRefusedError):
        publish(settings)


def test_checksums_of_what_names_the_pseudonym_follow(world: World) -> None:
    settings, work = world.settings("0" * 12), world.folder / "work"
    subprocess.run(["git", "clone", "-q", str(world.bare), str(work)], check=True)
    old, new = "annotator-0123456789ab", "annotator-ba9876543210"
    snapshot = json.dumps({"voided": [old, "annotator-other"]}).encode()
    before, after = (hashlib.md5(text, usedforsecurity=False).hexdigest() for text in
                     (snapshot, snapshot.replace(old.encode(), new.encode())))  # fmt: skip
    (work / "snapshot.json").write_bytes(snapshot)
    (work / "dvc.lock").write_text(f"deps:\n- path: snapshot.json\n  md5: {before}\n  size: {len(snapshot)}\n")
    for args in (["add", "--all"], ["commit", "-qm", f"of {old}"], ["push", "-q", "origin", "HEAD:main"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *args], cwd=work, check=True)
    assert rename_in_registry(settings, old, new)["rewritten_refs"] > 0
    assert world.git("show", "main:dvc.lock").split()[-3:] == [after, "size:", str(len(snapshot))]
    assert world.git("show", "main:snapshot.json") == snapshot.decode().replace(old, new)
    assert taken.traces_in_git(world.bare, [old.encode(), before.encode()]) == set()
    assert rename_in_registry(settings, old, new) == {"rewritten": 0, "rewritten_refs": 0}
