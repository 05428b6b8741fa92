from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from rich.console import Console

from hopchain_etl.cli import app, release
from hopchain_etl.lake.stores import open_store
from hopchain_etl.release import image_parts
from hopchain_etl.release.changelog import Changes
from hopchain_etl.release.drop_guard import ReleaseRefusedError
from hopchain_etl.release.dvc_objects import object_key
from hopchain_etl.release.git import RegistryError, settings_env
from hopchain_etl.release.proposal import propose
from hopchain_etl.release.registry import publish, releases
from hopchain_etl.release.versions import Release
from hopchain_etl.release.withdrawn import tell_withdrawn
from hopchain_etl.takedown.everywhere import erase
from hopchain_etl.training_set.verify import verify
from hopchain_etl.training_set.withdrawn import hash_of_image
from support import drawn_lake
from support.registry_world import World, a_world, clean_env
from support.taken import traces

pytestmark = [pytest.mark.s3, pytest.mark.slow]

RUNNER = typer.testing.CliRunner()


@pytest.fixture
def whole_world(bucket: Any, s3_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """With the suite, and with DVC in processes of its own."""
    return a_world(bucket, s3_server, tmp_path, monkeypatch)


def test_two_releases_are_pulled_by_a_reader_and_only_new_bytes_travel(
    whole_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = whole_world
    monkeypatch.setattr(image_parts, "PART_BYTES", 2_500)  # drawn photos have about 1.5 kB each
    prints, _ = drawn_lake.fill(world.lake, range(5))
    settings = world.settings(prints.queries)
    first = publish(settings)
    assert (first.tag, first.rows, first.releases[0].bump) == ("training-set/default@v0.1.0", 10, "first")
    assert len(first.new_parts) > 1
    before = world.remote()

    again = publish(settings)
    assert not again.changed
    assert world.remote() == before

    drawn_lake.fill(world.lake, range(10, 12), intake="second")
    second = publish(settings)
    after = world.remote()
    assert (second.tag, second.rows, second.releases[0].bump) == ("training-set/default@v0.2.0", 14, "minor")
    assert before.items() <= after.items()
    gained = sum(size for key, size in after.items() if key not in before)
    assert gained == second.pushed_bytes

    assert world.pull(first.tag, "one").returncode == 0
    assert world.pull(second.tag, "two").returncode == 0
    one, two = world.folder / "one", world.folder / "two"
    assert (verify(one).rows, verify(two).rows) == (10, 14)
    assert verify(one).ok
    assert verify(two).ok
    old = {path.name: path.read_bytes() for path in (one / "training_set/images").glob("*.parquet")}
    new = {path.name: path.read_bytes() for path in (two / "training_set/images").glob("*.parquet")}
    assert old
    assert old.items() < new.items()
    assert sorted(new.keys() - old.keys()) == [f"{part}.parquet" for part in second.new_parts]
    rows = sum(path.stat().st_size for path in (two / "training_set/default/rows").iterdir())
    parts = sum(len(new[f"{part}.parquet"]) for part in second.new_parts)
    assert gained <= 1.2 * (parts + rows)

    card = (two / "training_set/default/README.md").read_text()
    assert "no human has answered 14 of these 14 queries" in " ".join(card.replace("> ", "").replace("*", "").split())
    listed = releases(settings)
    assert [one["tag"] for one in listed] == [first.tag, second.tag]
    assert (listed[1]["rows"], listed[1]["images"], listed[1]["policy"]) == (14, 7, "unreviewed")
    assert listed[1]["bytes"] == rows + sum(map(len, new.values()))
    assert "generate=test-generate@1" in listed[1]["engines"]
    log = (two / "training_set/default/CHANGELOG.md").read_text()
    assert log.index("## v0.2.0") < log.index("## v0.1.0")
    assert "14 rows, 10 before: 4 added." in log


def test_the_configuration_of_dvc_of_the_user_changes_neither_what_is_committed_nor_where_data_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_user, of_machine = world.folder / "user", world.folder / "machine"
    of_user.mkdir()
    of_machine.mkdir()
    (of_user / "config").write_text("[core]\nno_scm = true\n['remote \"storage\"']\nprofile = another\n")
    (of_machine / "config").write_text(
        f"[core]\nautostage = true\n[cache]\ndir = {world.folder}/shared-cache\ntype = symlink\n"
        "['remote \"storage\"']\naccess_key_id = another\n"
    )
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(of_user))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(of_machine))
    prints, _ = drawn_lake.fill(world.lake, range(1))
    tag = publish(world.settings(prints.queries, release={"research": True})).tag
    assert tag
    files = world.git("ls-tree", "-r", "--name-only", tag).split()
    assert "training_set/images/part-00000.parquet.dvc" in files
    assert not [file for file in files if file.endswith(".parquet")]
    assert not (world.folder / "shared-cache").exists()
    monkeypatch.delenv("DVC_GLOBAL_CONFIG_DIR")
    monkeypatch.delenv("DVC_SYSTEM_CONFIG_DIR")
    assert world.pull(tag, "pulled").returncode == 0
    assert verify(world.folder / "pulled").ok


