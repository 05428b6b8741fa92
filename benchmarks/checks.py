"""How fast are the checks? Training rows in one Parquet file, as ``hopchain verify`` reads them, on all cores.

    python -m benchmarks.checks [--rows 10000 80000] [--against ../other-checkout]

Photos have three questions each, in the order of their ids as a release has them. Every row carries a chain over five
instances and all instances of its photo with their masks; one in three asks for what is printed on a thing, which is
told by masks. Two sizes are checked: ``linear`` is processor time a row at the large one over that at the small one.
With ``--against``, another version checks the same files in turns with this one: ``of_other`` is the share of its
processor time that this one takes. Memory is that of the process and its largest child. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pycocotools import mask as coco

from benchmarks.in_process import HERE, Figures, measured
from hopchain_etl import schemas
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.query import Hop, Query, Read, Relation, hop_to_row, query_id
from hopchain_etl.hops.scene import Scene
from hopchain_etl.training_set.verify import verify

WIDTH, HEIGHT = 1000, 800
PHOTOS = 300  # of a shard
QUESTIONS = 3  # about each
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
def photo(seed: int) -> tuple[Row, tuple[Query, ...]]:
    """Return an image with nine instances, and questions whose chains visit five of them."""
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
    start = (
        Hop((one[0],), 'word "Plums"', Relation.NAMED),
        Hop((one[1],), "number", Relation.RIGHT_OF, "h1", Read.NUMBER, value=Fraction(a)),
        Hop((one[2],), "number", Relation.BELOW, "h2", Read.NUMBER, value=Fraction(b)),
    )
    sign = (
        *start,
        Hop((one[6],), "sign", Relation.BELOW, "h3"),
        Hop((one[5],), "number", Relation.INSIDE, "h4", Read.NUMBER, value=Fraction(c)),
    )
    words = (
        *start,
        Hop((one[3],), "word", Relation.LEFT_OF, "h3", Read.TEXT, value="Figs"),
        Hop((one[4],), "word", Relation.BELOW, "h4", Read.TEXT, value="Melons"),
    )
    queries = []
    for number in range(seed, seed + QUESTIONS):
        if number % QUESTIONS == 0:
            hops, expr, answer, visited = sign, f"h2*2+h3+h5+{number}", 2 * a + b + c + number, (0, 1, 2, 6, 5)
        else:
            hops, expr, answer = words, f"h2*letters(h5)+h3*letters(h4)+{number}", a * 6 + b * 4 + number
            visited = (0, 1, 2, 3, 4)
        question = f"Find the word. What is it, plus {number}?"
        queries.append(Query(question, hops, expr, Fraction(answer), tuple(one[n] for n in visited)))
    return {"image_id": image, "instances": rows}, tuple(queries)


def training_row(image: Row, query: Query) -> Row:
    return {
        **dict.fromkeys(schemas.TRAINING_ROWS.names), **image, "question": query.question, "answer": str(query.answer),
        "query_id": query_id(image["image_id"], query.question), "hops": [hop_to_row(hop) for hop in query.hops],
        "expr": query.expr, "combination": list(query.combination), "n_hops": len(query.hops), "unchecked": 0.0,
        "policy": "unreviewed", "human_answers": [], "program_agrees": True, "group": image["image_id"],
        "split": "train", "width": WIDTH, "height": HEIGHT,
    }  # fmt: skip


def write(path: Path, count: int) -> None:
    """Write rows of as many shards as are needed, which differ in the ids of their photos."""
    listed = [training_row(photo(seed)[0], query) for seed in range(PHOTOS) for query in photo(seed)[1]]
    block = pa.Table.from_pylist(listed, schema=schemas.TRAINING_ROWS)
    with pq.ParquetWriter(path, block.schema) as file:
        for shard in range(-(-count // len(block))):
            rows = _renamed(block, f"{shard:08x}").sort_by("query_id")
            file.write_table(rows.slice(0, count - shard * len(block)), row_group_size=250)


def _renamed(rows: pa.Table, prefix: str) -> pa.Table:
    """Return rows whose photos have other ids, which begin with ``prefix``."""
    images = pc.binary_replace_slice(rows["image_id"], 0, len(prefix), prefix)
    ids = [query_id(*pair) for pair in zip(images.to_pylist(), rows["question"].to_pylist(), strict=True)]
    lists = rows["instances"].combine_chunks()
    fields = dict(zip(lists.type.value_type.names, lists.values.flatten(), strict=True))
    fields["image_id"] = pc.binary_replace_slice(fields["image_id"], 0, len(prefix), prefix)
    structs = pa.StructArray.from_arrays(list(fields.values()), fields=list(lists.type.value_type))
    renamed = {"image_id": images, "group": images, "query_id": pa.array(ids)}
    renamed["instances"] = pa.ListArray.from_arrays(lists.offsets, structs)
    columns = [renamed.get(name, rows[name]) for name in rows.column_names]
    return pa.table(columns, schema=rows.schema)


def verifying(path: str) -> int:
    """Verify a file; return the number of rows."""
    result = verify(Path(path))
    assert result.ok, result.to_json()
    return result.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs=2, default=(10_000, 80_000), metavar=("SMALL", "LARGE"))
    parser.add_argument("--against", type=Path, help="another checkout, in turns with this one")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    for seed in range(PHOTOS):
        image, queries = photo(seed)
        scene = Scene.from_rows(image["instances"], WIDTH, HEIGHT)
        for query in queries:
            assert not (found := check(query, scene)[0]), f"query {seed} is no good: {found}"
    checkouts = {"this": HERE, **({"other": options.against.resolve()} if options.against else {})}
    spent: dict[tuple[str, int], list[Figures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {count: Path(folder) / f"{count}.parquet" for count in options.rows}
        for count, path in paths.items():
            write(path, count)
        for _ in range(options.rounds):
            for count, path in paths.items():
                for name, checkout in checkouts.items():
                    found = measured("checks:verifying", path, checkout=checkout)
                    assert found.result == count
                    spent.setdefault((name, count), []).append(found)
                    said = f"{found.seconds:.1f} s, {found.processor:.1f} s of processor time, {found.peak_mb:.0f} MB"
                    print(f"{name}, {count} rows: {said}", file=sys.stderr, flush=True)
    small, large = options.rows
    processor = {key: statistics.median(one.processor for one in found) for key, found in spent.items()}
    facts = {
        "rows_per_s": large / statistics.median(one.seconds for one in spent["this", large]),
        "processor_s": processor["this", large],
        "peak_mb": max(one.peak_mb for one in spent["this", large]),
        "linear": processor["this", large] / large / (processor["this", small] / small),
        "cores": os.cpu_count(),
    }
    if options.against:
        facts["of_other"] = processor["this", large] / processor["other", large]
        facts["other_peak_mb"] = max(one.peak_mb for one in spent["other", large])
    print(json.dumps({name: round(value, 3) for name, value in facts.items()}))


if __name__ == "__main__":
    main()
