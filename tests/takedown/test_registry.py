"""Erasing a photo from the registry: no object and no git reference names it, and all other versions can be pulled."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from hopchain_etl.release.git import RegistryError
from hopchain_etl.release.registry import publish, releases
from hopchain_etl.settings import ReleaseSettings
from hopchain_etl.takedown.gc import lineages_in_use
from hopchain_etl.takedown.lake import erase
from hopchain_etl.takedown.photos import Plan, withdraw
from hopchain_etl.takedown.registry import erase_from_registry
from hopchain_etl.training_set.export import ExportOptions, export
from hopchain_etl.training_set.verify import verify
from support import drawn_lake, taken
from support.registry_world import World

pytestmark = [pytest.mark.s3, pytest.mark.slow]


def test_erasing_yanks_the_versions_that_held_the_photo_and_forgets_its_name(world: World) -> None:
    lake = world.lake
    prints, _ = drawn_lake.fill(lake, range(2))
    settings = world.settings(prints.queries, release={"research": True})
    first = publish(settings).tag or ""
    _, queries = drawn_lake.fill(lake, range(10, 12), intake="second")
    second = publish(settings).tag or ""
    image, uri = queries[0]["image_id"], "s3://photos/00010.png"
    mine = [one for one in queries if one["image_id"] == image]
    moved_on = settings.model_copy(update={"release": ReleaseSettings()})
    used = lineages_in_use(moved_on)
    assert {used[name] for name in vars(prints).values()} == {f"released in {first}"}, (
        "a released lineage is no garbage"
    )
    assert world.pull(second, "old").returncode == 0

    withdraw(lake, image, "to be looked into")
    third = publish(settings).tag or ""
    needles = list(taken.needles_of(image, drawn_lake.draw(10)[0], mine, (), uri))
    assert taken.traces_in_git(world.bare, needles)
    assert taken.traces(world.store, needles)
    done = export(world.folder / "old", world.folder / "exported", ExportOptions("swift"))
    assert (done.rows, done.withdrawn) == (6, 1), "the clone of an older version asks"

    def registry(plan: Plan) -> dict[str, Any]:
        return erase_from_registry(settings, plan.images, "asked by the person in it", plan.queries)

    erased = erase(lake, uri, "asked by the person in it", registry=registry)

    assert (erased["yanked"], erased["rewritten"], erased["remains"]) == ([second, third], ["part-00001"], [])
    assert erased["deleted"] >= 2  # the part and the rows that held it, and the research about it
    assert taken.traces_in_git(world.bare, needles) == set()
    assert taken.traces(world.store, needles) == set()
    assert taken.traces(lake.store, needles) == {f"withdrawn/{image}.json"}
    yanked = [(one["tag"], one["yanked"]) for one in releases(settings)]
    assert yanked == [(first, False), (f"yanked/{second}", True), (f"yanked/{third}", True)]
    reasons = json.loads(world.git("show", "main:yanked.json"))
    assert reasons[second] == {"tag": f"yanked/{second}", "reason": "asked by the person in it"}

    again = erase_from_registry(settings, [image], "again", [one["query_id"] for one in mine])
    assert again == {"yanked": [], "rewritten": [], "rewritten_refs": 0, "deleted": 0}
    fourth = publish(settings)
    assert (fourth.version, fourth.rows, fourth.new_parts) == ("2.0.0", 6, ())
    assert taken.traces_in_git(world.bare, needles) == set()
    for tag, rows in ((first, 4), (fourth.tag or "", 6)):
        assert world.pull(tag, f"rows-{rows}").returncode == 0
        result = verify(world.folder / f"rows-{rows}")
        assert (result.ok, result.rows, result.withdrawn) == (True, rows, 0), result.to_json()
    # whoever has the old clone leaves it out, now that nothing but a hash says why
    assert export(world.folder / "old", world.folder / "exported", ExportOptions("swift")).withdrawn == 1


def test_a_server_that_refuses_to_rewrite_history_has_lost_the_bytes_all_the_same(world: World) -> None:
    prints, queries = drawn_lake.fill(world.lake, range(2))
    settings = world.settings(prints.queries)
    tag = publish(settings).tag or ""
    world.git("config", "receive.denyNonFastForwards", "true")
    image, mine = queries[0]["image_id"], [queries[0]["query_id"], queries[1]["query_id"]]
    photo = drawn_lake.draw(0)[0]
    assert taken.traces(world.store, [image.encode(), photo])
    with pytest.raises(RegistryError, match=r"bytes are deleted.*allow forced pushes"):
        erase_from_registry(settings, [image], "asked", mine)
    assert taken.traces(world.store, [image.encode(), photo]) == set()
    assert [(one["tag"], one["yanked"]) for one in releases(settings)] == [(f"yanked/{tag}", True)]
    assert taken.traces_in_git(world.bare, [image.encode()])
    world.git("config", "receive.denyNonFastForwards", "false")
    again = erase_from_registry(settings, [image], "asked", mine)
    assert (again["yanked"], again["deleted"], again["rewritten_refs"] > 0) == ([], 0, True)
    assert taken.traces_in_git(world.bare, [image.encode()]) == set()


def test_the_number_of_git_processes_does_not_grow_with_parts_and_versions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.settings("0" * 12)
    work = world.folder / "work"
    subprocess.run(["git", "clone", "-q", str(world.bare), str(work)], check=True)
    counts = []
    popen = subprocess.Popen
    started: list[Any] = []

    class Counted(popen):  # type: ignore[type-arg,misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            started.append(args)
            super().__init__(*args, **options)

    for version, parts in enumerate((3, 30, 300)):
        for number in range(parts):
            pointer = work / f"training_set/images/part-{number:05d}.parquet.dvc"
            pointer.parent.mkdir(parents=True, exist_ok=True)
            pointer.write_text(f"outs:\n- md5: a{number:031d}\n  path: part-{number:05d}.parquet\n")
        (work / "images.json").write_text(json.dumps({f"{version:064d}": "part-00000"}))
        tag = ["tag", "-a", "-m", "v", f"training-set/default@v0.{version}.0"]
        for args in (["add", "--all"], ["commit", "-qm", "v"], tag, ["push", "-q", "--tags", "origin", "HEAD:main"]):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *args], cwd=work, check=True)
        started.clear()
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", Counted)
            assert erase_from_registry(settings, ["f" * 64], "asked")["deleted"] == 0
        counts.append(len(started))
    assert counts[0] == counts[1] == counts[2] <= 12


def test_a_publish_and_an_erase_from_a_git_hook_leave_its_repository_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked = world.folder / "hooked"
    subprocess.run(["git", "init", "--quiet", str(hooked)], check=True)
    before = {path: path.read_bytes() for path in hooked.rglob("*") if path.is_file()}
    prints, queries = drawn_lake.fill(world.lake, range(2))
    settings, image = world.settings(prints.queries), queries[0]["image_id"]
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(hooked / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(hooked / ".git" / "index"))
        tag = publish(settings).tag
        erased = erase_from_registry(settings, [image], "asked", [one["query_id"] for one in queries])
        again = publish(settings).version
    assert (tag, erased["yanked"], again) == ("training-set/default@v0.1.0", [tag], "1.0.0")
    assert {path: path.read_bytes() for path in hooked.rglob("*") if path.is_file()} == before
