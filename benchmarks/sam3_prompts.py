"""Eight categories on one photo: one look and one batch of prompts, against a separate call for each category.

The real SAM3 code of transformers on random weights. Encoding a photo costs the real model about ten times one prompt;
the model here is sized so that this holds on a CPU as well, and what it really was is printed. The last line is JSON:
``ratio`` is the time of the joint call over that of eight calls (median of interleaved rounds), ``masks_equal`` whether
both give the same pixels.

    make bench-sam3
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/suites/engines"))

import tiny_sam3

from hopchain_etl.engines.sam3 import models
from hopchain_etl.engines.sam3.postprocess import Answer
from hopchain_etl.settings import Sam3Settings

NAMES = ("person", "dog", "red car", "street sign", "window", "tree", "bicycle", "shop front")
# So deep and wide that the encoder costs about seven to ten prompts, which is printed.
SIZE = tiny_sam3.Size(side=224, width=384, depth=12, heads=6, hidden=32, layers=1, queries=8, window=8)


def timed(work: Callable[[], list[Answer]]) -> tuple[float, list[Answer]]:
    """Return the seconds that ``work`` takes, and what it returns."""
    started = time.perf_counter()
    answers = work()
    return time.perf_counter() - started, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="joint and separate calls in turn")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        weights = tiny_sam3.build(Path(folder), SIZE)
        model = models.load(Sam3Settings(model=str(weights), device="cpu"))
    photo = picture(model.side)

    def jointly() -> list[Answer]:
        return model.prompt(model.encode(photo), NAMES, 0.0)

    def separately() -> list[Answer]:
        return [answer for name in NAMES for answer in model.prompt(model.encode(photo), [name], 0.0)]

    seen = model.encode(photo)
    model.prompt(seen, NAMES, 0.0)  # the first calls pay for caches
    ratios, encoding, prompting, equal = [], [], [], True
    for round_ in range(rounds):
        encoding.append(timed(lambda: [model.encode(photo)])[0])
        prompting.append(timed(lambda: model.prompt(seen, NAMES[:1], 0.0))[0])
        (joint, ours), (apart, theirs) = timed(jointly), timed(separately)
        ratios.append(joint / apart)
        equal &= all(same(one, other) for one, other in zip(ours, theirs, strict=True))
        print(f"round {round_ + 1}: {joint:.2f} s together, {apart:.2f} s apart", flush=True)
    proportion = statistics.median(encoding) / statistics.median(prompting)
    print(f"encoding a photo took {proportion:.1f} times one prompt; {len(NAMES)} categories, {rounds} rounds")
    print(json.dumps({"ratio": round(statistics.median(ratios), 3), "masks_equal": bool(equal)}))


def picture(side: int) -> NDArray[np.float32]:
    """Return a photo of coloured patches as the model takes it, shape (3, side, side)."""
    patches = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8)).astype(np.float32)
    return np.ascontiguousarray(patches.repeat(side // 8, axis=1).repeat(side // 8, axis=2))


def same(one: Answer, other: Answer) -> bool:
    """Return whether two answers hold the same candidates with the same pixels."""
    close = np.allclose(one.scores, other.scores, atol=1e-4)
    return bool(close and np.array_equal(one.masks > 0, other.masks > 0))


if __name__ == "__main__":
    main()
