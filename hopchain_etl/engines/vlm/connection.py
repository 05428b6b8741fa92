"""From settings to a client: which server answers, and with which key. Keys are never settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hopchain_etl.settings import VlmSettings

if TYPE_CHECKING:
    from hopchain_etl.engines.vlm.client import VlmClient


def connect(settings: VlmSettings) -> VlmClient:
    """Return a client of the server that answers for a model: the one given, or one launched in this process.

    Raises EngineDownError where the launched server does not become ready.
    """
    # Here, so that who only plans or asks for help does not wait for an HTTP client.
    from hopchain_etl.engines.vlm.client import VlmClient
    from hopchain_etl.engines.vlm.server import endpoint_of

    return VlmClient(settings, endpoint_of(settings), api_key=api_key(settings))


def api_key(settings: VlmSettings) -> str | None:
    """Return the password of the Airflow Connection that is named, else what the environment holds."""
    if settings.connection is None:
        return os.environ.get(settings.api_key_env)
    from airflow.sdk.bases.hook import BaseHook

    password: str | None = BaseHook.get_connection(settings.connection).password
    return password
