"""How right is what the local engine is certain of? Measured on the hand-made labels of the demo's photos.

    python -m benchmarks.local_quality [--photos FOLDER]

``--photos`` is a folder as ``hopchain samples`` writes it; without it, the samples are written anew. Photos whose
packages are not installed are left out. Lines of text are not judged. The last line is JSON.

A certain object is *right* if it is where a labelled thing of its category is (IoU of the masks or of their boxes at
least one half; each thing once), and *wrong* if a thing of another category is there, or nothing in a photo in which
all things of its category are labelled. It is *not judged* if it lies on things that nobody could tell apart, or has a
category that is not labelled, or not exhaustively, in that photo and is on nothing that is. Recall is the share of
labelled things, of the categories that the network knows, that the engine sees with certainty. ``mask_iou`` is the mean
over right objects, ``poor_masks`` how many of them have one below one half: the engine takes the box where its second
network finds no outline.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pycocotools import mask as coco

from hopchain_etl.demo.labels import INSTANCES
from hopchain_etl.demo.samples import PHOTOS, write_samples
from hopchain_etl.engines.base import DetectJob, Photo, SegmentJob
from hopchain_etl.engines.local.coco_ssd import NAMES
from hopchain_etl.engines.local.engine import LocalDetector, LocalSegmenter
from hopchain_etl.engines.vision.certainty import TEXT
from support.masks import decode

Mask = NDArray[np.bool_]

SAME = 0.5  # IoU, and share of an object on things that cannot be told apart
# Names for these things that nobody would call wrong.
ALSO = {"van": {"car", "truck", "bus"}, "truck": {"car"}, "saucer": {"bowl"}, "pot": {"vase", "potted plant"}}


@dataclass(frozen=True, eq=False)
class Thing:
    """A labelled thing, or several that cannot be told apart (``crowd``)."""

    category: str
    mask: Mask = field(repr=False)
    crowd: bool


@dataclass(frozen=True)
class Labelled:
    """A photo as ingest leaves it, its things, and the categories of which it may show more."""

    name: str
    photo: Photo
    things: tuple[Thing, ...]
    doubtful: frozenset[str]


@dataclass
class Tally:
    """What the engine was certain of, of one category."""

    things: int = 0
    right: int = 0
    wrong: int = 0
    not_judged: int = 0
    ious: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return counts and shares; a share of nothing is None."""
        certain = self.right + self.wrong
        return {
            "things": self.things,
            "right": self.right,
            "wrong": self.wrong,
            "not_judged": self.not_judged,
            "precision": round(self.right / certain, 3) if certain else None,
            "recall": round(self.right / self.things, 3) if self.things else None,
            "mask_iou": round(float(np.mean(self.ious)), 3) if self.ious else None,
            "poor_masks": sum(iou < SAME for iou in self.ious),
        }


def labelled_photos(folder: Path, names: Iterable[str] | None = None) -> Iterator[Labelled]:
    """Yield the labelled photos that are in a folder of samples; ``names``: only these, without their folder."""
    labels = json.loads(INSTANCES.read_text(encoding="utf-8"))
    category = {one["id"]: one["name"] for one in labels["categories"]}
    wanted = None if names is None else {f"photos/{name}" for name in names}
    for image in labels["images"]:
        path = folder / image["file_name"]
        if not path.is_file() or (wanted is not None and image["file_name"] not in wanted):
            continue
        things = tuple(
            Thing(category[one["category_id"]], _mask(one["segmentation"], image), bool(one["iscrowd"]))
            for one in labels["annotations"]
            if one["image_id"] == image["id"]
        )
        doubtful = frozenset(category[one] for one in image["not_exhaustive_category_ids"])
        yield Labelled(path.name, _photo(path), things, doubtful)


def _mask(polygons: list[list[float]], image: dict[str, Any]) -> Mask:
    rings = coco.frPyObjects(polygons, image["height"], image["width"])
    return np.asarray(coco.decode(coco.merge(rings)), dtype=bool)


