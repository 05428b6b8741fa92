"""Reject reasons in plain words, for people who have never heard of a stage or a hop.

Each is what follows "because": without a capital letter and without a full stop. A test walks every reason of the code.
"""

from __future__ import annotations

from collections.abc import Mapping

# Why a photo was refused before anything looked at it.
OF_FILES: Mapping[str, str] = {
    "empty": "the file is empty",
    "not_an_image": "the file is not a picture",
    "unsupported_format": "it is a picture of a kind that is not read; save it as JPEG, PNG or WebP",
    "truncated": "part of the picture is missing in the file",
    "broken": "the file is damaged",
    "animated": "it is an animation",
    "multi_page": "the file holds several pages",
    "too_many_pixels": "it has too many pixels; save it smaller",
    "too_many_bytes": "the file is too large",
    "too_small": "the picture is too small",
    "too_elongated": "it is a strip more than 200 times as long as wide, which models do not take",
    "decoder_crashed": "the picture could not be decoded: the decoder died of it",
    "decoder_timeout": "the picture took too long to decode",
    "duplicate": "it is the same picture as one before it",
    "vanished": "the file is gone",
    "withdrawn": "the photo was withdrawn",
}

# Why a photo was refused after it was looked at.
OF_PHOTOS: Mapping[str, str] = {
    "low_quality": "it is too blurred or of too low quality",
    "too_simple": "too little is to be seen in it",
    "no_segmentable_objects": "nothing was found in it: no thing of a kind that the detector knows, and no text",
    "no_instances": "nothing that was found in it has a usable outline",
    "too_few_instances": "too few things in it are certain; a chain needs three",
    "no_chain": "no chain leads from one thing to the next without doubt",
    "nothing_left": "every question about it was refused",
    "no_labels": "no label file says anything of it",
    "no_usable_labels": "no label of a thing in it can be used",
    "error": "an error stopped it",
    "invalid_output": "the model's answer was not in the form that was asked for",
    "unreadable_answer": "the model's answer could not be read",
}

# Why a label, or all that a label file says, is not used.
OF_LABELS: Mapping[str, str] = {
    # files
    "broken_file": "the file is damaged",
    "unknown_format": "the file is in no format of labels that is read",
    "too_large": "the file is too large",
    "no_names": "nothing says what its categories are called",
    "refused": "the file may not be read",
    "vanished": "the file is gone",
    # photos
    "unknown_photo": "the photo is not among these",
    "ambiguous_photo": "it may be about another photo",
    "label_size": "it was drawn on the photo at another size or turned",
    "too_many": "one photo has too many labels",
    # single labels
    "unknown_category": "its category has no name that a question could use",
    "absent_category": "the file says that the photo has nothing of its category",
    "duplicate_id": "something else in the file has its id",
    "bad_id": "its id cannot be read",
    "bad_entry": "it is not what the format has in its place",
    "bad_number": "a number in it cannot be used",
    "no_outline": "it has no outline",
    "outside": "its outline reaches out of the photo",
    "zero_area": "its outline holds nothing",
    "bad_polygon": "its polygon is none",
    "bad_mask": "its mask is damaged",
    "unsupported_shape": "shapes of its kind have no outline",
    "no_text": "it is a line of text and does not say what it reads",
}

# Why something that was seen is not used.
OF_THINGS: Mapping[str, str] = {
    "not_found": "it was named, and then not found",
    "low_score": "it was not recognised surely enough",
    "tiny_mask": "it is only a few pixels large",
    "duplicate": "it is the same thing as another",
    "misnamed": "it is surely something else in the same place",
    "not_read": "reading text is switched off",
}

# Why something that was seen is in doubt (``engines.vision.certainty``): what is said of it in brackets.
OF_DOUBTS: Mapping[str, str] = {
    "low_score": "not recognised surely enough",
    "unusual_size": "very small or very large",
    "cut": "cut off by the edge of the photo",
    "rival": "perhaps something else",
    "repeated": "overlapping another, perhaps a part of it",
    "group": "perhaps several in one",
    "printed": "perhaps only printed on something",
    "unreadable": "not surely read",
}
UNCLEAR = "without a clear outline"

