"""The vocabulary: one pyarrow schema for each table of the lake and of a training set, and nothing else.

Boxes are ``[x1, y1, x2, y2]`` in float pixels of the normalised image, origin top left. Masks are COCO run-length
encodings of the same pixels. ``intake`` and ``shard`` are partition folders, not columns.
"""

from __future__ import annotations

import pyarrow as pa

BOX = pa.list_(pa.float32(), 4)
MASK = pa.struct([("size", pa.list_(pa.int32(), 2)), ("counts", pa.string())])

LISTING = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("bytes", pa.int64()),
    ]
)

IMAGES = pa.schema(
    [
        ("image_id", pa.string()),  # sha256 of the source bytes
        ("blob_sha", pa.string()),  # sha256 of the normalised bytes under blobs/
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),  # of the source: JPEG, PNG, WEBP, BMP, TIFF, GIF
        ("phash", pa.string()),  # 64-bit perceptual hash, 16 hex digits
        ("group", pa.string()),  # near-duplicate group: the image_id that opened it
        ("near", pa.list_(pa.string())),  # other groups that this photo is close to: a bridge between splits
        ("source", pa.string()),
        ("license", pa.string()),
    ]
)

# What a detector that localises has already found; null for one that only names categories.
FOUND = pa.struct([("box", BOX), ("score", pa.float32()), ("text", pa.string())])

CATEGORIES = pa.schema(
    [
        ("image_id", pa.string()),
        ("category", pa.string()),
        ("count_estimate", pa.int32()),
        ("complexity", pa.int8()),  # of the image, 1 to 10
        ("quality", pa.string()),  # of the image: high, medium, low
        ("found", pa.list_(FOUND)),
    ]
)

INSTANCES = pa.schema(
    [
        ("instance_id", pa.string()),
        ("image_id", pa.string()),
        ("category", pa.string()),
        ("score", pa.float32()),
        ("certain", pa.bool_()),  # false: perhaps there; may only ever make a reference ambiguous
        ("box", BOX),
        ("mask", MASK),
        ("area", pa.int64()),  # px
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("text", pa.string()),
    ]
)

HOP = pa.struct(
    [
        ("target", pa.list_(pa.string())),
        ("category", pa.string()),
        ("rel", pa.string()),
        ("to", pa.string()),  # "h2", a number, or null
        ("read", pa.string()),
        ("arg", pa.string()),
        ("value", pa.string()),  # JSON: number, string or boolean
    ]
)

QUERIES = pa.schema(
    [
        ("query_id", pa.string()),  # sha256 of image_id and the normalised question
        ("image_id", pa.string()),
        ("question", pa.string()),
        ("question_half", pa.string()),
        ("question_single", pa.string()),
        ("answer_half", pa.string()),
        ("answer_single", pa.string()),
        ("hops", pa.list_(HOP)),
        ("expr", pa.string()),
        ("answer", pa.string()),  # exact decimal
        ("author", pa.string()),
        ("combination", pa.list_(pa.string())),  # the 3 to 6 instances that the author was given
        ("n_hops", pa.int8()),
        ("unchecked", pa.float32()),  # share of hops that no code could execute
    ]
)

ATTEMPTS = pa.schema(
    [
        ("query_id", pa.string()),
        ("model", pa.string()),
        ("sees_image", pa.bool_()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("answer", pa.string()),
        ("finish_reason", pa.string()),
        ("tokens", pa.int32()),
    ]
)

ANSWERS = pa.schema(
    [
        ("query_id", pa.string()),
        ("seat", pa.int8()),
        ("annotator", pa.string()),
        ("answer", pa.string()),
        ("reject_reason", pa.string()),
        ("seconds", pa.float32()),
        ("answered_at", pa.string()),  # ISO 8601, UTC
    ]
)

REJECTS = pa.schema(
    [
        ("stage", pa.string()),
        ("scope", pa.string()),  # input: the row that was read; output: a candidate made from it
        ("outcome", pa.string()),  # rejected: looked at and refused; failed: an error, tried again by the next plan
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("input_id", pa.string()),
        ("image_id", pa.string()),
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("payload", pa.string()),  # JSON: what was refused
    ]
)

TRAINING_IMAGES = pa.schema(
    [
        ("image_id", pa.string()),
        ("blob_sha", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.binary()),
    ]
)

TRAINING_ROWS = pa.schema(
    [
        ("query_id", pa.string()),
        ("image_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),  # train, validation
        ("question", pa.string()),
        ("answer", pa.string()),
        ("question_half", pa.string()),
        ("answer_half", pa.string()),
        ("question_single", pa.string()),
        ("answer_single", pa.string()),
        ("hops", pa.list_(HOP)),
        ("expr", pa.string()),
        ("combination", pa.list_(pa.string())),
        ("instances", pa.list_(pa.struct(list(INSTANCES)))),  # all of the image, so that a row can be checked alone
        ("n_hops", pa.int8()),
        ("unchecked", pa.float32()),
        ("policy", pa.string()),  # unanimous, or unreviewed: no human has answered
        ("human_answers", pa.list_(pa.string())),
        ("program_agrees", pa.bool_()),
        ("difficulty", pa.float32()),  # share of a weaker model's samples that were right; null where none ran
        ("author", pa.string()),
        ("lineage", pa.string()),  # fingerprint of the queries table
        ("source_uri", pa.string()),
        ("source", pa.string()),
        ("license", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)

TABLES = {
    "images": IMAGES,
    "categories": CATEGORIES,
    "instances": INSTANCES,
    "queries": QUERIES,
    "attempts": ATTEMPTS,
    "answers": ANSWERS,
}
