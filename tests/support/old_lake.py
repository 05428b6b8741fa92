"""Two small lakes as one version of the code left them: writes and reads ``old_lake.tar.gz`` and ``expected.json``.

``toy`` was built by the toy engines and has a withdrawn photo. ``vlm`` was built by the engines of the vllm profile on
a server that plays the model; people have answered a batch of its questions. ``test_old_lake.py`` shows that today's
code finds everything in them again. Run this file only where results are meant to change (or pyarrow, which writes the
Parquet files, is upgraded): ``PYTHONPATH=tests python -m support.old_lake [FOLDER]``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hopchain_etl.annotation.batches import Batch, assign, create, load, mark_decided, policy_of
from hopchain_etl.annotation.collect import collect, valid_votes_of_batch
from hopchain_etl.annotation.eligibility import excluded_queries, excluded_queries_of_lineage
from hopchain_etl.annotation.unasked import unassigned_queries
from hopchain_etl.annotation.voiding import void
from hopchain_etl.annotation.votes import Vote, vote_key
from hopchain_etl.concurrency import map_threads
from hopchain_etl.demo.s3_server import start, stop
from hopchain_etl.engines.base import Identity
from hopchain_etl.engines.factory import Engines
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.build import Build
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.snapshot import take_snapshot, to_bytes
from hopchain_etl.settings import AskSettings, Policy, Profile, ReleaseSettings, ScreenSettings, Settings, VlmSettings
from hopchain_etl.takedown.photos import withdraw
from support.drawn_lake import ANY_MIX
from support.s3 import s3_client
from support.scripted_server import Act, Body, Say, ScriptedServer, prompt_of, say_json
from support.toy_build import night, put_photos, settings_at
from support.toy_engines import CountedAuthor, passing, toy_engines
from support.vlm_puzzles import blob_of, engines_at, model, right_answer, role_of

BUCKET = "old-lake"  # stands in the uri of every photo
BATCH = "2026-01-01T020000"
TOY_PHOTOS, LATER_TOY_PHOTOS, VLM_PHOTOS = range(3), range(3, 5), range(7)
# What the played model makes of the vlm lake's photos, by number; of the others it makes good questions.
MOODS = {("detector", 4): "low", ("author", 5): "misworded", ("author", 6): "babbling"}
EASY, CONDEMNED = 2, 3  # its solver is always right here, its judge finds every question ambiguous here
ASK = AskSettings(combinations_per_image=2, queries_per_combination=1, max_tokens=500)
SCREEN = ScreenSettings(samples=2, blind_samples=1, blind_held_out=1)
POLICIES = {"toy": Policy.UNREVIEWED, "vlm": Policy.UNANIMOUS}
PARAMS = Params(validation_share=0.3, seed=1, rows_per_part=4, diversity=ANY_MIX)
# Of the program author that wrote the toy lake: its answers are in the journal.
AUTHOR = Identity("program-author", "10", {"queries_per_image": 3, "min_instances": 3, "max_instances": 6, "seed": 0})
NO_CLOCKS = {"started": 0.0, "seconds": 0.0, "model_seconds": 0.0, "requests": {}, "pid": 0}  # of stats.json
# Votes: number of the question, seat, revision, who, what is said. "right" is what the program says.
VOTES = (
    *((0, seat, 1, who, "right") for seat, who in enumerate(("ann", "ben", "cy", "dee"), 1)),
    (1, 1, 1, "ann", "0"),
    (1, 1, 2, "ann", "right"),  # corrected
    *((1, seat, 1, who, "right") for seat, who in enumerate(("ben", "cy", "dee"), 2)),
    (2, 1, 1, "ann", "right"),
    (2, 2, 1, "ben", "1000"),
    (3, 1, 1, "cy", None),  # refused as ambiguous
    (3, 2, 1, "eve", "right"),  # who is voided
    (3, 3, 1, "dee", "right"),
    (3, 3, 2, "dee", "taken back"),
)


# --- how the lakes are built ---


def settings_for(name: str, bucket: str, endpoint: str) -> Settings:
    """Return the settings of one of the lakes."""
    settings = settings_at(bucket, endpoint, name)
    lake = settings.lake.model_copy(update={"rows_per_part": 20})
    source = settings.source.model_copy(update={"uri": f"s3://{bucket}/{name}-photos"})
    return settings.model_copy(update={"lake": lake, "source": source, "screen": SCREEN})


def toy_engines_of_then(calls: Path) -> Engines:
    """Return the toy engines with the program author's revision when the lake was written."""
    return replace(toy_engines(calls), author=CountedAuthor(calls, AUTHOR))


