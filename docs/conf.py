"""How Sphinx builds these pages: ``sphinx-build -W docs docs/_build/html``."""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))
sys.path.insert(0, str(HERE.parent / "tests" / "importroot"))  # this checkout, whatever is installed

project = "calwebbd"
author = "the calwebbd developers"
release = version = metadata.version("calwebbd")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "declarations"]
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"calwebbd {release}"
html_show_copyright = False
