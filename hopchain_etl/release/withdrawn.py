"""The file ``withdrawn.json`` of the registry: which photos were withdrawn or erased, for clones of older versions.

It holds the sha256 of each image_id, so that nothing in the registry names the photo any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from hopchain_etl.training_set.withdrawn import FILE, hash_of_image


def add_withdrawn(root: Path, images: Iterable[str]) -> None:
    """Add photos to the file of a clone of the registry; no photo ever leaves it."""
    path = root / FILE
    held = json.loads(path.read_text()) if path.exists() else []
    hashes = sorted({*held, *map(hash_of_image, images)})
    if hashes:
        path.write_text(json.dumps(hashes, indent=0) + "\n")