def vlm_engines(server: ScriptedServer) -> Engines:
    """Return the engines of the vllm profile, but for the segmenter, at a server that plays the model."""
    asked = {"model": "scripted", "concurrency": 8, "timeout_seconds": 5, "invalid_retries": 1}
    return engines_at(VlmSettings.model_validate({**asked, "endpoint_url": server.url}), ASK)


def played(number_of: Mapping[str, int]) -> Callable[[Body, int], Act]:
    """Return the script of the played model; ``number_of`` tells a photo's number by the sha256 of its bytes."""
    play = model(lambda role, blob: MOODS.get((role, number_of.get(blob, -1)), "good"))

    def script(body: Body, times: int) -> Act:
        role, number = role_of(body), number_of.get(blob_of(body))
        if role == "judge" and number == CONDEMNED:
            return say_json({"verdict": "ambiguous", "reason": "dots may be counted twice"})
        if role == "solver" and number == EASY:
            return Say(f"I count. <answer>{right_answer(prompt_of(body))}</answer>")
        return play(body, times)

    return script


def fill_toy(settings: Settings, calls: Path) -> Build:
    """Build two intakes with the toy engines, of which the first has bad photos; withdraw a photo of the second."""
    source, engines = open_store(settings.source), toy_engines_of_then(calls)
    put_photos(settings.source, TOY_PHOTOS)
    source.put("copy.png", source.get("0000.png"))
    source.put("damaged.png", source.get("0001.png")[:1_000])
    night(settings, "first", engines)
    put_photos(settings.source, LATER_TOY_PHOTOS)
    _, build = night(settings, "second", engines)
    withdraw(build.lake, source.uri("0004.png"), "its owner asked")
    return build


def fill_vlm(settings: Settings) -> Build:
    """Build one intake with the engines of the vllm profile, and have people answer what may be asked of it."""
    put_photos(settings.source, VLM_PHOTOS)
    source = open_store(settings.source)
    number_of = {hashlib.sha256(source.get(f"{number:04d}.png")).hexdigest(): number for number in VLM_PHOTOS}
    with ScriptedServer(played(number_of)) as server:
        _, build = night(settings, "first", vlm_engines(server))
    vote(build, publish(build))
    (standing,) = collect(build.lake, passing)
    mark_decided(build.lake, BATCH, vars(standing))
    return build


def publish(build: Build) -> Batch:
    """Store a batch of all questions that nothing holds back, as ``orchestrate.publish_batch`` does."""
    new = unassigned_queries(build.lake, build.lineage, excluded_queries(build))
    query_ids = tuple(dict.fromkeys(query for found in new.values() for query in found))
    policy, shards = policy_of(build.settings.desk), tuple(map(str, new))
    batch = create(build.lake, Batch(BATCH, "scheduled__1", query_ids, policy, lineage=build.lineage, shards=shards))
    assign(build.lake, BATCH, ["ann", "ben", "cy", "dee", "eve"])
    return batch


def vote(build: Build, batch: Batch) -> None:
    """Store the votes as the desk does, each once; and the tombstone of an annotator."""
    right = {row["query_id"]: row["answer"] for row in rows_of(build, "generate")}
    for number, seat, rev, who, said in VOTES:
        query, retracted = batch.query_ids[number], said == "taken back"
        one = Vote(
            query_id=query,
            seat=seat,
            rev=rev,
            annotator=who,
            answer=None if retracted else right[query] if said == "right" else said,
            reject_reason="ambiguous" if said is None else None,
            seconds=9.5,
            answered_at=f"2026-01-02T10:{number:02}:{seat}{rev}Z",
            batch=batch.id,
            retracted=retracted,
        )
        assert build.lake.store.put_if_absent(vote_key(BATCH, one.query_id, one.seat, one.rev), one.data())
    void(build.lake, "eve", by="lead", reason="guesses")


# --- what is expected of them ---


def rows_of(build: Build, stage: str) -> list[dict[str, Any]]:
    """Return the rows of a stage's table, of all shards in order."""
    step, lake = build.steps[stage], build.lake
    shards = lake.completed_shards(step.stage.table, step.fingerprint)
    return [row for shard in shards for row in lake.read(step.stage.table, step.fingerprint, shard).to_pylist()]


def fingerprints(build: Build) -> dict[str, str]:
    """Return the fingerprint of each stage."""
    return {name: step.fingerprint for name, step in build.steps.items()}