def test_the_data_of_a_registry_may_lie_in_a_folder(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(2))
    remote = {"remote": {"uri": f"file://{world.folder}/the data"}}
    settings = world.settings(prints.queries, registry=remote)
    first = publish(settings)
    assert first.pushed_bytes > 1_000
    assert world.pull(first.tag or "", "one").returncode == 0
    assert verify(world.folder / "one").rows == 4
    assert "AWS" not in (world.folder / "one/README.md").read_text()

    image = queries[0]["image_id"]
    assert erase(settings, image, "asked")["yanked"] == [first.tag]
    assert settings.registry.remote
    assert traces(open_store(settings.registry.remote), [image.encode()]) == set()


def test_a_tag_that_was_made_by_hand_is_listed_without_the_facts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    settings = world.settings(prints.queries)
    tag = publish(settings).tag
    assert tag
    world.git("tag", "training-set/other@v0.1.0", f"{tag}^{{commit}}")
    said = "rows: many\tof them\npolicy: 3 of 4: nearly all"
    world.git("-c", "user.name=a", "-c", "user.email=a@b", "tag", "-m", said, "training-set/other@v0.2.0", tag)
    made, by_hand, with_message = releases(settings)
    assert (with_message["rows"], with_message["policy"]) == (None, "3 of 4: nearly all")
    unknown = {name: by_hand[name] for name in ("rows", "images", "bytes", "policy", "engines")}
    assert ((made["tag"], made["rows"]), set(unknown.values())) == ((tag, 2), {None})
    monkeypatch.setattr(release, "console", Console(width=200))
    shown = RUNNER.invoke(app, ["releases"], env=settings_env(settings))
    assert shown.exit_code == 0, shown.exception
    assert [line.count("?") for line in shown.stdout.splitlines() if "training-set" in line] == [0, 5, 4]


def test_rows_that_go_away_are_a_major_version(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(3))
    settings = world.settings(prints.queries)
    publish(settings)
    world.lake.write_tombstone(queries[0]["image_id"], reason="asked", blob_sha=None)
    result = publish(settings)
    assert (result.version, result.releases[0].bump, result.new_parts) == ("1.0.0", "major", ())
    assert world.pull(result.tag or "", "now").returncode == 0
    assert queries[0]["image_id"] not in (world.folder / "now/training_set/default/metrics.json").read_text()
    assert verify(world.folder / "now").rows == 4
    changes = json.loads((world.folder / "now/training_set/default/changes.json").read_text())
    gone = sorted(query["query_id"] for query in queries if query["image_id"] == queries[0]["image_id"])
    assert (changes["before"], changes["after"], changes["added"]) == (6, 4, 0)
    assert (changes["removed"], changes["changed"]) == ({"withdrawn": gone}, {})


def test_answers_to_released_queries_are_a_minor_version(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(2))
    settings = world.settings(prints.queries)
    publish(settings)
    drawn_lake.answer(world.lake, prints.queries, queries)
    result = publish(settings)
    assert (result.version, result.releases[0].policy) == ("0.2.0", "unanimous")


