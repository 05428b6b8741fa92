"""The desk while and after somebody is erased: no worker writes the name back, and nobody is offered the pseudonym."""

from __future__ import annotations

import pytest

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.collect import collect, settle
from hopchain_etl.quality.validator import SuiteResult
from hopchain_etl.takedown.people.erase import erase, held
from support.desk_clients import Office, office
from support.s3 import S3Location

pytestmark = pytest.mark.s3
PEOPLE = ("ann", "ben", "cleo")
PRACTICE = {"qualification_needed": 1, "practice": 1}


@pytest.fixture
def desk(bucket: S3Location) -> Office:
    """A desk on which three people have answered everything, one of whom has practised."""
    desk = office(bucket)
    for query in desk.batch.query_ids:
        for name in PEOPLE:
            getattr(desk, name).answer(query, desk.right(query), comment=f"said by {name}")
    desk.ann.post("/api/practised", {})
    return desk


def refreshed(desk: Office) -> Office:
    desk.desk.index.refresh()
    return desk


def names(desk: Office) -> dict[str, tuple[int, bool]]:
    rows = desk.lead.get("/api/lead/annotators")["annotators"]
    return {row["annotator"]: (row["answers"], row["erased"]) for row in rows if row["answers"]}


def test_workers_that_knew_the_votes_free_the_seats_and_write_no_name_back(desk: Office) -> None:
    other = refreshed(desk.worker())
    assert names(other).keys() == {*PEOPLE}
    erase(desk.lake, "ann", "drop")
    for worker in (desk, other):
        assert names(refreshed(worker)).keys() == {"ben", "cleo"}
    for query in desk.batch.query_ids:
        other.dan.answer(query, other.right(query))
        desk.eve.answer(query, desk.right(query))
        desk.ben.answer(query, "1", expect=409)
    desk.lead.get("/api/lead/reports")
    other.dan.next()
    assert held(desk.lake, "ann") == {}
    seats = [name for query in desk.batch.query_ids for name in desk.stored(query) if name.startswith("seat-")]
    assert len(seats) == 4 * len(desk.batch.query_ids)
    assert names(refreshed(other)) == {
        name: (len(desk.batch.query_ids), False) for name in ("ben", "cleo", "dan", "eve")
    }


def test_who_logs_in_again_is_somebody_new(bucket: S3Location) -> None:
    desk = office(bucket, **PRACTICE)
    desk.lead.post("/api/lead/qualification/admit", {"annotator": "ann"})
    assert desk.ann.next()["task"]
    leases = [one.key for one in desk.lake.store.list_objects("votes/") if "/lease-" in one.key]
    desk.lake.store.delete(leases)  # they run out
    erase(desk.lake, "ann", "drop")
    assert refreshed(desk).ann.next()["why"] == "practise"


def test_a_pseudonym_counts_but_gets_no_batch(desk: Office) -> None:
    batches.close(desk.lake, "monday", by="lead")
    for one in collect(desk.lake, lambda table, rows: SuiteResult(rows.num_rows)):
        assert settle(desk.lake, vars(one))
    pseudonym = erase(desk.lake, "ann", "keep")["pseudonym"]
    assert names(refreshed(desk))[pseudonym] == (len(desk.batch.query_ids), True)
    batches.create(desk.lake, batches.Batch("tuesday", "run", desk.batch.query_ids[:1], desk.batch.policy,
                                            lineage=desk.batch.lineage, shards=("first/0000",)))  # fmt: skip
    refused = desk.lead.post("/api/lead/batches/tuesday/assigned", {"annotators": [pseudonym]}, expect=422)
    assert "not an annotator here" in str(refused)
    assert desk.lead.get("/api/lead/void?annotator=" + pseudonym)["answers"] == len(desk.batch.query_ids)
