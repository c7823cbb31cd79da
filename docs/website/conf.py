"""Sphinx's settings. `make docs` builds the site; all of its pages come from `pages.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from website.calls import find_name  # noqa: E402
from website.links import find_dead_links  # noqa: E402
from website.pages import write_pages  # noqa: E402

import simdeploy  # noqa: E402

project = "simdeploy"
author = copyright = "The simdeploy developers"  # noqa: A001 - Sphinx's name
version = release = simdeploy.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
default_role = "name"
smartquotes = False  # options begin with two hyphens
nitpicky = True
nitpick_ignore = [("py:obj", "simdeploy.analysis.estimates.precision_result.Responses")]  # a type variable

autodoc_typehints = "none"  # numpydoc's sections say them in words
autodoc_class_signature = "separated"  # results are made by calls
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = project
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_math_renderer = "mathml"


def write_name(
    _name: str, _raw: str, text: str, _line: int, inliner: Any, *_: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Show backticked text of docstrings as code, with a link if it names a public object or a document."""
    from sphinx.addnodes import pending_xref

    code = nodes.literal(text, text)
    document = re.fullmatch(r"docs/([\w/-]+)\.md", text)
    if document:
        target = {"refdomain": "std", "reftype": "doc", "reftarget": f"/{document[1]}", "refexplicit": True}
    elif (full := find_name(text)) is not None:
        target = {"refdomain": "py", "reftype": "obj", "reftarget": full, "refexplicit": True}
    else:
        return [code], []
    page = inliner.document.settings.env.docname  # the link is relative to it
    return [pending_xref("", code, refdoc=page, refwarn=True, **target)], []


def write_math(writer: Any, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers read without a script."""
    from latex2mathml.converter import convert

    writer.body.append(convert(node.astext(), display="block" if isinstance(node, nodes.math_block) else "inline"))
    raise nodes.SkipNode


def describe(_app: Any, _page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give search engines the first sentences of a page."""
    first = next(iter(doctree.findall(nodes.paragraph)), None) if doctree else None
    if first is not None:
        text = " ".join(first.astext().split())[:300].replace('"', "&quot;")
        context["metatags"] = f'{context.get("metatags", "")}<meta name="description" content="{text}">'


def skip(_app: Any, _kind: str, _name: str, value: Any, _skips: bool, _options: Any) -> bool | None:
    """Leave out Python's own descriptions of the fields of a named tuple."""
    return True if str(getattr(value, "__doc__", "")).startswith("Alias for field number") else None


def check_links(app: Any, error: Exception | None) -> None:
    """Warn about dead links of the written pages; `make docs` treats warnings as errors."""
    from sphinx.util.logging import getLogger

    if error is None and app.builder.name == "html":
        pages = sorted(app.builder.get_target_uri(name) for name in app.env.found_docs)
        for page, link in find_dead_links(Path(app.outdir), pages):
            getLogger(__name__).warning("%s: link to a page or place that doesn't exist (%s)", page, link)


def setup(app: Any) -> None:
    """Write the pages and register what they use."""
    try:
        write_pages(Path(app.srcdir))
    except FileExistsError as error:
        sys.exit(f"error: {error}")
    app.add_role("name", write_name)
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    app.connect("autodoc-skip-member", skip)
    app.connect("html-page-context", describe)
    app.connect("build-finished", check_links)
