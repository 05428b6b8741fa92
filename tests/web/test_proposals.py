"""The page of a proposed release, for leads and viewers; what is in it comes from models and people."""

from __future__ import annotations

import pytest

from hopchain_etl.release.proposal import Proposal
from support.desk_clients import office
from support.s3 import S3Location

pytestmark = pytest.mark.s3

SCRIPT = "<script>alert(1)</script>"
VERSION = {
    "target": "default", "version": "1.0.0", "tag": "training-set/default@v1.0.0", "rows": 4, "images": 2,
    "policy": "unanimous", "objection": "", "read": 9, "dropped": {"no_consensus": 5}, "agreement": 0.975,
    "answered": 4, "card": f"---\nlicense: other\n---\n# Card\n\n| a | b |\n|---|---|\n| 1 | {SCRIPT} |\n",
    "changes": {"before": 6, "after": 4, "added": 0, "removed": {"withdrawn": 2}, "changed": {}},
}  # fmt: skip


def test_the_page_shows_figures_changes_card_and_examples_and_runs_nothing(bucket: S3Location) -> None:
    desk = office(bucket)
    shown, gone = desk.queries[0], "e" * 64
    examples = [
        {"image_id": shown["image_id"], "question": f"How many {SCRIPT}?", "answer": "7"},
        {"image_id": gone, "question": "Of a photo that was withdrawn", "answer": "8"},
    ]
    proposal = Proposal("monday", "0" * 40, {}, ({**VERSION, "examples": examples},))
    desk.lake.put_json("proposals/monday.json", vars(proposal))
    desk.lake.write_tombstone(gone, reason="asked to", blob_sha=None)
    page = desk.http.get("/proposals/monday", headers={"x-user": "lead"})
    assert page.status_code == 200
    for text in ("training-set/default@v1.0.0", "4 (6 before) over 2 photos", "removed, withdrawn", "97.5 %",
                 "5 of 9 questions", "<h1>Card</h1>", "<td>1</td>", "How many &lt;script&gt;"):  # fmt: skip
        assert text in page.text, text
    assert SCRIPT not in page.text
    assert "license: other" not in page.text
    assert "Of a photo that was withdrawn" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    missing = desk.http.get("/proposals/tuesday", headers={"x-user": "lead"})
    assert missing.status_code == 404
    assert "a later one replaced it" in missing.json()["message"]
