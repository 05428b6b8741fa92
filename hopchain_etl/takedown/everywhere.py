"""Takes photos down in the lake and in the registry, for the command line and the DAG hopchain_admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.release.git import RegistryError, working_clone
from hopchain_etl.release.withdrawn import tell_withdrawn
from hopchain_etl.settings import Settings
from hopchain_etl.takedown import lake as in_lake
from hopchain_etl.takedown import photos
from hopchain_etl.takedown.photos import JSON, Plan
from hopchain_etl.takedown.registry import erase_from_registry, tags_with


@dataclass(frozen=True)
class Withdrawn:
    """The image_ids that all readers now exclude, and why the registry was not told; empty if it was."""

    images: list[str]
    untold: str


def withdraw(settings: Settings, photo: str, reason: str) -> Withdrawn:
    """Exclude a photo (image_id or uri) from now on, and tell the registry.

    Raises LakeError if there is no such photo, or no reason. A registry that does not answer learns of it by the next
    publish.
    """
    lake = Lake(settings.lake)
    images = photos.withdraw(lake, photo, _said(reason))
    if settings.registry.git_url:
        try:
            tell_withdrawn(settings, lake.withdrawn())
        except RegistryError as error:
            return Withdrawn(images, f"clones do not know of it yet, the next publish tells the registry: {error}")
    return Withdrawn(images, "")


def erase(settings: Settings, photo: str, reason: str) -> JSON:
    """Erase a photo from the lake and the registry; return what was removed, as ``takedown.lake.erase`` does.

    Raises LakeError if there is no such photo, or no reason.
    """
    reason = _said(reason)

    def registry(plan: Plan) -> dict[str, Any]:
        return erase_from_registry(settings, plan.images, reason, plan.queries)

    return in_lake.erase(Lake(settings.lake), photo, reason, registry=registry if settings.registry.git_url else None)


def what_erase_removes(settings: Settings, photo: str) -> JSON:
    """Return image_ids, questions, batches and shards that an erase would change, and the versions it would yank."""
    plan = in_lake.planned(Lake(settings.lake), photo, bool(settings.registry.git_url))
    tags: list[str] = []
    if settings.registry.git_url:
        with working_clone(settings) as repo:
            tags = [] if repo.empty else tags_with(repo, plan.images)
    counts = {"questions": len(plan.queries), "batches": sorted(plan.batches), "shards": sorted(plan.shards)}
    return {"images": sorted(plan.images), **counts, "yanked": tags}


def _said(reason: str) -> str:
    """Return the reason without blanks around it; raise LakeError if nothing is left."""
    if said := reason.strip():
        return said
    raise LakeError("say why: the reason is blank, and it is all that others find in the photo's tombstone later")
