"""One pyarrow schema for each lake table and each released table.

Boxes are ``[x1, y1, x2, y2]`` in float pixels of the normalised image, origin top left. Masks are COCO run-length
encodings of the same pixels. ``intake`` and ``shard`` are partition folders, not columns.
"""

from __future__ import annotations

from typing import overload

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

# What label files say of a photo; see ``labels.photo.joined``.
LABELS = pa.schema(
    [
        ("image_id", pa.string()),
        ("files", pa.list_(pa.string())),  # where that was read
        ("labels", pa.string()),  # JSON
    ]
)

# Boxes found by a detector that localises objects; null for a detector that only names categories.
FOUND = pa.struct([("box", BOX), ("score", pa.float32()), ("text", pa.string())])

# Which of the lineage's engines answered for this photo; null in older versions, and then what the lineage says.
ENGINE = pa.struct([("model", pa.string()), ("revision", pa.string())])

CATEGORIES = pa.schema(
    [
        ("image_id", pa.string()),
        ("category", pa.string()),
        ("count_estimate", pa.int32()),
        ("complexity", pa.int8()),  # of the image, 1 to 10
        ("quality", pa.string()),  # of the image: high, medium, low
        ("found", pa.list_(FOUND)),
        ("detector", ENGINE),
    ]
)

INSTANCES = pa.schema(
    [
        ("instance_id", pa.string()),
        ("image_id", pa.string()),
        ("category", pa.string()),
        ("score", pa.float32()),
        ("certain", pa.bool_()),  # false: uncertain; can make a reference ambiguous, but is never referred to
        ("box", BOX),
        ("mask", MASK),
        ("area", pa.int64()),  # px
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("text", pa.string()),
        ("detector", ENGINE),  # of the photo: who named its categories
        ("segmenter", ENGINE),
    ]
)
WHO_SAW = ("detector", "segmenter")

HOP = pa.struct(
    [
        ("target", pa.list_(pa.string())),
        ("category", pa.string()),
        ("rel", pa.string()),
        ("to", pa.string()),  # "h2", a number, or null
        ("read", pa.string()),
        ("arg", pa.string()),
        ("value", pa.string()),  # JSON: number, string or boolean
        ("words", pa.string()),  # how the target is described beyond its category, or null
    ]
)

# Who confirmed a hop: code, eyes (all looks at it agreed with the author) or nobody.
CONFIRMED_BY = ("code", "eyes", "nobody")
CONFIRMED = pa.struct([("by", pa.string()), ("looks", pa.int8())])

QUERIES = pa.schema(
    [
        ("query_id", pa.string()),  # sha256 of image_id and the normalised question
        ("image_id", pa.string()),
        ("question", pa.string()),
        ("question_half", pa.string()),  # the second half of the hops as a question of its own
        ("question_single", pa.string()),  # the last hop as one
        ("answer_half", pa.string()),
        ("answer_single", pa.string()),
        ("hops_half", pa.list_(HOP)),  # null if the author gave no program for its variant
        ("hops_single", pa.list_(HOP)),
        ("expr_half", pa.string()),
        ("expr_single", pa.string()),
        ("hops", pa.list_(HOP)),
        ("expr", pa.string()),
        ("answer", pa.string()),  # exact decimal
        ("author", pa.string()),
        ("combination", pa.list_(pa.string())),  # the 3 to 6 instances that the author was given
        ("n_hops", pa.int8()),
        ("unchecked", pa.float32()),  # share of hops that code does not confirm
        ("confirmed_by", pa.list_(CONFIRMED)),  # of each hop
        ("unconfirmed", pa.float32()),  # share of hops that nobody confirmed
        ("has_shortcut", pa.bool_()),  # a link of the chain can be skipped
        ("repaired", pa.bool_()),  # the author's second try, after a complaint
    ]
)

ATTEMPTS = pa.schema(
    [
        ("query_id", pa.string()),
        ("model", pa.string()),
        ("sees_image", pa.bool_()),
        ("sample", pa.int32()),
        ("held_out", pa.bool_()),  # true: not used to select queries, only to measure the selected ones
        ("text", pa.string()),
        ("answer", pa.string()),  # the declared answer, null if none was declared; see hops/grading.py
        ("finish_reason", pa.string()),
        ("tokens", pa.int32()),
    ]
)