def release_of(name: str, build: Build, out: Path) -> dict[str, str]:
    """Return the sha256 of ``snapshot.json`` and of each Parquet file that a release of this lake has."""
    release = ReleaseSettings(lineages=(build.lineage,), policy=POLICIES[name])
    snapshot = take_snapshot(build.lake, build.settings.model_copy(update={"release": release}))
    assemble(snapshot, PARAMS, build.lake, "default", out)
    files = {"snapshot.json": to_bytes(snapshot)}
    files |= {path.name: path.read_bytes() for path in sorted((out / "rows").iterdir())}
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def expected_of(name: str, build: Build, out: Path) -> dict[str, Any]:
    """Return what is expected of one lake."""
    return {
        "fingerprints": fingerprints(build),
        "query_ids": [row["query_id"] for row in rows_of(build, "generate")],
        "release": release_of(name, build, out),
    }


def profile_fingerprints(profile: Profile) -> dict[str, str]:
    """Return the fingerprints of the real engines of a profile under default settings."""
    return fingerprints(Build(Settings.model_validate({"engines": {"profile": profile}})))


def counted_votes(lake: Lake, batch: Batch) -> list[list[Any]]:
    """Return question, seat, revision, annotator and answer of each vote that counts."""
    return [[one.query_id, one.seat, one.rev, one.annotator, one.answer] for one in valid_votes_of_batch(lake, batch)]


def kept_from_people(lake: Lake, batch: Batch) -> dict[str, str]:
    """Return the questions of a batch's lineage that judge or solver refused, with the reason."""
    assert batch.lineage is not None
    held = excluded_queries_of_lineage(lake, batch.lineage)
    assert unassigned_queries(lake, batch.lineage, held) == {}, "a batch asks all others already"
    return {row["query_id"]: row["reason"] for row in held.rows.to_pylist()}


# --- the archive ---


def contents(lake: Lake) -> dict[str, bytes]:
    """Return all objects of a lake by key, but for locks, which name this machine, and clocks."""
    keys = [entry.key for entry in lake.store.list_objects() if not entry.key.startswith("locks/")]
    found = dict(zip(keys, map_threads(lake.store.get, keys), strict=True))
    for key in found:
        if key.endswith("/stats.json"):
            found[key] = json.dumps(json.loads(found[key]) | NO_CLOCKS, sort_keys=True, indent=1).encode()
    return found


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files by name as one archive; the same files give the same bytes."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)  # of the year 1970 and of nobody
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    path.write_bytes(gzip.compress(sink.getvalue(), 9, mtime=0))


def read_archive(path: Path, lake: str) -> dict[str, bytes]:
    """Return the objects of one lake by key."""
    found: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for entry in archive:
            data = archive.extractfile(entry)
            if data and entry.name.startswith(f"{lake}/"):
                found[entry.name.removeprefix(f"{lake}/")] = data.read()
    return found


def make(endpoint: str, folder: Path, scratch: Path) -> None:
    """Fill both lakes and write the archive and what is expected of it."""
    toy_settings, vlm_settings = (settings_for(name, BUCKET, endpoint) for name in ("toy", "vlm"))
    key = hashlib.sha256(b"a key that is secret in a real lake").hexdigest()
    open_store(vlm_settings.lake).put("annotators/pseudonyms.key", key.encode())
    builds = {"toy": fill_toy(toy_settings, scratch / "calls"), "vlm": fill_vlm(vlm_settings)}
    lake = builds["vlm"].lake
    batch = load(lake, BATCH)
    expected = {
        "lakes": {name: expected_of(name, build, scratch / name) for name, build in builds.items()},
        "profiles": {str(profile): profile_fingerprints(profile) for profile in Profile},
        "votes": counted_votes(lake, batch),
        "kept_from_people": kept_from_people(lake, batch),
    }
    files = {f"{name}/{key}": data for name, build in builds.items() for key, data in contents(build.lake).items()}
    write_archive(folder / "old_lake.tar.gz", files)
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def main(folder: Path) -> None:
    """Write both files into ``folder``, by means of an S3 server in a temporary folder."""
    with TemporaryDirectory() as scratch:
        s3 = Path(scratch) / "s3"
        try:
            server = start(s3)
            keys = server.credentials["admin"]
            os.environ.update(AWS_ACCESS_KEY_ID=keys.access_key, AWS_SECRET_ACCESS_KEY=keys.secret_key)
            s3_client(server.endpoint_url, keys).create_bucket(Bucket=BUCKET)
            make(server.endpoint_url, folder, Path(scratch))
        finally:
            stop(s3)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "data/old_lake")
