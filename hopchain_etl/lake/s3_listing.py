"""Listing: pages of an S3 bucket with exact keys, for a seventh of boto3's processor time.

boto3 signs the address of each page, urllib3 fetches it, and the C parser of the standard library reads it. obstore is
as fast, but it changes keys such as ``a//b``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

import urllib3
from botocore.exceptions import ClientError

from hopchain_etl.lake.object_store import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Listing", "Page", "ParseError"]

_NAMESPACE = re.compile(rb' xmlns="[^"]*"')
_SECONDS = 600  # how long a signed address is valid


@dataclass(frozen=True)
class Page:
    """Up to 1,000 objects with their whole keys, or folders; ``token`` continues the listing, None: it is the last."""

    objects: list[ObjectInfo]
    folders: list[str]
    token: str | None


class Listing:
    """Lists a bucket. Thread-safe."""

    def __init__(self, client: S3Client, bucket: str, connections: int) -> None:
        self._client = client
        self._bucket = bucket
        timeout = urllib3.Timeout(connect=5, read=60)
        self._http = urllib3.PoolManager(
            maxsize=connections, timeout=timeout, ca_certs=os.environ.get("AWS_CA_BUNDLE"), retries=False
        )

    def page(self, prefix: str, delimiter: str, token: str) -> Page:
        """Return one page; raises ClientError as boto3 does, ConnectionError, ParseError and urllib3's errors."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix, "EncodingType": "url"}
        asked |= {"Delimiter": delimiter} if delimiter else {}
        asked |= {"ContinuationToken": token} if token else {}
        url = self._client.generate_presigned_url("list_objects_v2", Params=asked, ExpiresIn=_SECONDS)
        reply = self._http.request("GET", url)
        if reply.status >= 500 or reply.status == 429:
            raise ConnectionError(f"the server answers with status code: {reply.status}")
        page = fromstring(_NAMESPACE.sub(b"", reply.data, count=1))  # noqa: S314 - expat bounds the expansion of entities
        if reply.status != 200:
            code, message = page.findtext("Code", str(reply.status)), page.findtext("Message", "")
            raise ClientError({"Error": {"Code": code, "Message": message}}, "ListObjectsV2")
        more = page.findtext("IsTruncated") == "true"
        return Page(
            [_object(found) for found in page.iterfind("Contents")],
            [unquote_plus(name.text or "") for name in page.iterfind("CommonPrefixes/Prefix")],
            page.findtext("NextContinuationToken") or None if more else None,
        )


def _object(found: Element) -> ObjectInfo:
    modified = datetime.fromisoformat(found.findtext("LastModified", ""))
    key, etag = unquote_plus(found.findtext("Key", "")), found.findtext("ETag", "").strip('"')
    return ObjectInfo(key, etag, int(found.findtext("Size", "")), modified)
