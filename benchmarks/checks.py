"""How fast are the checks? Training rows in one Parquet file, as ``hopchain verify`` reads them, on all cores.

    python -m benchmarks.checks [--rows 80000]

Every row carries a chain over five instances and all instances of its photo with their masks; one in three asks for
what is printed on a thing, which is told by masks. Half the rows are checked first, then all: linear means twice the
time. Memory is the sum over all processes, at its peak. The last line is JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import tempfile
import time
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools import mask as coco

from hopchain_etl import schemas
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_to_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.training_set.verify import verify

WIDTH, HEIGHT = 1000, 800
PHOTOS = 300
Row = dict[str, Any]


def instance(image: str, place: int, category: str, box: tuple[int, int, int, int], text: str | None = None) -> Row:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    pixels[box[1] : box[3], box[0] : box[2]] = 1
    rle = coco.encode(pixels)
    return {
        "instance_id": f"{place:016x}", "image_id": image, "category": category, "score": 0.9, "certain": True,
        "box": [float(edge) for edge in box], "mask": {"size": list(rle["size"]), "counts": rle["counts"].decode()},
        "area": int(pixels.sum()), "attributes": [], "text": text,
    }  # fmt: skip


@lru_cache(maxsize=PHOTOS)
def photo(seed: int) -> tuple[Row, Query]:
    """Return an image with nine instances, and a question whose chain visits five of them."""
    # Odd, so that b is never twice a: the wrong word would then lead to the right answer, which a rule refuses.
    a, b, c = 20 + seed % 30, 51 + 2 * (seed % 17), 90 + seed % 9
    image = f"{seed:064x}"
    cells = [("word", "Plums", 60, 80), ("number", str(a), 560, 80), ("number", str(b), 560, 260),
             ("word", "Figs", 60, 260), ("word", "Melons", 60, 440), ("number", str(c), 560, 620)]  # fmt: skip
    rows = [instance(image, n, "text", (x, y, x + 100, y + 40), said) for n, (_, said, x, y) in enumerate(cells)]
    rows.append(instance(image, 6, "sign", (500, 580, 720, 690)))
    rows.append(instance(image, 8, "sign", (500, 150, 720, 220)))
    rows.append(instance(image, 7, "sign", (40, 600, 200, 760)))
    one = [row["instance_id"] for row in rows]  # the first seven places are their numbers
    hops = [
        Hop((one[0],), 'word "Plums"', Relation.NAMED),
        Hop((one[1],), "number", Relation.RIGHT_OF, "h1", Read.NUMBER, value=Fraction(a)),
        Hop((one[2],), "number", Relation.BELOW, "h2", Read.NUMBER, value=Fraction(b)),
    ]
    if seed % 3 == 0:
        hops.append(Hop((one[6],), "sign", Relation.BELOW, "h3"))
        hops.append(Hop((one[5],), "number", Relation.INSIDE, "h4", Read.NUMBER, value=Fraction(c)))
        expr, answer, visited = f"h2*2+h3+h5+{seed}", Fraction(2 * a + b + c + seed), (0, 1, 2, 6, 5)
    else:
        hops.append(Hop((one[3],), "word", Relation.LEFT_OF, "h3", Read.TEXT, value="Figs"))
        hops.append(Hop((one[4],), "word", Relation.BELOW, "h4", Read.TEXT, value="Melons"))
        expr, answer = f"h2*letters(h5)+h3*letters(h4)+{seed}", Fraction(a * 6 + b * 4 + seed)
        visited = (0, 1, 2, 3, 4)
    query = Query(f"Find the word. What is it, plus {seed}?", tuple(hops), expr, answer, tuple(one[n] for n in visited))
    return {"image_id": image, "instances": rows}, query


def training_row(seed: int) -> Row:
    image, query = photo(seed)
    return {
        **dict.fromkeys(schemas.TRAINING_ROWS.names), **image, "question": query.question, "answer": str(query.answer),
        "query_id": query_id(image["image_id"], query.question), "hops": [hop_to_row(hop) for hop in query.hops],
        "expr": query.expr, "combination": list(query.combination), "n_hops": len(query.hops), "unchecked": 0.0,
        "policy": "unreviewed", "human_answers": [], "program_agrees": True, "group": image["image_id"],
        "split": "train", "width": WIDTH, "height": HEIGHT,
    }  # fmt: skip


def write(path: Path, count: int) -> None:
    """Write rows over all photos again and again, each with a question of its own."""
    block = pa.Table.from_pylist([training_row(seed) for seed in range(PHOTOS)], schema=schemas.TRAINING_ROWS)
    images, questions = block["image_id"].to_pylist(), block["question"].to_pylist()
    with pq.ParquetWriter(path, block.schema) as file:
        for start in range(0, count, PHOTOS):
            asked = [f"{said[:-1]} (asked as no. {start + n})?" for n, said in enumerate(questions)]
            ids = [query_id(image, said) for image, said in zip(images, asked, strict=True)]
            rows = _with(_with(block, "question", asked), "query_id", ids)
            file.write_table(rows.slice(0, count - start))


def _with(rows: pa.Table, name: str, values: list[str]) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(values))


def peak_mb() -> float:
    """The largest sizes of this process and of its largest child, the latter once for each core."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + child * (os.cpu_count() or 1)) / 1024


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=80_000)
    wanted = options.parse_args().rows
    for seed in range(PHOTOS):
        image, query = photo(seed)
        scene = Scene.from_rows(image["instances"], WIDTH, HEIGHT)
        assert not (found := check(query, scene)[0]), f"query {seed} is no good: {found}"
    spent: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (wanted // 2, wanted):
            path = Path(folder) / f"{count}.parquet"
            write(path, count)
        for count in (wanted // 2, wanted):
            began, processor = time.monotonic(), _processor()
            result = verify(Path(folder) / f"{count}.parquet")
            spent.append((count, time.monotonic() - began, _processor() - processor))
            assert result.ok, result.to_json()
    for count, seconds, processor in spent:
        each = processor / count * 1e3
        print(f"{count} rows: {seconds:.1f} s, {processor:.1f} s of processor time, {each:.2f} ms a row")
    for (n, _, a), (m, _, b) in itertools.pairwise(spent):
        print(f"{m / n:.1f} times the rows take {b / a:.2f} times the processor time")
    count, seconds, processor = spent[-1]
    cores = os.cpu_count() or 1
    facts = {"seconds": round(seconds, 1), "peak_mb": round(peak_mb()), "per_core": round(count / processor)}
    print(json.dumps({**facts, "cores": cores, "processor_seconds": round(processor, 1)}))


def _processor() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


if __name__ == "__main__":
    main()
