"""Renders pages and Markdown files from the ``templates/`` folder of a subpackage."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(package: str, template: str, **values: Any) -> str:
    """Return ``templates/<template>`` of a subpackage such as ``release`` filled with ``values``, newline at the end.

    HTML is escaped, Markdown is not: give it no texts of strangers as they are (``release.card`` has some). Raises
    jinja2.UndefinedError if the template uses a value that is not given.
    """
    return _environment(package).get_template(template).render(values)


@cache
def _environment(package: str) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(f"hopchain_etl.{package}"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
