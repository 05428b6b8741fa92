"""An S3 server of a benchmark's own, on this machine, which ends with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hopchain_etl.demo import s3_server
from hopchain_etl.demo.interrupts import interruptible


@contextmanager
def own_s3(folder: Path) -> Iterator[str]:
    """Yield the URL of an S3 server that keeps its data in ``folder``.

    The keys of its admin are in the environment from then on, for this process and those that it starts. SIGTERM stops
    it too.
    """
    with interruptible("The benchmark was stopped."):
        server = s3_server.start(folder)
        try:
            keys = server.credentials["admin"]
            os.environ |= {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
            yield server.endpoint_url
        finally:
            s3_server.stop(folder)
