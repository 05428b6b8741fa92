"""Which photo a name in a label file means: names and URIs are compared step by step, and never opened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from hopchain_etl.hops.spelling import composed

_SUFFIXES = re.compile(r"\.(jpe?g|jpe|jfif|png|webp|bmp|tiff?|gif|hei[cf]|avif|jxl)", re.IGNORECASE)
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?P<name>.+)")  # Label Studio's name of an uploaded file
_KEYS = ("s3://", "gs://")  # what follows is a key as it is; in other URLs some letters are escaped, and # ends a path
_UPLOADS = "/data/upload/"  # where it keeps them: a folder for each project, which says nothing of the photo
_LOCAL = "/data/local-files/"
# Folders that say what kind of files they hold, not which photos: labels/train/1.txt is of images/train/1.png.
_KINDS = frozenset(
    {
        *("images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "labels", "annotations", "data"),
        *("obj_train_data", "obj_valid_data", "obj_test_data"),
    }
)


def steps(name: str) -> list[str]:
    """Return the steps of a path or URL, without what leads nowhere; empty if it is none."""
    if name.startswith(_KEYS):
        name = name.split("://", 1)[1].partition("/")[2]
    elif "://" in name or name.startswith((_UPLOADS, _LOCAL)):
        try:
            parts = urlsplit(name)
        except ValueError:
            return []
        path = unquote(parts.query.removeprefix("d=") if parts.query.startswith("d=") else parts.path)
        name = path.rsplit("/", 1)[-1] if path.startswith(_UPLOADS) else path
    return [step for step in name.replace("\\", "/").split("/") if step not in ("", ".", "..")]


def folders(path: Sequence[str]) -> list[str]:
    """Return the folders of a path that tell its photo from others of the same file name, accents composed."""
    return [composed(step) for step in path[:-1] if step.casefold() not in _KINDS]


def candidates(path: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what may be the photo's file name, the likeliest first: ``name``, or ``stem`` if it has no suffix.

    Accents are composed, because macOS writes the name of a file in another way than most tools inside of one. Some
    tools escape a name as in a URL where they write it into a file or call a file so: that is the least likely.
    """
    if not path:
        return
    uploaded = _UPLOADED.fullmatch(path[-1])
    written = (path[-1], *([uploaded["name"]] if uploaded else []))
    for name in dict.fromkeys((*written, *map(unquote, written))):
        yield ("name" if _SUFFIXES.fullmatch(PurePosixPath(name).suffix) else "stem"), composed(name)


def is_picture(name: str) -> bool:
    """Return whether a path or URL ends like a picture's."""
    return any(_SUFFIXES.fullmatch(PurePosixPath(step).suffix) for step in steps(name)[-1:])


def without_suffix(name: str) -> str:
    """Return a file name without the suffix of a picture."""
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if _SUFFIXES.fullmatch(suffix) else name


def nearness(uri: str, file: str) -> tuple[bool, int]:
    """Return whether a photo lies in the folder of a label file, and how many steps their folders begin with alike."""
    one, other = composed(uri).split("/")[:-1], composed(file).split("/")[:-1]
    return one == other, alike(one[::-1], other[::-1])


def alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many steps two paths have in common at their ends."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
