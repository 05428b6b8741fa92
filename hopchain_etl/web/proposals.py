"""The page of a proposed release: its figures, what changes, its card and some questions, for who has to approve it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Response
from markdown_it import MarkdownIt

from hopchain_etl.lake.lake import Lake
from hopchain_etl.release import proposal
from hopchain_etl.templating import render
from hopchain_etl.web.errors import NotFound

_HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)  # YAML of a dataset card
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def router(lake: Lake, viewer: Callable[..., Any]) -> APIRouter:
    """Return the route of the page; it depends on ``viewer``, because it shows answers."""
    routes = APIRouter(dependencies=[Depends(viewer)])

    @routes.get("/{name}")
    def page(name: str) -> Response:
        try:
            shown = proposal.load(lake, name)
        except proposal.ProposalError as error:
            raise NotFound(str(error)) from error
        withdrawn = lake.withdrawn()
        versions = [
            {
                **one,
                "card": _MARKDOWN.render(_HEADER.sub("", one["card"])),
                "examples": [row for row in one["examples"] if row["image_id"] not in withdrawn],
            }
            for one in shown.versions
        ]
        html = render("web", "proposal.html.j2", name=shown.name, versions=versions)
        return Response(html, media_type="text/html; charset=utf-8")

    return routes
