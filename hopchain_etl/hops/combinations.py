"""For a model as author: draws sets of 3 to 6 instances that make a good chain.

The paper says how many instances a combination has, not how they are chosen. Here each grows like a chain: it starts
with an instance that can be found first and adds what can be found from one that is already in it, but not by its name
alone. Links that code can prove, near things and well visible ones are drawn more often. A set over which no chain
passes the rules is not drawn at all.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from hopchain_etl.hops.chain_search import chainable
from hopchain_etl.hops.checks import MAX_HOPS
from hopchain_etl.hops.instance import TEXT, Instance
from hopchain_etl.hops.links import LONGEST_QUOTE, MOST_MEANT, Link, LinkFinder
from hopchain_etl.hops.mask_geometry import box_gap, gap
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import same_thing

VERSION = 2  # of this way of drawing; the constants below are part of it
SLIVER = 0.013  # of the root of the photo's area: things whose shorter side is less are not seen at a glance
LOW_TEXT = 0.010  # the same for a line of text, which is as low as its letters
COVERED = 0.0003  # of the photo's area: things of which less is visible are easily overlooked
SMALL = 0.001  # of the photo's area, where the weight is one half
OPEN = 0.5  # weight factor for each instance that the words of a link may mean, unless code proves it
LONE = 0.5  # weight factor for the only sure one of its name: some would find it by its name alone
NEAR = 0.08  # of the diagonal: gap between two instances at which the weight of their link falls to 1/e
FAR = 0.3  # of the diagonal: instances further apart are not linked
ATTACHED = 0.02  # of the diagonal: gap up to which a text belongs to a thing (a label, the number of a bar)
LABEL = 3.0  # weight factor for such a text, and for the thing of such a text
BRANCH = 0.4  # weight factor for a link from an earlier instance than the last: chains rather than stars
MORE_TEXT = 0.5  # weight factor for each line of text that is already in the combination
PAGE = 3  # fewer things than these beside the text, and the photo is a page: a combination may be only text
SAME_FIRST = 0.25  # for the variety of a photo's combinations: as bad as sharing a quarter of the instances
LIKE_FIRST = 0.1  # the same for a first instance of the same category
BATCH = 10  # drawn for each combination; the one that shares least with those before is kept
TRIES = 12  # batches without a new combination before giving up

RECIPE = {
    "version": VERSION, "sliver": SLIVER, "low_text": LOW_TEXT, "covered": COVERED, "small": SMALL, "open": OPEN,
    "lone": LONE, "near": NEAR, "far": FAR, "attached": ATTACHED, "label": LABEL, "branch": BRANCH,
    "more_text": MORE_TEXT, "page": PAGE, "batch": BATCH, "tries": TRIES, "same_first": SAME_FIRST,
    "like_first": LIKE_FIRST, "most_meant": MOST_MEANT, "longest_quote": LONGEST_QUOTE,
}  # fmt: skip


def combinations(scene: Scene, count: int, size: tuple[int, int] = (3, 6), seed: int = 0) -> list[tuple[str, ...]]:
    """Return up to ``count`` different sets of instance ids, each in a possible visiting order.

    Only certain, well visible instances are taken. The list is empty if there are fewer than ``size[0]`` of them, or no
    chain of so many. The same scene and seed give the same combinations on any machine, independent of the order of the
    instances; a larger ``count`` extends the result of a smaller one.
    """
    usable = sorted((one for one in scene.instances if one.certain and _is_visible(one, scene)), key=lambda one: one.id)
    least, most = size[0], min(size[1], len(usable))
    if most < least:
        return []
    rng = random.Random(f"{seed} {[one.id for one in usable]}")  # noqa: S311
    drawer = _Drawer(scene, usable, least, rng)
    sizes = range(least, most + 1)
    room = [MAX_HOPS + 1 - number for number in sizes]  # the more hops are left for counts and second looks, the better
    found: list[tuple[str, ...]] = []
    failures = 0
    while len(found) < count and failures < TRIES:
        drawn = drawer.draw(rng.choices(sizes, room)[0], found)
        failures = 0 if drawn else failures + 1
        found += [drawn] if drawn else []
    return found


class _Drawer:
    """Draws combinations of one scene; links and what passes the rules are computed once."""

    def __init__(self, scene: Scene, usable: Sequence[Instance], least: int, rng: random.Random) -> None:
        self._scene, self._usable, self._least, self._rng = scene, usable, least, rng
        self._finder = LinkFinder(scene, usable)
        self._page = sum(one.category != TEXT for one in usable) < PAGE
        self._links: dict[str, dict[str, float]] = {}
        self._weights = {one.id: _visibility(one, scene) for one in usable}
        self._accepted: dict[frozenset[str], bool] = {}

    def draw(self, size: int, earlier: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
        """Return a combination that is unlike the earlier ones and has a chain; None if none of a batch is and has."""
        known = {frozenset(one) for one in earlier}
        batch = [tree for tree in (self._tree(size) for _ in range(BATCH)) if tree and frozenset(tree) not in known]
        for tree in sorted(batch, key=lambda one: self._likeness(one, earlier)):
            ids = frozenset(tree)
            if ids not in self._accepted:
                self._accepted[ids] = chainable(self._scene, sorted(ids))
            if self._accepted[ids]:
                return tree
        return None

    def _tree(self, size: int) -> tuple[str, ...] | None:
        """Return the ids of a random tree of up to ``size`` instances; None if it stays too small or only text."""
        starts = self._finder.starts
        if not starts:
            return None
        first = self._choose({one: self._weight(link) for one, link in starts.items()})
        tree = [starts[first].target]
        while len(tree) < size and (weights := self._exits(tree)):
            tree.append(self._scene.get(self._choose(weights)))
        only_text = not self._page and all(one.category == TEXT for one in tree)
        return None if len(tree) < self._least or only_text else tuple(one.id for one in tree)

    def _exits(self, tree: Sequence[Instance]) -> dict[str, float]:
        """Return the weight of each instance that is linked from one of ``tree``: that of its best link."""
        taken = {one.id for one in self._usable if any(one is other or _one_thing(one, other) for other in tree)}
        wordy = MORE_TEXT ** sum(one.category == TEXT for one in tree)
        weights: dict[str, float] = {}
        for anchor in tree:
            branch = 1.0 if anchor is tree[-1] else BRANCH
            for one, weight in self._linked(anchor).items():
                if one not in taken:
                    factor = branch * (wordy if self._scene.get(one).category == TEXT else 1.0)
                    weights[one] = max(weight * factor, weights.get(one, 0.0))
        return weights

    def _linked(self, anchor: Instance) -> dict[str, float]:
        """Return the weight of each link from one instance; links to what is too far away are left out."""
        if anchor.id not in self._links:
            exits = self._finder.exits(anchor).items()
            weights = {one: self._weight(link) * self._closeness(link.target, anchor) for one, link in exits}
            self._links[anchor.id] = {one: weight for one, weight in weights.items() if weight > 0}
        return self._links[anchor.id]

    def _weight(self, link: Link) -> float:
        one = link.target
        rivals = any(other.certain and other is not one for other, _ in self._scene.matching(one.category))
        return self._weights[one.id] * (1.0 if link.proven else OPEN**link.meant) * (1.0 if rivals else LONE)

    def _closeness(self, one: Instance, anchor: Instance) -> float:
        """Return a weight for how near two instances are; 0 if they are too far apart to be joined."""
        if box_gap(one, anchor) > FAR * self._scene.diagonal:
            return 0.0
        apart = gap(one, anchor) / self._scene.diagonal
        label = apart <= ATTACHED and (one.category == TEXT) != (anchor.category == TEXT)
        return 0.0 if apart > FAR else math.exp(-apart / NEAR) * (LABEL if label else 1.0)

    def _choose(self, weights: dict[str, float]) -> str:
        ids = sorted(weights)
        return self._rng.choices(ids, [weights[one] for one in ids])[0]

    def _likeness(self, one: Sequence[str], earlier: Sequence[Sequence[str]]) -> float:
        """Return how much a combination repeats earlier ones: shared instances, the first, and its category."""
        likeness = 0.0
        for other in earlier:
            likeness += len({*one} & {*other}) / len({*one} | {*other}) + SAME_FIRST * (one[0] == other[0])
            likeness += LIKE_FIRST * (self._scene.get(one[0]).category == self._scene.get(other[0]).category)
        return likeness


def _is_visible(one: Instance, scene: Scene) -> bool:
    """Return whether an instance is neither too thin nor too small to be seen at a glance."""
    side = min(one.width, one.height) / math.sqrt(scene.width * scene.height)
    return side >= (LOW_TEXT if one.category == TEXT else SLIVER) and _share(one, scene) >= COVERED


def _one_thing(one: Instance, other: Instance) -> bool:
    """Return whether two objects are one thing that was found under two names; a text is not its sign."""
    return TEXT not in (one.category, other.category) and same_thing(one, other)


def _visibility(one: Instance, scene: Scene) -> float:
    """Return a weight in (0, 1) for how large an instance is."""
    return _share(one, scene) / (_share(one, scene) + SMALL)


def _share(one: Instance, scene: Scene) -> float:
    return one.area / (scene.width * scene.height)