JUDGEMENTS = pa.schema(
    [
        ("query_id", pa.string()),
        ("model", pa.string()),
        ("verdict", pa.string()),  # fine, ambiguous, unanswerable, outside_knowledge
        ("reason", pa.string()),
    ]
)

ANSWERS = pa.schema(
    [
        ("query_id", pa.string()),
        ("seat", pa.int8()),
        ("annotator", pa.string()),
        ("answer", pa.string()),
        ("reject_reason", pa.string()),
        ("seconds", pa.float32()),  # that the question was visible
        ("answered_at", pa.string()),  # ISO 8601, UTC
        ("rev", pa.int32()),  # of the seat
        ("comment", pa.string()),
        ("answer_id", pa.string()),  # created by the annotation page
        ("active_seconds", pa.float32()),  # of seconds, without pauses; null: not measured
        ("unsure", pa.bool_()),  # the annotator asks the lead to look at it; null or false: not
    ]
)

QUARANTINED = "quarantined"
REJECTS = pa.schema(
    [
        ("stage", pa.string()),
        ("scope", pa.string()),  # input: the row that was read; output: a candidate made from it
        # rejected: processed, but not accepted; failed: an error, retried by the next plan; quarantined: an error that
        # came back in every attempt, retried only on request
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("input_id", pa.string()),
        ("image_id", pa.string()),
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("payload", pa.string()),  # JSON: the rejected object
    ]
)

STAGE = pa.struct(
    [("stage", pa.string()), ("fingerprint", pa.string()), ("model", pa.string()), ("model_revision", pa.string())]
)


