"""The installed ``hopchain`` command, run as its user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.s3 import S3Location

HOPCHAIN = [str(Path(sys.executable).with_name("hopchain"))]


def environment(bucket: S3Location) -> dict[str, str]:
    place = {"ENDPOINT_URL": bucket.endpoint_url, "PATH_STYLE": "true"}
    uris = {"LAKE": f"s3://{bucket.bucket}/lake", "SOURCE": f"s3://{bucket.bucket}/photos"}
    settings = {f"HOPCHAIN_{name}__{key}": value for name in uris for key, value in place.items()}
    return {**os.environ, **settings, **{f"HOPCHAIN_{name}__URI": uri for name, uri in uris.items()}}


def hopchain(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HOPCHAIN, *command], env=env, capture_output=True, text=True, timeout=300, check=False)
