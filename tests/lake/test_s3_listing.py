"""Pages of a listing as S3 servers write them, and the errors that they and the proxies before them state."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.exceptions import ClientError

from hopchain_etl.lake.object_store import ObjectInfo
from hopchain_etl.lake.s3_listing import Listing, Page

ODD = """<Contents><Key>a+b%2F1</Key><LastModified>2026-11-22T02:00:00.000Z</LastModified><ETag>"ab"</ETag>
<Size>12</Size></Contents>"""
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)


@contextmanager
def answering(status: int, body: str) -> Iterator[Listing]:
    """Yield a listing of a server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    keys = {"aws_access_key_id": "me", "aws_secret_access_key": "key", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server.server_port}", **keys)
    try:
        yield Listing(client, "bucket", 1, None)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def result(*parts: str) -> str:
    inner = "".join(parts)
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</ListBucketResult>'


ENCODED, TOKEN = "<EncodingType>url</EncodingType>", "<NextContinuationToken>next</NextContinuationToken>"
MORE, LAST = "<IsTruncated>true</IsTruncated>", "<IsTruncated>false</IsTruncated>"
FOLDER = "<CommonPrefixes><Prefix>b+c%2F</Prefix></CommonPrefixes>"


@pytest.mark.parametrize(
    ("body", "page"),
    [
        (result(MORE, TOKEN), Page([], [], "next")),
        (result(LAST, TOKEN), Page([], [], None)),
        (result(LAST), Page([], [], None)),
        (result(MORE, "<NextContinuationToken></NextContinuationToken>"), Page([], [], None)),
        (result(ENCODED, ODD, FOLDER), Page([ObjectInfo("a b/1", "ab", 12, AT)], ["b c/"], None)),
        (result(ODD, FOLDER), Page([ObjectInfo("a+b%2F1", "ab", 12, AT)], ["b+c%2F"], None)),
    ],
    ids=["more", "last with token", "last", "empty token", "encoded", "plain"],
)  # fmt: skip
def test_a_page_has_exact_keys_and_the_token_of_the_next(body: str, page: Page) -> None:
    with answering(200, body) as listing:
        assert listing.page("", "/", "") == page


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (403, "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>", "AccessDenied", "not you"),
        (404, "<html></html>", "404", ""),
        (418, "", "418", ""),
        (301, "no XML", "301", ""),
    ],
)
def test_an_error_is_what_the_server_states_or_else_its_status(status: int, body: str, code: str, message: str) -> None:
    with answering(status, body) as listing, pytest.raises(ClientError) as raised:
        listing.page("", "", "")
    assert raised.value.response["Error"] == {"Code": code, "Message": message}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_an_error_of_the_connection(status: int) -> None:
    with answering(status, result(LAST)) as listing, pytest.raises(ConnectionError, match=str(status)):
        listing.page("", "", "")
