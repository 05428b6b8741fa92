"""``hopchain person erase``: takes a person out of the lake and the registry.

What is to be done is written down first, in ``annotators/erasing/``, and each step is crossed off there: an erase that
was cut off anywhere is finished by the same command, and ends the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from hopchain_etl.annotation import batches, erased, voiding
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.lake.migrate_votes import require_migrated
from hopchain_etl.lake.object_store import MissingObjectError, StoreError
from hopchain_etl.release.git import RegistryError
from hopchain_etl.takedown.people import copies
from hopchain_etl.takedown.people.documents import Change, change, change_archives, documents, packed
from hopchain_etl.takedown.people.stores import STORES, Form, Store
from hopchain_etl.takedown.people.tables import change_tables, shards_with
from hopchain_etl.takedown.photos import DAMAGE
from hopchain_etl.takedown.tables import purge

Votes = Literal["keep", "drop"]
JSON = dict[str, Any]
Rename = Callable[[str, str], JSON]  # from the old name in the lake to the new one

REGISTRY = "registry"
_PLANS = "annotators/erasing/"
_FAULTS = (*DAMAGE, StoreError, RegistryError, ReportedError)
# Who is void stays void: the new tombstone comes before the votes that it is about, and the old one goes after them.
_STEPS = ("void", "votes", "tables", "documents", "tombstones", "copies", "old versions", REGISTRY, "look again")


class PersonError(ReportedError):
    """The person cannot be erased now, or steps of it failed; the message says why, what remains and what to do."""


@dataclass
class Plan:
    """An erase that has begun."""

    person: str
    pseudonym: str
    votes: Votes
    remains: list[str] = field(default_factory=lambda: list(_STEPS))

    @property
    def change(self) -> Change:
        """What becomes of the person's objects."""
        return Change(self.person, self.pseudonym, self.votes == "keep")


def held(lake: Lake, name: str) -> JSON:
    """Return how many objects and rows of each kind concern a person; changes nothing. Raises LakeError on damage."""
    counts = Counter(one.store.name for one in documents(lake, name))
    counts += Counter(f"{one.store.name} in archives" for one in packed(lake, name))
    rows = sum(one.rows + one.rejects for one in shards_with(lake, name))
    return dict(sorted((counts + Counter(answers=rows)).items()))


def is_held(lake: Lake, name: str) -> bool:
    """Return whether anything concerns a person; stops at the first object. Raises LakeError on damage."""
    found = (documents(lake, name), packed(lake, name), shards_with(lake, name))
    return any(True for kind in found for _ in kind)


def unfinished(lake: Lake) -> list[str]:
    """Return the steps that remain of each unfinished erase, without saying whose it is."""
    plans = (lake.get_json(entry.key) for entry in lake.store.list_objects(_PLANS))
    return [", ".join(plan["remains"]) for plan in plans if plan]


def is_unfinished(lake: Lake, name: str) -> bool:
    """Return whether an erase of a person has begun and is not finished."""
    return lake.store.exists(_plan_key(name))


def recounted(lake: Lake, name: str) -> list[str]:
    """Return the settled batches that are computed again if a person's votes are dropped."""
    return [one.id for one in settled_batches(lake).values() if name in one.annotators]


def check_may_be_erased(lake: Lake, name: str, votes: Votes) -> None:
    """Raise PersonError if the person still works, or if votes would be kept that count in a batch that is open.

    Who logs in again after an erase is somebody new: nobody could tell that they have answered a question already, and
    so such votes must not be kept where people are still asked.
    """
    now = lake.store.now()
    leases = documents(lake, name, lambda store: store.name == "leases")
    if any(float(one.document.get("until", 0)) > now for one in leases):
        raise PersonError(
            f"{name} has a question open. Remove the login in Airflow first, and run this again when the question is "
            "not open any more (desk.lease_seconds)"
        )
    if votes == "drop":
        return
    voted = {one.key.split("/")[1] for one in documents(lake, name, lambda store: store.name == "votes")}
    voted |= {one.key.split("/")[1] for one in packed(lake, name) if one.store.name == "votes"}
    asking: dict[str, set[str]] = {}
    for batch, states in batches.batch_states(lake).items():
        if not states & {"closed", "decided"}:
            needed = {batch, *batches.asked_before(lake, batches.load(lake, batch))}
            asking |= {batch: needed & voted} if needed & voted else {}
    if asking:
        raise PersonError(
            f"open batches count answers of {name} or ask their questions again: {', '.join(sorted(asking))}. Who logs "
            "in again could answer a question twice. Wait until these are settled, close them, or choose --votes drop"
        )


