"""How Sphinx builds these pages into a site: `make docs`, then open docs/_build/index.html."""

from __future__ import annotations

project = "HopChain ETL"
author = "The HopChain ETL contributors"
copyright = author

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4  # so that page.md#heading is checked, as a code forge resolves it
nitpicky = True
highlight_language = "none"  # a block without a language is no Python

html_theme = "furo"
html_title = "HopChain ETL"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
