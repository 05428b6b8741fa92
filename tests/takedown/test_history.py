"""Rewriting the history of a git repository: names are gone from all references, the rest stays as it was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hopchain_etl.release.git import GitRepo
from hopchain_etl.settings import S3Settings, Settings
from hopchain_etl.takedown.history import forget
from support.taken import traces_in_git

GONE, STAYS = "a" * 64, "b" * 64


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitRepo:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    settings = Settings.model_validate(
        {"registry": {"git_url": str(tmp_path), "remote": S3Settings(uri="s3://nowhere/dvc")}}
    )
    repo = GitRepo(tmp_path / "repo", settings)
    repo.path.mkdir()
    repo.git("init", "-q", "-b", "main")
    return repo


def commit(repo: GitRepo, files: dict[str, str | bytes], tag: str) -> None:
    for name, text in files.items():
        path = repo.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    repo.git("add", "--all")
    repo.git("commit", "-q", "-m", f"of {tag}")
    repo.git("tag", "--annotate", "--message", f"{tag}\n\nrows: 1", tag)


def contents(repo: GitRepo, revision: str) -> dict[str, bytes | None]:
    return {path: repo.file_at(revision, path) for path, _ in repo.files([revision])}


def test_names_are_gone_from_every_reference_and_older_commits_keep_their_ids(repo: GitRepo) -> None:
    index = json.dumps({STAYS: "part-00000"}, indent=0) + "\n"
    odd = b"\x00\xff\ndata 3\nblob\n"  # looks like the stream that is filtered
    commit(repo, {"images.json": index, "odd.bin": odd, "a folder/ü.txt": "text"}, "v1")
    both = json.dumps({GONE: "part-00001", STAYS: "part-00000"}, indent=0, sort_keys=True) + "\n"
    snapshot = json.dumps({"withdrawn": [GONE, STAYS], "inputs": [{"sha": GONE[:40]}]}, indent=1) + "\n"
    commit(repo, {"images.json": both, "snapshot.json": snapshot, "notes.md": f"about {GONE}.\n"}, "v2")
    commit(repo, {"images.json": index, "snapshot.json": snapshot.replace(GONE, "c" * 64)}, "v3")
    repo.git("branch", "side", "v2")
    before = {tag: contents(repo, tag) for tag in ("v1", "v2", "v3")}
    ids = {tag: repo.git("rev-parse", tag).strip() for tag in before}
    assert traces_in_git(repo.path, [GONE.encode()])

    changed = forget(repo, [GONE])

    assert changed.keys() == {"refs/heads/main", "refs/heads/side", "refs/tags/v2", "refs/tags/v3"}
    assert changed["refs/tags/v2"] == (ids["v2"], repo.git("rev-parse", "v2").strip())
    assert traces_in_git(repo.path, [GONE.encode()]) == set()
    assert repo.git("rev-parse", "v1").strip() == ids["v1"]
    assert contents(repo, "v1") == before["v1"]
    assert contents(repo, "v3") == {**before["v3"], "notes.md": b"about erased.\n"}
    assert contents(repo, "v2") == {
        **before["v2"],
        "images.json": index.encode(),
        "snapshot.json": snapshot.replace(f'  "{GONE}",\n', "").encode(),
        "notes.md": b"about erased.\n",
    }
    log = repo.git("log", "--format=%s %an %ad", "v3")
    assert [line.split()[1] for line in log.splitlines()] == ["v3", "v2", "v1"]
    assert "rows: 1" in repo.git("for-each-ref", "--format=%(contents)", "refs/tags/v2")
    assert forget(repo, [GONE]) == {}


def test_many_files_are_read_by_few_processes(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    popen = subprocess.Popen

    class Counted(popen):  # type: ignore[type-arg,misc]
        def __init__(self, *args: object, **options: object) -> None:
            started.append(args)
            super().__init__(*args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", Counted)
    counts = []
    for round_ in range(3):
        parts = {f"training_set/images/part-{n:05d}.parquet.dvc": f"{n}" for n in range(4 ** (round_ + 1))}
        commit(repo, {**parts, "images.json": str(round_)}, f"v{round_}")
        tags = repo.tags("v*")
        started.clear()
        found = repo.files(tags)
        texts = [one[2] for one in repo.contents(name for _, name in sorted(found)) if one]
        counts.append(len(started))
        assert len(found) == len(parts) + len(tags)
        assert sorted(texts) == sorted([*(text.encode() for text in parts.values()), *(b"0", b"1", b"2")[: round_ + 1]])
    assert len(set(counts)) == 1
    assert counts[0] <= 4
