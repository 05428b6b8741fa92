"""Versions of the guidelines are written once, never over each other; a person is told until they have opened one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hopchain_etl.annotation import guidelines
from hopchain_etl.annotation.guidelines import ChangedMeanwhileError
from hopchain_etl.annotation.votes import annotator_key
from hopchain_etl.evaluation.run import folder_lake
from hopchain_etl.lake.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return folder_lake(tmp_path)


def publish(lake: Lake, text: str, based_on: int, by: str = "lead") -> guidelines.Edition:
    return guidelines.publish(lake, text, by=by, at="2026-11-27T10:00:00+00:00", note="shorter", based_on=based_on)


def test_the_text_of_the_package_is_version_0_and_stays_readable(lake: Lake) -> None:
    assert guidelines.newest(lake) == guidelines.default()
    assert guidelines.default().number == 0
    assert "Directly above" in guidelines.default().markdown
    made = publish(lake, "Count twice.", 0)
    assert guidelines.newest(lake) == made == guidelines.load(lake, 1)
    assert (made.number, made.by, made.note) == (1, "lead", "shorter")
    assert [one.number for one in guidelines.editions(lake)] == [0, 1]
    assert guidelines.load(lake, 0) == guidelines.default()
    assert guidelines.load(lake, 2) is None


def test_who_began_from_an_older_version_overwrites_nothing(lake: Lake) -> None:
    publish(lake, "Count twice.", 0, by="lead")
    with pytest.raises(ChangedMeanwhileError, match="version 1 is not the version 0"):
        publish(lake, "Count once.", 0, by="other")
    with pytest.raises(ChangedMeanwhileError):
        publish(lake, "Count once.", 5, by="other")
    assert guidelines.newest(lake).markdown == "Count twice."
    assert publish(lake, "Count once.", 1, by="other").number == 2


def test_of_leads_who_publish_at_once_one_wins_and_the_others_are_told(lake: Lake) -> None:
    start, outcomes = threading.Barrier(8), list[str]()

    def publish_as(name: str) -> None:
        start.wait()
        try:
            outcomes.append(str(publish(lake, f"By {name}.", 0, by=name).number))
        except ChangedMeanwhileError:
            outcomes.append("told")

    threads = [threading.Thread(target=publish_as, args=(f"lead-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["1"] + ["told"] * 7
    assert [one.number for one in guidelines.editions(lake)] == [0, 1]


@pytest.mark.parametrize("junk", [b"{", b"[]", b"{}", b"\xff"])
def test_a_version_that_cannot_be_read_is_passed_over_and_its_number_not_used_again(lake: Lake, junk: bytes) -> None:
    publish(lake, "Count twice.", 0)
    lake.store.put("guidelines/versions/0002.json", junk)
    assert guidelines.newest(lake).number == 1
    assert [one.number for one in guidelines.editions(lake)] == [0, 1]
    assert publish(lake, "Count once.", 1).number == 3


def test_who_has_opened_what_is_kept_without_a_name(lake: Lake) -> None:
    assert guidelines.opened(lake, "ann") == 0
    for number in (2, 10, 3, 3):
        guidelines.mark_opened(lake, "ann", number)
    assert (guidelines.opened(lake, "ann"), guidelines.opened(lake, "ben")) == (10, 0)
    keys = [entry.key for entry in lake.store.list_objects("guidelines/")]
    assert len(keys) == 3
    assert all(key.startswith(f"guidelines/opened/{annotator_key('ann')}/") for key in keys)


def test_differences_are_told_by_place_and_word() -> None:
    old = "# Look\n\n- Zoom in.\n- Count once.\n\nThe end."
    new = "# Look\n\n- Zoom in.\n- Count each ball twice.\n- New rule.\n\n\nThe end."
    assert guidelines.changed_lines(old, new) == {3, 4}
    (one,) = guidelines.differences(old, new)
    assert (one.before, one.after) == ("- Count once.", "- Count each ball twice.\n- New rule.")
    told = {kind: "".join(text for each, text in one.words if each == kind) for kind in ("same", "out", "in")}
    assert told == {"same": "- Count ", "out": "once.", "in": "each ball twice.\n- New rule."}
    assert "".join(text for kind, text in one.words if kind != "out") == one.after
    assert guidelines.differences(old, old) == []
    assert [one.after for one in guidelines.differences(old, "# Look\n\n- Zoom in.\n- Count once.")] == [""]


def test_a_line_that_is_there_hundreds_of_times_is_no_difference() -> None:
    old = "- Count.\n" * 300
    assert guidelines.changed_lines(old, f"{old}- Zoom in.\n") == {300}
    assert [one.after for one in guidelines.differences(old, f"- Zoom in.\n{old}")] == ["- Zoom in."]
