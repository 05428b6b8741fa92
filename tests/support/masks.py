"""Masks read back from the lake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def decode(mask: dict[str, Any]) -> NDArray[np.bool_]:
    """Return the pixels, shape (height, width), of a mask that ``encode`` wrote."""
    from pycocotools import mask as coco

    return np.asarray(coco.decode({"size": mask["size"], "counts": mask["counts"].encode("ascii")}), dtype=bool)
