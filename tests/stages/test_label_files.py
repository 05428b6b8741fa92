"""Limits of label files: how large one may be, and how many rows of a shard may fail their suite."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from hopchain_etl.lake.lake import Lake
from hopchain_etl.quality.validator import QualityError, SuiteResult
from hopchain_etl.stages.label_files import read_labels
from support.labelled import BOX, DOG, built, night, one_photo, plain, put, reasons, rows, settings_in


@pytest.mark.parametrize(("more", "expected"), [(0, []), (-1, ["too_large"])])
def test_a_file_may_be_as_large_as_the_setting_says(tmp_path: Path, more: int, expected: list[str]) -> None:
    limit = len(json.dumps(one_photo(BOX))) + more
    settings = settings_in(tmp_path, labels={"max_bytes": limit})
    put(settings, {"a.png": plain((200, 30, 30)), "labels.json": one_photo(BOX)})
    assert reasons(night(settings)) == expected


def test_labels_of_which_too_many_fail_their_suite_are_not_written(tmp_path: Path) -> None:
    build = built(tmp_path, one_photo(BOX))
    before = rows(build, "labels")
    settings = build.settings
    put(settings, {"labels.json": one_photo(DOG)})

    def strict(table: str, rows: pa.Table) -> SuiteResult:
        return SuiteResult(rows.num_rows, dict.fromkeys(range(rows.num_rows), "is_known"), {}, 0.5)

    with pytest.raises(QualityError, match="labels first/0000"):
        read_labels(Lake(settings.lake), settings.labels, settings.source, validate=strict)
    assert rows(build, "labels") == before