def erase(lake: Lake, name: str, votes: Votes, *, registry: Rename | None = None) -> JSON:
    """Take a person out of the lake and, by ``registry``, out of the registry; return counts, and what remains.

    With ``votes`` "keep" their votes count on under a new random pseudonym, without comments and with the day only;
    with "drop" they go, as if the person were voided. Raises PersonError if that is not possible now, or at the end if
    any step failed. Run it while no collect, build or publish is running.
    """
    require_known_format(lake)
    require_migrated(lake)
    plan = _plan(lake, name, votes)
    if plan is None:
        check_may_be_erased(lake, name, votes)
        plan = Plan(name, erased.new_pseudonym(), votes)
    _write(lake, plan)
    erased.record(lake, plan.pseudonym, finished=False)
    counts: Counter[str] = Counter()
    extra: JSON = {}
    faults: list[str] = []
    for step in _STEPS:  # all again: what was crossed off may have been written to since
        with _noted(step, faults, plan):
            if step == REGISTRY:
                extra = registry(plan.person, plan.pseudonym) if registry else {}
            else:
                counts[step] += _run(lake, plan, step)
        if plan.remains:
            _write(lake, plan)
    if faults:
        raise PersonError(
            "\n".join(faults) + f"\n{name} is not erased yet; what remains: {', '.join(plan.remains)}. Run the same "
            "command again to finish it"
        )
    erased.record(lake, plan.pseudonym, finished=True)
    lake.store.erase([_plan_key(name)])
    return {"pseudonym": plan.pseudonym, "votes": votes, "changed": dict(+counts), **extra, "remains": []}


@contextmanager
def _noted(step: str, faults: list[str], plan: Plan) -> Iterator[None]:
    """Cross a step off, or note why it failed and go on."""
    if step not in plan.remains:
        plan.remains.append(step)
    try:
        yield
        plan.remains.remove(step)
    except _FAULTS as error:
        faults.append(f"{step}: {f'{error.args[0]} is missing' if isinstance(error, MissingObjectError) else error}")


def _run(lake: Lake, plan: Plan, step: str) -> int:
    what = plan.change
    match step:
        case "void":
            return _void(lake, what)
        case "votes":
            with batches.locked(lake):  # otherwise gc could have read them to pack them
                done = change_archives(lake, what)
                return done + change(lake, documents(lake, what.name, _is_vote), what)
        case "tables":
            return change_tables(lake, what)
        case "documents":
            rest = documents(lake, what.name, lambda store: not _is_vote(store) and not _is_tombstone(store))
            return change(lake, rest, what)
        case "tombstones":
            return change(lake, documents(lake, what.name, _is_tombstone), what)
        case "copies":
            return copies.erase_copies(lake, what.name)
        case "old versions":
            _purge(lake)
        case "look again":
            if is_held(lake, what.name):
                raise PersonError(f"written meanwhile: {held(lake, what.name)}")
    return 0


def _void(lake: Lake, what: Change) -> int:
    """Let votes that go count nowhere from now on; let votes that stay void stay so under the new pseudonym."""
    if what.keep:
        change(lake, documents(lake, what.name, _is_tombstone), what, only_copy=True)
        return 0
    return len(voiding.void(lake, what.name, by="", reason="erased"))


def _purge(lake: Lake) -> None:
    """Leave no older version of what may hold data of people, whoever they are about."""
    if lake.store.versioned:
        for prefix in sorted({one.prefix for one in STORES if one.form is not Form.OTHER}):
            purge(lake.store, prefix, lambda name: False)


def _is_vote(store: Store) -> bool:
    return store.prefix == "votes/"


def _is_tombstone(store: Store) -> bool:
    return store.name == "voids"


def _plan_key(name: str) -> str:
    return f"{_PLANS}{annotator_key(name)}.json"


def _plan(lake: Lake, name: str, votes: Votes) -> Plan | None:
    stored = lake.get_json(_plan_key(name))
    if stored is None:
        return None
    if stored["votes"] != votes:
        raise PersonError(f"the erase of {name} began with --votes {stored['votes']}; finish it like that")
    return Plan(**stored)


def _write(lake: Lake, plan: Plan) -> None:
    lake.put_json(_plan_key(plan.person), vars(plan))
