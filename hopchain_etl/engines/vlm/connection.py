"""Makes a client from the settings: which server, which API key.

API keys are never stored in settings.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hopchain_etl import airflow_connections
from hopchain_etl.settings import VlmSettings

if TYPE_CHECKING:
    from hopchain_etl.engines.vlm.client import VlmClient


def connect(settings: VlmSettings) -> VlmClient:
    """Return a client of the server of a model: the configured one, one launched by this process, or one held by Ray.

    Raises EngineDownError if the launched server does not become ready.
    """
    # Imported here, so that planning and `--help` do not wait for an HTTP client.
    from hopchain_etl.engines.vlm.client import VlmClient
    from hopchain_etl.engines.vlm.on_ray import endpoint_on_ray
    from hopchain_etl.engines.vlm.server import endpoint_of

    if settings.ray:
        url, key = endpoint_on_ray(settings, settings.ray)
        return VlmClient(settings, url, api_key=key)
    return VlmClient(settings, endpoint_of(settings), api_key=api_key(settings))


def api_key(settings: VlmSettings) -> str | None:
    """Return the password of the Airflow Connection in the settings, else the value of the environment variable.

    Raises UnreadableConnectionError if this process has no such Connection.
    """
    if settings.connection is None:
        key = os.environ.get(settings.api_key_env)
    else:
        key = airflow_connections.read(settings.connection).password
    return key.strip() if key else None  # a secret made from a file ends with a line break, which no header may hold
