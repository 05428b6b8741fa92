"""Why a photo has no question, in the sentences that its owner reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.reporting.why import SeenPhoto, things, why_not

Row = dict[str, Any]


def reject(stage: str, reason: str, detail: str = "", **changes: Any) -> Row:
    row = {"stage": stage, "scope": "input", "outcome": "rejected", "reason": reason, "detail": detail, "payload": None}
    return {**row, **changes}


def instance(category: str, certain: bool = True, box: tuple[float, ...] = (300, 300, 400, 400), **more: Any) -> Row:
    return {"category": category, "certain": certain, "score": 0.9, "box": list(box), "text": None, **more}


def why(*instances: Row, reason: str = "no_chain", **changes: Any) -> list[str]:
    return why_not(SeenPhoto(1_000, 1_000, instances, [reject("generate", reason)], **changes))


def test_things_are_listed_by_number() -> None:
    kinds = ["cat"] * 5 + ["sofa"] + ["text"] * 2 + ["person"] * 13
    assert things(instance(kind) for kind in kinds) == "13 people, five cats, two lines of text and one sofa"
    assert things([]) == ""


def test_too_few_things_are_named() -> None:
    two = why(instance("cat"), instance("sofa"), reason="too_few_instances")
    assert two == ["Only two things are certain (one cat and one sofa); a chain needs three."]
    assert why(instance("cat"), reason="too_few_instances")[0].startswith("Only one thing is certain (one cat)")
    assert why(instance("cat", False), reason="too_few_instances") == [
        "Nothing in it is certain; a chain needs three things.",
        "In doubt: one cat.",
    ]


def test_things_of_different_kinds_make_no_chain() -> None:
    said = why(instance("bowl"), instance("cup"), instance("spoon"))
    assert said[0] == "Everything that is certain is the only one of its kind (one bowl, one cup and one spoon)."


def test_doubts_about_the_same_kind_are_what_is_in_the_way() -> None:
    boxes = [(100, 500, 200, 600), (300, 500, 400, 600), (500, 500, 600, 600), (520, 510, 620, 610), (0, 100, 20, 300)]
    scores = (0.9, 0.9, 0.9, 0.8, 0.9)
    cats = [
        instance("cat", index < 3, box, score=score)
        for index, (box, score) in enumerate(zip(boxes, scores, strict=True))
    ]
    assert why(*cats, judged_by_boxes=True) == [
        "Three cats are certain, but two more cats are in doubt.",
        "So neither how many there are nor which of them is next to another can be told for sure.",
        "In doubt: two cats (one overlapping another, perhaps a part of it, one cut off by the edge of the photo).",
    ]
    assert "(" not in why(*cats)[-1], "another segmenter has reasons of its own"


def test_a_doubt_without_a_reason_of_boxes_is_one_of_the_outline() -> None:
    said = why(instance("cat", box=(50, 50, 200, 200)), instance("dog", False), judged_by_boxes=True)
    assert said[-1] == "In doubt: one dog (without a clear outline)."


def test_what_is_certain_and_yet_gives_no_chain_is_told() -> None:
    said = why(instance("cat"), instance("cat"), instance("dog", False))
    assert said[0] == "Two cats are certain, but no chain leads from one to the next without doubt."
    assert "nearest" in said[1]


def test_a_blurred_photo_is_called_so() -> None:
    assert "blurred" in why(instance("cat"), reason="too_few_instances", quality="low")[-1]
    assert "blurred" not in " ".join(why(instance("cat"), reason="too_few_instances", quality="medium"))


def test_refused_questions_are_counted_by_reason() -> None:
    drafts = ["ambiguous_reference"] * 3 + ["wording_mismatch", "broken_half"]
    rows = [reject("generate", reason, scope="output") for reason in drafts]
    rows.append(reject("judge", "judged_ambiguous", scope="output"))
    assert why_not(SeenPhoto(10, 10, (), [*rows, reject("generate", "nothing_left")])) == [
        "Five questions about it were written and refused.",
        "Three because a phrase in it may mean more than one thing.",
        "One because a second reader understands it differently.",
        "One because a judge finds that it can mean several things.",
    ]


def test_errors_and_unfinished_photos_are_told() -> None:
    failed = reject("segment", "error", "out of memory", outcome="failed")
    assert why_not(SeenPhoto(10, 10, (), [failed])) == ["An error stopped it: out of memory."]
    assert "log" in why_not(SeenPhoto(10, 10, (), []))[0]


def test_a_copy_names_the_first() -> None:
    copy = reject("ingest", "duplicate", payload='{"image_id": "abc"}')
    assert why_not(SeenPhoto(0, 0, (), [copy]), {"abc": "cats.png"}) == ["It is the same picture as cats.png."]
    assert why_not(SeenPhoto(0, 0, (), [copy])) == ["It is the same picture as one before it."]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["cat", "text", "person"]),
            st.booleans(),
            st.tuples(*[st.floats(0, 400)] * 2),
            st.floats(0, 1),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_every_photo_gets_whole_sentences(
    found: list[tuple[str, bool, tuple[float, float], float]], judged: bool
) -> None:
    rows = [instance(kind, sure, (x, y, x + 50, y + 80), score=score) for kind, sure, (x, y), score in found]
    reason = "no_chain" if sum(row["certain"] for row in rows) >= 3 else "too_few_instances"
    for sentence in why(*rows, reason=reason, judged_by_boxes=judged):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "()" not in sentence
        assert "  " not in sentence


@pytest.mark.parametrize("reason", ["low_quality", "too_simple"])
def test_a_photo_that_a_model_refused_is_told_so(reason: str) -> None:
    (said,) = why_not(SeenPhoto(10, 10, (), [reject("detect", reason)]))
    assert said.startswith(("It is too blurred", "Too little is to be seen"))