def test_rows_that_are_lost_for_no_good_reason_are_published_only_if_asked_for(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(3))
    drawn_lake.answer(world.lake, prints.queries, queries[:4], policy={"seats": 4, "agree": 3})
    first = publish(world.settings(prints.queries, release={"policy": "unanimous"}))
    assert (first.rows, first.releases[0].policy) == (4, "3 of 4")
    refs, remote = world.refs(), world.remote()

    strict = world.settings(prints.queries, release={"policy": "unanimous"}, desk={"seats": 5, "agree": 5})
    assert not publish(strict).changed  # the batch's rule holds, not today's
    drawn_lake.answer(world.lake, prints.queries, [], policy={"seats": 4, "agree": 3})  # everybody was voided
    with pytest.raises(ReleaseRefusedError, match=r"v1\.0\.0: 0 rows, 4 before.*not_enough_answers 4.*--force"):
        publish(strict)
    with pytest.raises(ReleaseRefusedError, match="--force"):
        propose(strict, "manual__1")
    assert (world.refs(), world.remote()) == (refs, remote)
    forced = publish(strict, force=True)
    assert (forced.version, forced.rows) == ("1.0.0", 0)


def test_all_photos_may_be_withdrawn(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(2))
    settings = world.settings(prints.queries)
    publish(settings)
    for image in {query["image_id"] for query in queries}:
        world.lake.write_tombstone(image, reason="asked", blob_sha=None)
    assert publish(settings).version == "1.0.0"


def test_another_instruction_is_a_major_version_that_names_the_prompt(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(1))
    publish(world.settings(prints.queries))
    result = publish(world.settings(prints.queries, release={"answer_instruction": "Say <answer>N</answer>."}))
    assert (result.version, result.releases[0].bump) == ("1.0.0", "major")
    assert result.releases[0].changes.changed == {"prompt": sorted(query["query_id"] for query in queries)}


