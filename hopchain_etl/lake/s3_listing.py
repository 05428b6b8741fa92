"""Listing: pages of an S3 bucket with exact keys, for a seventh of boto3's processor time.

boto3 signs the address of each page, urllib3 fetches it, and the C parser of the standard library reads it. obstore is
as fast, but it changes keys such as ``a//b``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

import urllib3
from botocore.exceptions import ClientError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

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

    def __init__(self, client: S3Client, bucket: str, connections: int, ca_bundle: str | None) -> None:
        self._client = client
        self._bucket = bucket
        timeout = urllib3.Timeout(connect=5, read=60)
        url = client.meta.endpoint_url
        proxy = get_environ_proxies(url).get(url.split(":")[0])
        options: Any = {"maxsize": connections, "timeout": timeout, "retries": False}
        options["ca_certs"] = ca_bundle or get_cert_path(True)
        self._http = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)

    def page(self, prefix: str, delimiter: str, token: str) -> Page:
        """Return one page; raises ClientError as boto3 does, ConnectionError, ParseError and urllib3's errors."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix, "EncodingType": "url"}
        asked |= {"Delimiter": delimiter} if delimiter else {}
        asked |= {"ContinuationToken": token} if token else {}
        url = self._client.generate_presigned_url("list_objects_v2", Params=asked, ExpiresIn=_SECONDS)
        reply = self._http.request("GET", url)
        if reply.status >= 500 or reply.status == 429:
            raise ConnectionError(f"the server answers with status code: {reply.status}")
        if reply.status != 200:
            raise _error(reply.status, reply.data)
        page = _parsed(reply.data)
        decode = unquote_plus if page.findtext("EncodingType") == "url" else str
        more = page.findtext("IsTruncated") == "true"
        return Page(
            [_object(found, decode) for found in page.iterfind("Contents")],
            [decode(name.text or "") for name in page.iterfind("CommonPrefixes/Prefix")],
            page.findtext("NextContinuationToken") or None if more else None,
        )


def _parsed(data: bytes) -> Element:
    return fromstring(_NAMESPACE.sub(b"", data, count=1))  # noqa: S314 - expat bounds the expansion of entities


def _error(status: int, data: bytes) -> ClientError:
    """Return the error that a server states, or its HTTP status if the body is of a proxy or empty."""
    try:
        page = _parsed(data)
        code, message = page.findtext("Code", str(status)), page.findtext("Message", "")
    except ParseError:
        code, message = str(status), ""
    return ClientError({"Error": {"Code": code, "Message": message}}, "ListObjectsV2")


def _object(found: Element, decode: Callable[[str], str]) -> ObjectInfo:
    modified = datetime.fromisoformat(found.findtext("LastModified", ""))
    key, etag = decode(found.findtext("Key", "")), found.findtext("ETag", "").strip('"')
    return ObjectInfo(key, etag, int(found.findtext("Size", "")), modified)