# Why a question was refused.
OF_QUESTIONS: Mapping[str, str] = {
    # program
    "hop_count": "it has too few or too many steps",
    "forward_reference": "a step refers to a later one",
    "dangling_id": "it speaks of a thing that is not in the photo",
    "instance_count": "it visits too few or too many things",
    "chain_broken": "a thing in it is found without the one before",
    "one_level_only": "all its steps are of the same kind",
    "no_perception_hop": "its steps never change between looking at one thing and comparing several",
    "no_instance_chain": "it does not lead over three things in a row",
    "dead_hop": "a step of it does not matter for the answer",
    "link_not_needed": "a thing in it can be found by its name alone",
    "shortcut": "a thing in it can be skipped",
    # arithmetic
    "bad_expression": "its sum cannot be computed",
    "wrong_answer": "its answer is not what its steps give",
    "answer_out_of_range": "its answer is too large or no plain number",
    "constant_condition": "a condition in it does not depend on the photo",
    "same_branches": "a condition in it makes no difference",
    "shut_gate": "a condition in it leaves steps out",
    "insensitive": "its answer stays the same if a step is read wrongly",
    "few_answers": "it has only two possible answers and could be guessed",
    "wrong_turn_unnoticed": "its answer stays the same if another thing is taken for the right one",
    # wording
    "forbidden_word": "its wording speaks of masks, boxes or other aids",
    "names_an_id": "its wording names a thing by its number in the data",
    "not_the_viewers_side": "left and right in it are not the viewer's",
    "reading_given_away": "its wording tells what one should find out",
    "settled_by_another": "one step tells what another should find out",
    "reading_in_question": "its wording tells what one should find out",
    # picture
    "ambiguous_reference": "a phrase in it may mean more than one thing",
    "wrong_target": "a phrase in it means another thing",
    "wrong_reading": "something in it is read wrongly",
    "contradicted_reference": "a phrase in it cannot mean one thing",
    "contradicted_target": "a phrase in it fits another thing better",
    "contradicted_reading": "something in it is read wrongly",
    "unclear_colour": "it asks for a colour that is not clear",
    "unseen_text": "it quotes a text that is not in the photo",
    # others than code
    "unreadable_query": "it is no program",
    "invalid_output": "the model's answer was not in the form that was asked for",
    "unreadable_answer": "the model's answer could not be read",
    "duplicate_query": "it was asked already",
    "wording_mismatch": "a second reader understands it differently",
    "eyes_disagree": "a second look at the photo sees something else",
    "unconfirmed": "too many of its steps were confirmed by nobody",
    "broken_half": "its shorter form breaks a rule",
    "broken_single": "its shortest form breaks a rule",
    "judged_ambiguous": "a judge finds that it can mean several things",
    "judged_unanswerable": "a judge finds that it cannot be answered from the photo",
    "judged_outside_knowledge": "a judge finds that it needs more than the photo",
    "too_easy": "a weak model always answers it rightly",
    "guessable": "it can be answered without the photo",
}

_STAGES: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "ingest": (OF_FILES, OF_PHOTOS),
    "labels": (OF_LABELS,),
    "detect": (OF_PHOTOS,),
    "segment": (OF_PHOTOS, OF_THINGS),
    "generate": (OF_PHOTOS, OF_QUESTIONS),
    "judge": (OF_QUESTIONS, OF_PHOTOS),
    "screen": (OF_QUESTIONS, OF_PHOTOS),
}


def because(stage: str, reason: str) -> str:
    """Return why ``stage`` refused something, in plain words; a reason that has none is told by its name.

    Only the suites of tables have such reasons (``expectations/``): they tell of a defect in the code.
    """
    for plain in _STAGES.get(stage, ()):
        if reason in plain:
            return plain[reason]
    return f"it was refused as {reason.replace('_', ' ')}"