def test_nothing_to_release_makes_no_version(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    result = publish(world.settings(prints.queries, release={"policy": "unanimous"}))
    assert not result.changed
    assert world.refs() == ""


def test_withdrawn_photos_are_told_although_nothing_is_released(world: World) -> None:
    def told() -> set[str]:
        return set(json.loads(world.git("show", "main:withdrawn.json")))

    prints, queries = drawn_lake.fill(world.lake, range(2))
    settings = world.settings(prints.queries)
    assert not tell_withdrawn(settings, ["0" * 64])  # an empty registry has no clones
    publish(settings)
    image, elsewhere = queries[0]["image_id"], "f" * 64
    world.lake.write_tombstone(elsewhere, reason="asked", blob_sha=None)
    assert not publish(settings).changed
    assert told() == {hash_of_image(elsewhere)}
    world.lake.write_tombstone(image, reason="asked", blob_sha=None)
    assert publish(settings, approve=lambda drafts: False).note == "not approved"
    assert told() == {hash_of_image(elsewhere), hash_of_image(image)}
    before = world.refs()
    publish(settings, approve=lambda drafts: False)
    assert not tell_withdrawn(settings, [image])
    assert world.refs() == before
    assert tell_withdrawn(settings, ["e" * 64])
    assert len(told()) == 3
    assert publish(settings).version == "1.0.0"


def test_photos_that_are_withdrawn_during_a_publish_do_not_stop_it_unless_they_are_in_it(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(2))
    settings = world.settings(prints.queries)
    publish(settings)
    drawn_lake.fill(world.lake, range(2, 3), intake="second")

    second = publish(settings, approve=lambda drafts: tell_withdrawn(settings, ["0" * 64]))
    named = set(json.loads(world.git("show", f"{second.tag}:withdrawn.json")))
    assert (second.version, named) == ("0.2.0", {hash_of_image("0" * 64)})
    assert world.pull(second.tag or "", "second").returncode == 0
    assert verify(world.folder / "second").rows == 6

    drawn_lake.fill(world.lake, range(3, 4), intake="third")
    image, refs = queries[0]["image_id"], world.refs()

    def withdraw_ours(drafts: Any) -> bool:
        world.lake.write_tombstone(image, reason="asked", blob_sha=None)
        return tell_withdrawn(settings, [image])

    with pytest.raises(RegistryError, match="1 of its photos were withdrawn meanwhile; run it again"):
        publish(settings, approve=withdraw_ours)
    assert [line for line in world.refs().splitlines() if "tags" in line] == [
        line for line in refs.splitlines() if "tags" in line
    ]
    assert (publish(settings).version, world.git("diff", "main", "training-set/default@v1.0.0")) == ("1.0.0", "")


def test_a_refused_approval_leaves_everything_as_it_was(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    seen: list[Release] = []

    def refuse(drafts: Any) -> bool:
        seen.extend(drafts)
        return False

    assert not publish(world.settings(prints.queries), approve=refuse).changed
    assert [draft.tag for draft in seen] == ["training-set/default@v0.1.0"]
    assert (world.refs(), world.remote()) == ("", {})


def test_a_failed_byte_push_leaves_the_registry_as_it_was(
    whole_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = whole_world
    drawn_lake.leave_out_the_suite(monkeypatch, tmp_path)
    monkeypatch.setenv("SHELL", "/usr/sbin/nologin")  # as of accounts of services: no shell for DVC's stages
    prints, _ = drawn_lake.fill(world.lake, range(1))
    settings = world.settings(prints.queries)
    secret = world.reader.secret_key
    with monkeypatch.context() as reading:  # a key that may read the lake, and write nothing
        reading.setenv("AWS_ACCESS_KEY_ID", world.reader.access_key)
        reading.setenv("AWS_SECRET_ACCESS_KEY", secret)
        with pytest.raises(RegistryError, match=r"dvc push .*: ERROR: failed to transfer .* Access Denied") as failure:
            publish(settings)
    assert secret not in str(failure.value)
    assert (world.refs(), world.remote()) == ("", {})
    assert publish(settings).version == "0.1.0"


def test_a_refused_git_push_leaves_no_tag_and_the_next_publish_recovers(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    settings = world.settings(prints.queries)
    hook = world.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RegistryError, match="nothing was released"):
        publish(settings)
    assert world.refs() == ""
    orphans = world.remote()
    assert orphans
    hook.unlink()
    result = publish(settings)
    assert (result.version, result.pushed_bytes) == ("0.1.0", 0)
    assert world.remote() == orphans


def test_a_publish_killed_between_bytes_and_tags_is_repeated_cleanly(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    settings = world.settings(prints.queries)
    hook = world.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho reached > reached\nsleep 60\n")
    hook.chmod(0o755)
    imports = "from hopchain_etl.release.registry import publish; from hopchain_etl.settings import Settings"
    code = f"{imports}; publish(Settings())"
    env = {**clean_env(), **settings_env(settings), "TMPDIR": str(world.folder)}
    child = subprocess.Popen([sys.executable, "-c", code], env=env, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not (world.bare / "reached").exists():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert world.refs() == ""
    hook.unlink()
    result = publish(settings)
    assert (result.version, result.pushed_bytes) == ("0.1.0", 0)
    assert world.pull(result.tag or "", "pulled").returncode == 0
    assert verify(world.folder / "pulled").ok


def test_each_target_has_its_own_versions_and_shares_the_photos(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(2))
    result = publish(world.settings(prints.queries, release={"targets": ["big", "small"]}))
    assert [release.tag for release in result.releases] == ["training-set/big@v0.1.0", "training-set/small@v0.1.0"]
    assert result.new_parts == ("part-00000",)
    index = json.loads(world.git("show", "main:images.json"))
    assert set(index.values()) == {"part-00000"}


def test_the_research_artifact_comes_and_goes_with_its_setting(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    publish(world.settings(prints.queries))
    wanted = world.settings(prints.queries, release={"research": True})
    with_it = publish(wanted)
    assert (with_it.version, with_it.releases[0].changes) == ("0.2.0", Changes(2, 2, 0))
    (md5,) = re.findall(r"md5: (\w+\.dir)", world.git("show", f"{with_it.tag}:research/raw.dvc"))
    assert object_key(md5) in world.remote(), "its bytes are pushed too"
    assert not publish(wanted).changed
    drawn_lake.fill(world.lake, range(1, 2), intake="second")
    without = publish(world.settings(prints.queries))
    assert without.version == "0.3.0"
    assert "research" not in world.git("ls-tree", "-r", "--name-only", without.tag or "")


def test_no_key_is_committed_and_another_remote_is_refused(world: World) -> None:
    prints, _ = drawn_lake.fill(world.lake, range(1))
    publish(world.settings(prints.queries))
    everything = world.git("log", "-p", "--all")
    assert world.bucket.secret_key not in everything
    assert world.bucket.access_key not in everything
    elsewhere = {"uri": f"s3://{world.bucket.bucket}/elsewhere", "endpoint_url": world.bucket.endpoint_url}
    with pytest.raises(RegistryError, match=r"correct registry\.remote"):
        publish(world.settings(prints.queries, registry={"remote": elsewhere}))
