"""Hands the keys of an Airflow Connection to a child process, which has no Airflow, through boto3's own chain.

Lasting keys go by the child's environment. Keys that are renewed, of an assumed role, would end in a long child: it
gets the address of a small server in this process instead, which answers like a container's credential server.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from hopchain_etl.lake.aws_session import ca_bundle, open_session
from hopchain_etl.lake.s3_errors import explained
from hopchain_etl.settings import S3Settings

log = logging.getLogger(__name__)

P = TypeVar("P", bound=S3Settings)
_HOST = "127.0.0.1"
# What would give the child other keys than those of the Connection.
_OTHER_KEYS = {
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CREDENTIAL_EXPIRATION"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
}


@contextmanager
def child_access(place: P) -> Iterator[tuple[P, dict[str, str]]]:
    """Yield how a child process reaches ``place``: settings without a Connection, and the child's environment.

    The environment is that of this process with the keys in it. Keys of a role are renewed until the block ends.
    Raises StoreError if the Connection cannot be used.
    """
    if not place.connection:
        yield place, dict(os.environ)
        return
    session, address = open_session(place)
    credentials = session.get_credentials()
    if credentials is None:
        raise explained(NoCredentialsError(), place.uri, address.endpoint_url)
    hidden = {*_OTHER_KEYS, *(name for name in os.environ if name.startswith("AIRFLOW_CONN_"))}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env["AWS_DEFAULT_REGION"] = address.region or ""
    if bundle := ca_bundle(session):
        env["AWS_CA_BUNDLE"] = bundle
    address = address.model_copy(update={"connection": None})
    if isinstance(credentials, RefreshableCredentials):
        with _served(credentials) as (url, token):
            # Files with profiles come first in boto3's chain.
            nothing = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
            served = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": token}
            yield address, {**env, **nothing, **served}
        return
    keys = credentials.get_frozen_credentials()
    named = zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), keys, strict=False)
    yield address, {**env, **{name: value for name, value in named if value}}


@contextmanager
def _served(credentials: RefreshableCredentials) -> Iterator[tuple[str, str]]:
    """Serve the credentials on a free port of this machine to whoever has the token; yield address and token."""
    token = secrets.token_urlsafe(32)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not secrets.compare_digest(self.headers.get("Authorization", "").encode(), token.encode()):
                self.send_error(403)
                return
            try:
                keys = credentials.get_frozen_credentials()  # renews them if they end soon
            except (BotoCoreError, ClientError) as error:
                log.warning("the keys of a role were not renewed for a child process: %s", error)
                self.send_error(503)
                return
            body = json.dumps(
                {
                    "AccessKeyId": keys.access_key,
                    "SecretAccessKey": keys.secret_key,
                    "Token": keys.token,
                    "Expiration": vars(credentials)["_expiry_time"].isoformat(),
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer((_HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}/", token
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