def _photo(path: Path) -> Photo:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.save(buffer, "PNG")
    return Photo(path.name, path.name, *upright.size, buffer.getvalue)


def seen_in(photo: Photo) -> list[dict[str, Any]]:
    """Return the objects, without lines of text, that the engine sees in a photo, best first."""
    (found,) = LocalDetector().detect([DetectJob(photo)])
    if found.content is None:
        raise RuntimeError(f"{photo.image_id}: {found.error}")
    (cut,) = LocalSegmenter().segment([SegmentJob(photo, tuple(found.content["categories"]))])
    if cut.content is None:
        raise RuntimeError(f"{photo.image_id}: {cut.error}")
    return [one for one in cut.content["instances"] if one["category"] != TEXT]


def judge(one: Labelled, seen: list[dict[str, Any]], tallies: dict[str, Tally]) -> list[str]:
    """Add what is certain in a photo to the tallies by category, and return the wrong ones in words."""
    named = set(NAMES) - {""}
    for thing in one.things:
        if not thing.crowd and thing.category in named:
            tallies[thing.category].things += 1
    free = [thing for thing in one.things if not thing.crowd]
    wrong = []
    for made in (made for made in seen if made["certain"]):
        category, mask = made["category"], decode(made["mask"])
        there = [thing for thing in free if max(_iou(thing.mask, mask), _box_iou(thing.mask, mask)) >= SAME]
        best = max(there, key=lambda thing: (thing.category == category, _iou(thing.mask, mask)), default=None)
        tally = tallies[category]
        if best and best.category == category:
            tally.right += 1
            tally.ious.append(_iou(best.mask, mask))
            free.remove(best)
        elif _is_open(one, category, mask, best):
            tally.not_judged += 1
        else:
            tally.wrong += 1
            wrong.append(f"{one.name}: {category} on {best.category if best else 'nothing'}")
    return wrong


def _is_open(one: Labelled, category: str, mask: Mask, covered: Thing | None) -> bool:
    """Whether an object that is not on a free thing of its category may be right all the same."""
    if covered is not None:
        return category in ALSO.get(covered.category, ())
    crowds = [thing for thing in one.things if thing.crowd and thing.category == category]
    if any((thing.mask & mask).sum() >= SAME * mask.sum() for thing in crowds):
        return True
    return category in one.doubtful or all(thing.category != category for thing in one.things)


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _box_iou(one: Mask, other: Mask) -> float:
    return _iou(_filled(one), _filled(other))


def _filled(mask: Mask) -> Mask:
    """Return the mask of a mask's box."""
    return mask.any(axis=1)[:, None] & mask.any(axis=0)[None, :]


def measure(photos: Iterable[Labelled]) -> dict[str, Any]:
    """Return the figures of all photos together and by category, and what was wrong."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    wrong: list[str] = []
    names = []
    started = time.monotonic()
    for one in photos:
        names.append(one.name)
        seen = seen_in(one.photo)
        wrong += judge(one, seen, tallies)
        certain = Counter(made["category"] for made in seen if made["certain"])
        print(f"{one.name:16} certain: {dict(certain)}", flush=True)
    whole = Tally()
    for tally in tallies.values():
        whole.things += tally.things
        whole.right += tally.right
        whole.wrong += tally.wrong
        whole.not_judged += tally.not_judged
        whole.ious += tally.ious
    return {
        "photos": len(names),
        **whole.summary(),
        "categories": {name: tallies[name].summary() for name in sorted(tallies)},
        "wrong_ones": wrong,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    folder = parser.parse_args().photos
    with tempfile.TemporaryDirectory() as place:
        if folder is None:
            folder = Path(place)
            write_samples(folder, count=(3 * len(PHOTOS) + 1) // 2)
        print(json.dumps(measure(labelled_photos(folder))))


if __name__ == "__main__":
    main()
