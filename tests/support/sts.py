"""An STS server that lets anybody with the right key assume a role, for as long as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from hopchain_etl.demo.s3_folder import Credentials

ROLE = "arn:aws:iam::123456789012:role/lake"
_REPLY = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{secret_key}</SecretAccessKey>
<SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""
_REFUSED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>not allowed to assume {role}</Message></Error></ErrorResponse>"""


@dataclass
class Sts:
    """A running server: its address, and what it was asked. ``keys`` makes the keys of each answer, by its number."""

    url: str
    keys: Callable[[int], Credentials]
    caller: str  # the only access key that may assume a role
    seconds: float = 3600  # that keys last
    token: str = ""  # the S3 server of the tests does not know tokens that it has not given
    asked: list[dict[str, str]] = field(default_factory=list)


def connection(sts: Sts, endpoint_url: str) -> str:
    """Return an Airflow Connection as JSON whose role has the keys that ``sts`` gives, for an S3 server."""
    services = {"sts": {"endpoint_url": sts.url}, "s3": {"endpoint_url": endpoint_url}}
    style = {"s3": {"addressing_style": "path"}}
    extra = {"role_arn": ROLE, "service_config": services, "config_kwargs": style, "region_name": "eu-central-1"}
    return json.dumps({"conn_type": "aws", "login": sts.caller, "password": "secret-of-the-caller", "extra": extra})


@contextmanager
def sts_server(caller: str, keys: Callable[[int], Credentials]) -> Iterator[Sts]:
    """Yield a server on a free port that gives ``keys(number)`` to whoever signs with the access key ``caller``."""
    state = Sts("", keys, caller)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            allowed = f"Credential={state.caller}/" in self.headers["Authorization"]
            facts: dict[str, Any] = {"role": asked["RoleArn"], "token": state.token}
            if allowed:
                given = state.keys(len(state.asked))
                state.asked.append(asked)
                end = (datetime.now(UTC) + timedelta(seconds=state.seconds)).isoformat()
                facts |= {"access_key": given.access_key, "secret_key": given.secret_key, "end": end}
            reply = (_REPLY if allowed else _REFUSED).format(**facts).encode()
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
