"""The policies in deploy/iam/ against the S3 requests that the code makes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
POLICIES = {path.stem: json.loads(path.read_text()) for path in sorted((TOP / "deploy/iam").glob("*.json"))}
LAKE = TOP / "hopchain_etl" / "lake"

# What each request of boto3 and obstore needs, as AWS documents it. A bucket is created by the demo only.
NEEDS: dict[str, set[str]] = {
    "get": {"s3:GetObject"},
    "put": {"s3:PutObject"},
    "get_object": {"s3:GetObject", "s3:GetObjectVersion"},
    "put_object": {"s3:PutObject"},
    "copy_object": {"s3:GetObject", "s3:PutObject"},
    "head_object": {"s3:GetObject"},
    "head_bucket": {"s3:ListBucket"},
    "list_objects_v2": {"s3:ListBucket"},
    "delete_object": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    "get_bucket_versioning": {"s3:GetBucketVersioning"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "create_bucket": set(),
}
_REQUESTS = (r"_client\.([a-z_0-9]+)\(", r"obstore\.(get|put)\(", r'(?:paginator|presigned_url)\("([a-z_0-9]+)"')
_LOCAL = {"get_paginator", "generate_presigned_url"}  # these send nothing themselves


def requests() -> set[str]:
    """Return the names of all S3 requests in the only package that talks to S3."""
    text = "\n".join(path.read_text() for path in LAKE.glob("*.py"))
    return {name for pattern in _REQUESTS for name in re.findall(pattern, text)} - _LOCAL


def actions(policy: str) -> set[str]:
    found = [statement["Action"] for statement in POLICIES[policy]["Statement"]]
    return {one for action in found for one in ([action] if isinstance(action, str) else action)}


def test_only_the_lake_talks_to_s3_and_each_request_is_known() -> None:
    others = [path for path in (TOP / "hopchain_etl").rglob("*.py") if LAKE not in path.parents]
    assert [path for path in others if re.search(r"""client\("s3"|\b_client\.[a-z]+_object""", path.read_text())] == [
        TOP / "hopchain_etl/demo/s3_server.py"  # looks whether its own server answers
    ]
    assert requests() == NEEDS.keys()


def test_every_request_is_granted_to_somebody_and_nothing_else() -> None:
    granted = set().union(*(actions(policy) for policy in POLICIES))
    assert granted == set().union(*NEEDS.values())


@pytest.mark.parametrize(
    ("policy", "may"),
    [
        ("source-reader", {"ListBucket", "GetObject"}),
        ("registry-reader", {"ListBucket", "GetObject"}),
        ("registry-writer", {"ListBucket", "GetObject", "PutObject"}),
        ("lake-writer", {"ListBucket", "GetObject", "PutObject", "DeleteObject"}),
        ("annotation-desk", {"ListBucket", "GetObject", "PutObject", "DeleteObject"}),
        ("takedown", {one.removeprefix("s3:") for needs in NEEDS.values() for one in needs}),
    ],
)
def test_a_role_may_do_no_more_than_its_work(policy: str, may: set[str]) -> None:
    assert actions(policy) == {f"s3:{one}" for one in may}
    for statement in POLICIES[policy]["Statement"]:
        assert statement["Effect"] == "Allow"
        places = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        on_objects = any("Object" in one for one in statement["Action"]) or "GetObject" in statement["Action"]
        for place in places:
            assert re.fullmatch(r"arn:aws:s3:::(PHOTOS|LAKE|REGISTRY)_BUCKET(/[a-z-]+(/[a-z]+)?/\*)?", place), place
            assert place.endswith("/*") == on_objects, "a bucket is listed, objects are read"


def test_there_is_a_case_for_each_policy() -> None:
    assert set(POLICIES) == {
        *("source-reader", "registry-reader", "registry-writer", "lake-writer", "annotation-desk", "takedown"),
    }


def test_the_desk_writes_only_what_people_say() -> None:
    """Each folder that the desk's code names in a key that it writes, the lock of new batches, and no table."""
    (places,) = (one["Resource"] for one in POLICIES["annotation-desk"]["Statement"] if one["Sid"] == "WriteAnswers")
    folders = {place.split("/")[-2] for place in places}
    answers = {"annotators", "batches", "gold", "guidelines", "practised", "qualification", "reviews", "views", "votes"}
    assert folders == answers | {"locks", "migrated"}
