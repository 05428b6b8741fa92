"""Thumbnails and overlays, and the memory that they need."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from hopchain_etl.imaging.thumbnails import mask_png

COLOUR = (0, 114, 178)
MANY_LARGE_MASKS = """
import resource
import numpy as np
from pycocotools import mask as coco
from hopchain_etl.imaging.thumbnails import mask_png

one = np.zeros((3_000, 4_000), np.uint8, order="F")
one[1_000:2_000, 1_000:2_000] = 1
rle = coco.encode(one)
mask = {"size": rle["size"], "counts": rle["counts"].decode()}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mask_png([mask] * 200, (0, 114, 178), 760)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def mask(rows: slice, columns: slice) -> dict[str, object]:
    covered = np.zeros((60, 80), np.uint8, order="F")
    covered[rows, columns] = 1
    rle = coco.encode(covered)
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def test_an_overlay_covers_each_mask_and_nothing_else() -> None:
    layer = mask_png([mask(slice(5, 25), slice(5, 35)), mask(slice(20, 50), slice(30, 70))], COLOUR, 80)
    alpha = np.asarray(Image.open(io.BytesIO(layer)).convert("RGBA"))[..., 3]
    expected = np.zeros((60, 80), bool)
    expected[5:25, 5:35] = expected[20:50, 30:70] = True
    assert ((alpha > 0) == expected).all()


def test_many_masks_of_a_large_photo_need_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_LARGE_MASKS], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150, "MiB"
