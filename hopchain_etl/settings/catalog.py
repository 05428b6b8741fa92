"""The catalogue of engines: which there are for each role, and what each needs. Light: no engine is imported here.

It stands below the settings, so that a combination of engines is checked when settings are read. Other packages add
entries by the entry point group ``hopchain_etl.engines``, see ``engines.catalog``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

GROUP = "hopchain_etl.engines"  # of entry points
_HERE = "hopchain-etl"


class CatalogError(ValueError):
    """An engine that does not exist, cannot be loaded, or does not fit the others; the message says what to do."""


class Role(StrEnum):
    """What an engine does; see ``engines.base``."""

    DETECTOR = "detector"
    SEGMENTER = "segmenter"
    AUTHOR = "author"
    READER = "reader"
    LOOKER = "looker"
    JUDGE = "judge"
    SOLVER = "solver"
    DIAGNOSER = "diagnoser"  # of answers in an evaluation; builds do not ask it


@dataclass(frozen=True)
class EngineEntry:
    """An engine in one role: where its class is, and what it needs.

    ``path`` is ``module:Class``; the class is called with the settings named in ``sections``, in that order.
    """

    role: Role
    name: str
    path: str
    sections: tuple[str, ...] = ()
    model: Literal["vlm", "solver"] | None = None  # settings section of the model that it asks
    needs_gpu: bool = False  # it computes on a GPU of its own task
    weights: Literal["local", "sam3"] | None = None  # those that it loads, for doctor
    boxes: bool = False  # a detector: gives boxes; a segmenter: needs them
    needs_detector: str | None = None  # a segmenter that only understands what this detector says
    selective: bool = False  # a detector or segmenter with ``knows``: it leaves some photos to the next of a list
    rates: bool = False  # a detector that rates photos, so that ``ask.min_complexity`` and ``min_quality`` apply
    sees_photo: bool = False  # an author, as its ``saw_photo``
    ray_path: str | None = None  # as ``path``: the engine whose model actors of a Ray cluster hold; see ``engines.ray``
    package: str = _HERE  # the distribution that brings it

    @property
    def is_built_in(self) -> bool:
        """Whether the engine is one of this package."""
        return self.package == _HERE


def _built_in() -> Mapping[tuple[str, str], EngineEntry]:
    vlm, ours = "hopchain_etl.engines.vlm", "hopchain_etl.engines"
    asks = ("vlm", "ask")
    every = [
        EngineEntry(Role.DETECTOR, "local", f"{ours}.local.engine:LocalDetector", weights="local", boxes=True),
        EngineEntry(Role.DETECTOR, "vlm", f"{vlm}.detector:VlmDetector", asks, model="vlm", rates=True),
        EngineEntry(Role.DETECTOR, "words", f"{ours}.words:WordsDetector", ("words",)),
        EngineEntry(Role.DETECTOR, "labels", f"{ours}.labels.engine:LabelsDetector", boxes=True, selective=True),
        EngineEntry(Role.SEGMENTER, "local", f"{ours}.local.engine:LocalSegmenter", weights="local", boxes=True),
        EngineEntry(
            Role.SEGMENTER,
            "sam3",
            f"{ours}.sam3.engine:Sam3Segmenter",
            ("sam3",),
            needs_gpu=True,
            weights="sam3",
            ray_path=f"{ours}.sam3.on_ray:RaySam3Segmenter",
        ),
        EngineEntry(
            Role.SEGMENTER, "labels", f"{ours}.labels.engine:LabelsSegmenter", needs_detector="labels", selective=True
        ),
        EngineEntry(Role.AUTHOR, "program", f"{ours}.program:ProgramAuthor", ("generate",)),
        EngineEntry(Role.AUTHOR, "vlm", f"{vlm}.author:VlmAuthor", (*asks, "generate"), model="vlm", sees_photo=True),
        EngineEntry(Role.READER, "vlm", f"{vlm}.reader:VlmReader", asks, model="vlm"),
        EngineEntry(Role.LOOKER, "vlm", f"{vlm}.looker:VlmLooker", asks, model="vlm"),
        EngineEntry(Role.JUDGE, "vlm", f"{vlm}.judge:VlmJudge", asks, model="vlm"),
        EngineEntry(Role.DIAGNOSER, "vlm", f"{vlm}.diagnoser:VlmDiagnoser", asks, model="vlm"),
        EngineEntry(Role.SOLVER, "vlm", f"{vlm}.solver:VlmSolver", ("solver", "ask"), model="solver"),
    ]
    return {(entry.role, entry.name): entry for entry in every}


BUILT_IN = _built_in()


def find(role: Role, name: str) -> EngineEntry:
    """Return the entry of an engine: a built-in one, or one that an installed package brings.

    Raises CatalogError if there is none, naming those that there are, or if the package's entry point is broken.
    """
    if entry := BUILT_IN.get((role, name)):
        return entry
    points = list(entry_points(group=GROUP, name=name))
    if len(points) > 1:
        brings = " and ".join(sorted(_package(point) for point in points))
        raise CatalogError(f"the {role} {name!r} is brought by {brings}; uninstall one of them")
    for point in points:
        entries = _loaded(point)
        if role in entries:
            return entries[role]
        raise CatalogError(f"the engine {name!r} of the package {_package(point)} is a {', '.join(entries)}, no {role}")
    raise CatalogError(f"no {role} is called {name!r}; there are {_known(role)}")


def _known(role: Role) -> str:
    """Return the names that a role may have, as text. Other packages' are not loaded, so their roles are not known."""
    ours = ", ".join(name for of, name in BUILT_IN if of == role)
    others = ", ".join(sorted(f"{point.name} ({_package(point)})" for point in entry_points(group=GROUP)))
    return f"{ours}, and from other packages: {others}" if others else ours


def _loaded(point: EntryPoint) -> dict[Role, EngineEntry]:
    """Return the entries that an entry point gives, by role."""
    where = f"the entry point {point.name!r} ({point.value}) of the package {_package(point)}"
    try:
        given = point.load()
    except Exception as error:  # importing it runs the package's code
        raise CatalogError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}; mend or uninstall the package"
        ) from error
    entries = given if isinstance(given, tuple | list) else (given,)
    for entry in entries:
        if not isinstance(entry, EngineEntry) or entry.role not in list(Role) or entry.name != point.name:
            raise CatalogError(
                f"{where} must give an EngineEntry that is called {point.name!r}, or one for each of its roles, "
                f"not {entry!r:.200}"
            )
    return {Role(entry.role): replace(entry, role=Role(entry.role), package=_package(point)) for entry in entries}


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"
