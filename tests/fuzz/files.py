"""Files of strangers: rows to verify, a training set to read, labels."""

from __future__ import annotations

import io
import json
import tempfile
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from fuzz.rows import good_rows
from fuzz.target import Target, damaged
from hopchain_etl import schemas
from hopchain_etl.labels.entries import LabelFileError
from hopchain_etl.labels.files import FileReader

UNREADABLE = (ValueError, OSError, pa.ArrowException)  # pyarrow's errors are either of these


@cache
def parquet() -> bytes:
    """Return a file of training rows."""
    from support.training_sets import training_row

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([training_row(0), training_row(1)], schema=schemas.TRAINING_ROWS), out)
    return out.getvalue()


def verified(suffix: str, data: bytes) -> None:
    """A file of rows is verified, each of its lines is counted, or it is refused as a whole."""
    from hopchain_etl.training_set.verify import verify

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{suffix}"
        path.write_bytes(data)
        try:
            result = verify(path)
        except UNREADABLE:
            assert suffix == ".parquet"
            return
    json.dumps(result.to_json())
    assert result.ok is (result.rows > 0 and not result.failures)


def read(data: bytes) -> None:
    """A damaged part of a training set is read, row by row, or refused."""
    from hopchain_etl.training_set.dataset import TrainingSet

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "training_set" / "rows"
        rows.mkdir(parents=True)
        (rows / "train-00000.parquet").write_bytes(data)
        try:
            found = list(TrainingSet(folder, split="train").where("n_hops >= 0"))
        except UNREADABLE:
            return
    assert all(row.answer("full") is row["answer"] for row in found)


COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 320, "height": 240}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 50, 60], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        {"id": 3, "image_id": 1, "category_id": 1, "segmentation": {"size": [240, 320], "counts": [0, 5, 76795]}},
    ],
    "categories": [{"id": 1, "name": "cat"}],
}
STUDIO = [{"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": [{"id": "r", "type": "rectanglelabels",
          "original_width": 320, "original_height": 240,
          "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["cat"]}}]}]}]  # fmt: skip
VOC = b"""<annotation><filename>a.png</filename><size><width>320</width><height>240</height></size><object>
<name>cat</name><bndbox><xmin>20</xmin><ymin>20</ymin><xmax>70</xmax><ymax>80</ymax></bndbox></object></annotation>"""
CVAT = b"""<?xml version="1.0"?><annotations><version>1.1</version><image id="0" name="a.png" width="320" height="240">
<box label="cat" xtl="20" ytl="20" xbr="70" ybr="80"/></image></annotations>"""
YOLO = b"0 0.14 0.2 0.15 0.25\n0 0.1 0.1 0.2 0.1 0.2 0.2\n"
LABELS = [json.dumps(COCO).encode(), json.dumps(STUDIO).encode(), VOC, CVAT, YOLO, b"names: [cat, dog]", b"cat\ndog\n"]


def labelled(data: bytes) -> None:
    """A label file says something or is refused with a reason, whatever its name promises."""
    for name in ("a.json", "a.xml", "a.txt", "data.yaml", "classes.txt"):
        reader = FileReader()
        list(reader.entries("obj.names", io.BytesIO(b"cat\ndog\n")))
        try:
            for entry in reader.entries(name, io.BytesIO(data)):
                repr(entry)
        except LabelFileError as error:
            assert error.reason  # noqa: PT017 - it may also be no error


LINES = st.deferred(lambda: damaged(["\n".join(map(json.dumps, good_rows())).encode()]))
TARGETS = (
    Target("verify-lines", LINES, lambda data: verified(".jsonl", data)),
    Target("verify-parquet", st.deferred(lambda: damaged([parquet()])), lambda data: verified(".parquet", data)),
    Target("dataset", st.deferred(lambda: damaged([parquet()])), read),
    Target("labels", damaged(LABELS), labelled),
)
