"""The Airflow plugin: puts desk, lead's page and dataset browser into Airflow's navigation.

Airflow finds it by the entry point ``airflow.plugins`` and loads it into each of its processes, so nothing heavy is
imported here before the first request.
"""

from __future__ import annotations

import threading
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from hopchain_etl.web.early_answers import EarlyAnswers

PREFIX = "/hopchain"


class Desk:
    """An ASGI application that is created at its first request."""

    def __init__(self) -> None:
        self._app: Any = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        with self._lock:
            if self._app is None:
                from hopchain_etl.web.app import create_app

                self._app = create_app()
        await self._app(scope, receive, send)


def view(name: str, page: str, destination: str = "nav", query: str = "") -> dict[str, Any]:
    """Return the entry of a page in the navigation, or as a tab.

    Its address is relative: Airflow resolves it against its own, which may have a path (``api.base_url``).
    """
    href = f"{PREFIX.removeprefix('/')}/{page}{query}"
    return {"name": name, "href": href, "destination": destination, "url_route": f"hopchain-{page}-{destination}"}


class HopChainDesk(AirflowPlugin):
    """Annotate, Lead and Dataset browser; each build run has a tab with its dataset."""

    name = "hopchain_desk"
    fastapi_apps = [{"app": Desk(), "url_prefix": PREFIX, "name": "HopChain annotation desk"}]  # noqa: RUF012 - Airflow's
    fastapi_root_middlewares = [  # noqa: RUF012 - Airflow's
        {"middleware": EarlyAnswers, "args": [], "kwargs": {}, "name": "HopChain early answers"}
    ]
    external_views = [  # noqa: RUF012
        view("Annotate", "annotate") | {"nav_top_level": True},  # annotators find it immediately
        view("Annotation lead", "lead"),
        view("Dataset", "browser"),
        view("Dataset", "browser", "dag_run", "?run={RUN_ID}"),
    ]
