"""Removes what names photos from the whole git history of the registry: every commit and tag that any reference has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from typing import IO, Any

from hopchain_etl.release.git import GitRepo, RegistryError

_EXPORT = ("fast-export", "--all", "--signed-tags=strip", "--fake-missing-tagger", "--reencode=no")
_IMPORT = ("fast-import", "--force", "--quiet")


def forget(repo: GitRepo, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Rewrite the clone's history without these names; return the changed references with their old and new ids.

    A name is left out of lists and objects of JSON files, and is ``erased`` in others. Commits before the first that
    held one keep their ids. Nothing is pushed. Raises RegistryError if git fails.
    """
    needles = [name.encode() for name in names]

    def without(data: bytes, of_file: bool) -> bytes:
        return _cleaned(data, needles) if of_file else _blanked(data, needles)

    return rewrite(repo, needles, without)


def rewrite(repo: GitRepo, needles: list[bytes], cleaned: Callable[[bytes, bool], bytes]) -> dict[str, tuple[str, str]]:
    """Rewrite what holds any of the needles in the clone's history; return as ``forget`` does.

    ``cleaned`` returns the new content, given the old one and whether it is that of a file; others are messages.
    """
    if not needles or not _held(repo, needles):
        return {}
    before = _references(repo)
    with (
        subprocess.Popen(repo.command(*_EXPORT), cwd=repo.path, env=repo.git_env, stdout=subprocess.PIPE) as export,
        subprocess.Popen(repo.command(*_IMPORT), cwd=repo.path, env=repo.git_env, stdin=subprocess.PIPE) as imported,
    ):
        assert export.stdout is not None
        assert imported.stdin is not None
        _filter(export.stdout, imported.stdin, needles, cleaned)
        imported.stdin.close()
    if export.returncode or imported.returncode:
        raise RegistryError("git fast-export or fast-import failed; the registry's history was not rewritten")
    after = _references(repo)
    return {name: (old, after[name]) for name, old in before.items() if after.get(name, old) != old}


def push(repo: GitRepo, changed: dict[str, tuple[str, str]], refused: str) -> None:
    """Push all references that were rewritten, in one push; refuse if another push came first.

    ``refused`` is what an error says besides, if the server does not allow it.
    """
    branch, origin = repo.branch, "refs/remotes/origin/"
    held = repo.git("rev-parse", origin + branch).strip()
    # What each branch was when it was cloned: a push that came meanwhile must not be lost.
    before = {branch: held} | {
        name.removeprefix(origin): old for name, (old, _) in changed.items() if name.startswith(origin)
    }
    leases = [f"--force-with-lease=refs/heads/{name}:{old}" for name, old in before.items()]
    refs = [f"refs/heads/{branch}:refs/heads/{branch}"]
    refs += [f"{origin}{name}:refs/heads/{name}" for name in before if name != branch]
    refs += [f"+{name}:{name}" for name in sorted(changed) if name.startswith("refs/tags/")]
    try:
        repo.git("push", "--quiet", "--atomic", *leases, "origin", *refs)
    except RegistryError as error:
        raise RegistryError(
            f"{error}\n{refused}: allow forced pushes to the registry until this is done "
            "(receive.denyNonFastForwards, protected branches and tags)"
        ) from error


def _held(repo: GitRepo, needles: list[bytes]) -> bool:
    """Return whether any object of any reference holds any of the names."""
    ids = (line.split(" ", 1)[0] for line in repo.git("rev-list", "--objects", "--all").splitlines())
    return any(found and any(needle in found[2] for needle in needles) for found in repo.contents(ids))


def _references(repo: GitRepo) -> dict[str, str]:
    lines = repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    found = dict(line.split(" ") for line in lines)
    return {name: value for name, value in found.items() if not name.endswith("/HEAD")}


def _filter(source: IO[bytes], sink: IO[bytes], needles: list[bytes], cleaned: Callable[[bytes, bool], bytes]) -> None:
    """Copy a fast-export stream with the contents of files cleaned."""
    of_file = False
    while line := source.readline():
        if not line.startswith(b"data "):
            # Between a blob's first line and its data are only its mark and its old id.
            of_file = line == b"blob\n" or (of_file and line.startswith((b"mark ", b"original-oid ")))
            sink.write(line)
            continue
        data = source.read(int(line.removeprefix(b"data ")))
        if any(needle in data for needle in needles):
            data = cleaned(data, of_file)
        sink.write(b"data %d\n" % len(data) + data)


def _cleaned(data: bytes, needles: list[bytes]) -> bytes:
    try:
        value = json.loads(data)
    except ValueError:
        return _blanked(data, needles)
    names = {needle.decode() for needle in needles}
    indent = 1 if b"\n " in data else 0
    return _blanked(json.dumps(_without(value, names), indent=indent).encode() + b"\n", needles)


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(one, names) for key, one in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(one, names) for one in value if not (isinstance(one, str) and one in names)]
    return value


def _blanked(data: bytes, needles: list[bytes]) -> bytes:
    for needle in needles:
        data = data.replace(needle, b"erased")
    return data