def _released(*columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    """Return the schema of a released table: its version and the column descriptions are stored in every file."""
    fields = [pa.field(name, kind, metadata={"description": meaning}) for name, kind, meaning in columns]
    return pa.schema(fields, metadata={"hopchain_schema": TRAINING_SCHEMA})


# Increased when a column is removed or changes its meaning; training_set.dataset rejects sets of other versions.
TRAINING_SCHEMA = "3"

# Like INSTANCES, but without maps: Hugging Face's `datasets` does not support them. Who saw it is said by `stages`.
_PAIRS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
RELEASED_INSTANCE = pa.struct(
    [one.with_type(_PAIRS) if pa.types.is_map(one.type) else one for one in INSTANCES if one.name not in WHO_SAW]
)

TRAINING_IMAGES = _released(
    ("image_id", pa.string(), "sha256 of the source bytes"),
    ("blob_sha", pa.string(), "sha256 of the normalised bytes"),
    ("width", pa.int32(), "px"),
    ("height", pa.int32(), "px"),
    ("bytes", pa.binary(), "the normalised image: JPEG, PNG or WebP, upright, RGB, without metadata"),
)

SPLITS = ("train", "validation")  # of a training set
TRAINING_ROWS = _released(
    ("query_id", pa.string(), "sha256 of image_id and the normalised question"),
    ("image_id", pa.string(), "which photo: sha256 of its source bytes; joins with images/"),
    ("group", pa.string(), "near-duplicate group of the photo; a group is never in two splits"),
    ("split", pa.string(), "train or validation"),
    ("question", pa.string(), "as people were asked it"),
    ("prompt", pa.string(), "the question with the instruction how to give the answer; begins with the question"),
    ("answer", pa.string(), "exact decimal; compare numbers exactly"),
    ("question_half", pa.string(), "the second half of the hops as a question that stands alone; null where none does"),
    ("answer_half", pa.string(), "exact decimal, executed from the half variant's own program"),
    ("hops_half", pa.list_(HOP), "the half variant's program; null where its author gave none"),
    ("expr_half", pa.string(), "its expression over hops_half"),
    ("question_single", pa.string(), "the last hop as a question that stands alone; null where it cannot"),
    ("answer_single", pa.string(), "exact decimal, executed from the single variant's own program"),
    ("hops_single", pa.list_(HOP), "the single variant's program; null where its author gave none"),
    ("expr_single", pa.string(), "its expression over hops_single"),
    ("variants_human_verified", pa.bool_(), "false: nobody has answered the variants, however the query was reviewed"),
    (
        "hops",
        pa.list_(HOP),
        "the program, hop by hop, with what each reads; no readings where program_agrees is false",
    ),
    ("expr", pa.string(), "what the readings are joined to: exact decimals, hK, if(), letters(), + - * /"),
    ("combination", pa.list_(pa.string()), "the 3 to 6 instances that the author was given"),
    (
        "instances",
        pa.list_(RELEASED_INSTANCE),
        "all instances of the photo, so that a row can be checked alone",
    ),
    ("n_hops", pa.int8(), "4 to 6"),
    ("unchecked", pa.float32(), "share of hops that code does not confirm"),
    ("confirmed_by", pa.list_(CONFIRMED), "who confirmed each hop: code, eyes (all looks agreed) or nobody"),
    ("unconfirmed", pa.float32(), "share of hops that neither code nor eyes confirmed; null in older versions"),
    ("has_shortcut", pa.bool_(), "whether a link of the chain can be skipped"),
    ("policy", pa.string(), "unanimous, another rule (3 of 4), or unreviewed: no human has answered"),
    ("human_answers", pa.list_(pa.string()), "what people answered, by seat; null for a reject"),
    ("annotators", pa.list_(pa.string()), "who gave them, under names that mean nothing elsewhere"),
    ("agreement", pa.float32(), "share of those answers that are the released one; null where nobody has answered"),
    ("program_agrees", pa.bool_(), "whether the program's answer is the released one"),
    ("difficulty", pa.float32(), "share of the weaker model's samples that were right; null where none ran"),
    ("band", pa.string(), "all_wrong, hard, medium, easy or all_right, of that share; null where none ran"),
    (
        "blind",
        pa.float32(),
        "share right without the image, of samples that chose no rows; null where none ran",
    ),
    ("author", pa.string(), "model that wrote the question, or program-author"),
    ("lineage", pa.string(), "fingerprint of the queries table: every model, prompt and parameter behind the row"),
    # Of detect and segment: which saw this photo. "labels" read label files.
    ("stages", pa.list_(STAGE), "detect, segment, generate and screen with fingerprint, model and its revision"),
    ("source_uri", pa.string(), "where the photo was read"),
    ("source", pa.string(), "who the photo is from, as stated with it"),
    ("license", pa.string(), "of the photo, as stated with it"),
    ("width", pa.int32(), "px of the normalised photo"),
    ("height", pa.int32(), "px of the normalised photo"),
    ("image_tokens", pa.int32(), "tokens of Qwen3-VL that the photo becomes at its default pixel bounds"),
)

OUTCOME = pa.struct([("target", pa.string()), ("outcome", pa.string())])  # released, or the reason why it was dropped
_FINGERPRINT = ("fingerprint", pa.string())  # of the lake table: every model, prompt and parameter behind the row

# The research artifact: lake tables with the columns needed to read them alone, and votes without personal names.
RESEARCH = {
    "queries": pa.schema([*QUERIES, _FINGERPRINT, ("outcomes", pa.list_(OUTCOME))]),
    "rejects": pa.schema([*REJECTS, _FINGERPRINT]),
    "attempts": pa.schema([*ATTEMPTS, ("image_id", pa.string()), _FINGERPRINT]),
    "judgements": pa.schema([*JUDGEMENTS, ("image_id", pa.string()), _FINGERPRINT]),
    "votes": pa.schema(
        [
            *(ANSWERS.field(name) for name in ("query_id", "seat", "rev", "answer", "reject_reason", "seconds")),
            ("annotator", pa.string()),  # the same pseudonym as in released rows
            ("image_id", pa.string()),
            _FINGERPRINT,
        ]
    ),
}

TABLES = {
    "images": IMAGES,
    "labels": LABELS,
    "categories": CATEGORIES,
    "instances": INSTANCES,
    "queries": QUERIES,
    "attempts": ATTEMPTS,
    "judgements": JUDGEMENTS,
    "answers": ANSWERS,
}


def input_column(table: str) -> str:
    """Return the column of a table that names the input row of its stage (``input_id``)."""
    if table == "images":
        return "uri"
    return "image_id" if "image_id" in TABLES[table].names else "query_id"


@overload
def storable(text: str) -> str: ...
@overload
def storable(text: str | None) -> str | None: ...
def storable(text: str | None) -> str | None:
    """Return a text without halves of surrogate pairs, which JSON can hold and Parquet cannot."""
    return text if text is None else text.encode(errors="replace").decode()
