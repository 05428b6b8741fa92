"""Which engines play which role: the profiles, and the check that a combination works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from hopchain_etl.settings.catalog import CatalogError, EngineEntry, Role, find

NONE = "none"  # in settings: no engine for a role


class Profile(StrEnum):
    """A preset of roles: which engines detect, segment, write and check questions."""

    LOCAL = "local"
    VLLM = "vllm"
    SAM3 = "sam3"
    LABELS = "labels"


@dataclass(frozen=True)
class Roles:
    """The names of the engines of each role.

    Of detectors and segmenters the first that knows a photo answers; all authors write. None: no engine.
    """

    detector: tuple[str, ...]
    segmenter: tuple[str, ...]
    author: tuple[str, ...]
    reader: str | None = None
    looker: str | None = None
    judge: str | None = None
    solver: str | None = None
    diagnoser: str | None = None

    def of(self, *roles: Role) -> tuple[EngineEntry, ...]:
        """Return the catalogue entries of all engines in some roles, in order; none given: in all roles."""
        named = asdict(self)
        chosen = [(role, named[role]) for role in roles or tuple(Role)]
        names = [(role, name) for role, value in chosen for name in (value if isinstance(value, tuple) else (value,))]
        return tuple(find(role, name) for role, name in names if name is not None)


PROFILES: Mapping[Profile, Roles] = {
    Profile.LOCAL: Roles(("local",), ("local",), ("program",)),
    Profile.VLLM: Roles(
        ("vlm",), ("sam3",), ("vlm",), reader="vlm", looker="vlm", judge="vlm", solver="vlm", diagnoser="vlm"
    ),
    Profile.SAM3: Roles(("words",), ("sam3",), ("program",)),
    Profile.LABELS: Roles(("labels",), ("labels",), ("program",)),
}


def resolved(profile: Profile, chosen: Mapping[str, tuple[str, ...] | str | None]) -> Roles:
    """Return the roles of a profile with what was ``chosen`` for single roles instead; None: as the profile says.

    The profile's reader and looker go with its author: if no author sees the photo they would never be asked, and are
    left out. Raises CatalogError if an engine does not exist or the combination cannot work.
    """
    explicit = {role: value for role, value in chosen.items() if value is not None}
    named = {**asdict(PROFILES[profile]), **{role: None if one == NONE else one for role, one in explicit.items()}}
    roles = Roles(**named)
    for role in (Role.DETECTOR, Role.SEGMENTER, Role.AUTHOR):
        _check_list(role, roles.of(role))
    _check_boxes(roles.of(Role.DETECTOR), roles.of(Role.SEGMENTER))
    if not any(author.sees_photo for author in roles.of(Role.AUTHOR)):
        _check_unasked(roles, explicit)
        roles = Roles(**{**named, "reader": None, "looker": None})
    roles.of()  # the others exist too
    return roles


def _check_list(role: Role, entries: tuple[EngineEntry, ...]) -> None:
    """Refuse no engine, one named twice, and one that is never asked, since the one before it answers every photo."""
    names = [entry.name for entry in entries]
    if not names:
        raise CatalogError(f"engines.{role} names no engine; leave it out, or name at least one")
    if twice := [name for name in names if names.count(name) > 1]:
        raise CatalogError(f"engines.{role} names {twice[0]!r} twice")
    for entry, later in zip(entries, names[1:], strict=False):
        if role is not Role.AUTHOR and not entry.selective:
            raise CatalogError(
                f"engines.{role}: {entry.name!r} answers every photo, so that {later!r} after it is never asked; "
                f"name {later!r} first, or leave it out"
            )


def _check_boxes(detectors: tuple[EngineEntry, ...], segmenters: tuple[EngineEntry, ...]) -> None:
    """Refuse segmenters that lack what they need from the detectors: boxes, or one certain detector's findings."""
    taken: set[str | None] = set()  # detectors of whose photos an earlier segmenter takes care
    for one in segmenters:
        if one.needs_detector and one.needs_detector not in [detector.name for detector in detectors]:
            raise CatalogError(
                f"the segmenter {one.name!r} needs the detector {one.needs_detector!r}, which is not among "
                f"engines.detector; add it there, before the others"
            )
        blind = [detector.name for detector in detectors if not detector.boxes and detector.name not in taken]
        if one.boxes and blind:
            raise CatalogError(
                f"the segmenter {one.name!r} cuts out what a detector gives boxes for, and the detector {blind[0]!r} "
                f"gives none; choose the segmenter sam3, or the detector local or labels"
            )
        taken.add(one.needs_detector)
    only, others = segmenters[-1].needs_detector, [one.name for one in detectors if one.name not in taken]
    if only and others:
        raise CatalogError(
            f"nobody cuts out what the detector {others[0]!r} names, for the segmenter {segmenters[-1].name!r} knows "
            f"photos of the detector {only!r} only; add a segmenter such as local after it, or leave {others[0]!r} out"
        )


def _check_unasked(roles: Roles, explicit: Mapping[str, object]) -> None:
    """Refuse a reader or looker that somebody chose and that would have nothing to review."""
    for role in (Role.READER, Role.LOOKER):
        if explicit.get(role, NONE) != NONE:
            raise CatalogError(
                f"engines.{role} {explicit[role]!r} would never be asked: it reviews authors that see the photo, and "
                f"{', '.join(roles.author)} does not, code proves its questions; add an author such as vlm, or leave "
                f"the {role} out"
            )
