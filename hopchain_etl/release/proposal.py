"""A proposed release: what a person is shown before it is pushed, kept in the lake until that person has decided.

``proposals/<name>.json`` holds the snapshot and the hash of what was made of it, so that exactly what was shown is
pushed: the publish makes it again from the same snapshot, and compares. Only the newest proposal is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake, run_key
from hopchain_etl.release.drafting import Draft, draft
from hopchain_etl.release.git import GitRepo, working_clone
from hopchain_etl.release.inputs import Snapshot
from hopchain_etl.release.versions import Release
from hopchain_etl.settings import Settings
from hopchain_etl.templating import render

FOLDER = "proposals/"
_EXAMPLES = 12  # questions that are shown of each target

JSON = dict[str, Any]


class ProposalError(ReportedError):
    """What was proposed is not there any more, or would not be what is published now."""


@dataclass(frozen=True)
class Proposal:
    """What a release would publish. ``versions``: of each target what a person is shown, see ``_version``."""

    name: str
    tree: str
    snapshot: Snapshot
    versions: tuple[JSON, ...]

    def check(self, made: Draft) -> None:
        """Raise ProposalError unless ``made`` is what was proposed."""
        if made.tree != self.tree:
            raise ProposalError(
                f"nothing was published: what was proposed as {self.name} would not come out again. A photo was "
                "withdrawn, another version was published, or a setting or the code changed since. Run it again, to "
                "see what would be published now"
            )

    @property
    def summary(self) -> str:
        """The figures as Markdown, for the question to a person."""
        return render("release", "proposal.md.j2", versions=self.versions)


def propose(settings: Settings, name: str, *, force: bool = False) -> Proposal | str:
    """Make what a release would publish, store it as the proposal ``name``, and push nothing of it.

    Returns the proposal, or why there would be no version. Earlier proposals are deleted. Raises what
    ``registry.publish`` does.
    """
    lake = Lake(settings.lake)
    discard(lake)
    with working_clone(settings) as repo:
        made = draft(repo, lake, force=force)
        if not made.releases:
            return made.note
        versions = tuple(_version(repo, one) for one in made.releases)
    proposal = Proposal(run_key(name), made.tree, made.snapshot, versions)
    lake.put_json(key(proposal.name), vars(proposal))
    return proposal


def load(lake: Lake, name: str) -> Proposal:
    """Return a stored proposal; raise ProposalError if it is gone."""
    stored = lake.get_json(key(name))
    if stored is None:
        raise ProposalError(
            f"the proposal {name} is gone: a later one replaced it, or a photo was erased; run it again"
        )
    return Proposal(**{**stored, "versions": tuple(stored["versions"])})


def discard(lake: Lake) -> None:
    """Delete all proposals."""
    lake.store.delete([entry.key for entry in lake.store.list_objects(FOLDER)])


def _version(repo: GitRepo, release: Release) -> JSON:
    """Return what a person is shown of a version: its figures, what changes, what was left out, its card, examples."""
    folder = repo.path / "training_set" / release.target
    counts = json.loads((folder / "dropped.json").read_text())
    facts = {name: getattr(release, name) for name in ("target", "version", "rows", "images", "policy", "objection")}
    return {
        **facts,
        "tag": release.tag,
        "changes": release.changes.counts,
        "read": counts["read"],
        "dropped": counts["dropped"],
        "card": (folder / "README.md").read_text(encoding="utf-8"),
        **_of_rows(sorted((folder / "rows").glob("*.parquet"))),
    }


def _of_rows(files: Iterable[Path]) -> JSON:
    """Return the agreement (mean share of people's answers that are the released one), and some questions."""
    total, answered, examples = 0.0, 0, []
    for path in files:
        rows = pq.read_table(path, columns=["image_id", "question", "answer", "agreement"])
        total += pc.sum(rows["agreement"]).as_py() or 0.0
        answered += rows.num_rows - rows["agreement"].null_count
        step = max(1, rows.num_rows // _EXAMPLES)
        examples += rows.drop(["agreement"])[::step].to_pylist()[:_EXAMPLES]
    return {"agreement": total / answered if answered else None, "answered": answered, "examples": examples[:_EXAMPLES]}


def key(name: str) -> str:
    """Return the key of the proposal of a run."""
    return f"{FOLDER}{run_key(name)}.json"
