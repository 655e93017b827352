"""The documentation: sphinx, pages in MyST Markdown, docstrings by numpydoc, examples by sphinx-gallery.

The build needs no network, and the pages ask no other host for anything. Two environment variables say where the site
is published: SKGCA_DOCS_URL, its address, and SKGCA_VERSIONS_URL, a list of versions instead of _static/versions.json.
"""

import os
import re
import sys
import zlib
from html import escape
from importlib.util import find_spec
from pathlib import Path

import matplotlib
from docutils import nodes
from sphinx import addnodes
from sphinx.ext.autosummary import autosummary_table
from sphinx_gallery.sorting import ExplicitOrder

from skgca import __version__

HERE = Path(__file__).parent
MATHJAX = find_spec(
    "sphinx-mathjax-offline"
).submodule_search_locations  # of which only the files are used

matplotlib.use("Agg")
sys.path.insert(0, str(HERE))  # for parameter_groups

project = "skgca"
author = "The skgca developers"
copyright = author
version = release = __version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "parameter_groups",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxext.opengraph",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "auto_examples/**.ipynb", "auto_examples/**.py"]

# Every link must lead somewhere; `make docs` makes errors of warnings.
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:obj|std:term",
        r"classes_|n_features_in_|fit",
    ),  # in what GCASearchCV has from scikit-learn
]


def inventories():
    """Write the inventory of each project in intersphinx.txt, and return them as ``intersphinx_mapping`` has them."""
    sites = {
        "numpy": "https://numpy.org/doc/stable/",
        "sklearn": "https://scikit-learn.org/stable/",
        "torch": "https://docs.pytorch.org/docs/stable/",
    }
    rows = [
        line.split()
        for line in (HERE / "intersphinx.txt").read_text().splitlines()
        if line[0] != "#"
    ]
    mapping = {}
    for project, site in sites.items():
        lines = [
            f"{name} {role} 1 {page + name + '.html' if page.endswith('/') else page}#{name} -\n"
            for row_project, role, name, page in rows
            if row_project == project
        ]
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: stable\n# The remainder is zlib\n"
        path = HERE / f"_build/inventories/{project}.inv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head.encode() + zlib.compress("".join(lines).encode()))
        mapping[project] = (site, str(path))
    return mapping


intersphinx_mapping = inventories()

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3  # a link may be to a heading of another page

autodoc_default_options = {
    "exclude-members": "set_fit_request, set_partial_fit_request, set_score_request"
}  # made by scikit-learn
autodoc_typehints = "none"  # numpydoc's sections tell types
autosummary_generate = True
maximum_signature_line_length = 88
python_trailing_comma_in_multi_line_signatures = False
smartquotes = False  # in docstrings, quotes are those of strings
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template of a class shows its methods
numpydoc_class_members_toctree = False

plot_formats = ["svg"]
plot_pre_code = "import importlib\nimport style\nimportlib.reload(style)"  # settings are reset before each picture
plot_html_show_formats = False
plot_html_show_source_link = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "subsection_order": ExplicitOrder(
        [
            f"../examples/{name}"
            for name in ("start", "data", "targets", "insight", "losses")
        ]
    ),
    "within_subsection_order": ExplicitOrder(  # a file that is not here stops the build
        [
            "plot_quickstart.py",
            "plot_few_labels.py",
            "plot_mixed_table.py",
            "plot_grid_search.py",
            "plot_frozen_features.py",
            "plot_two_measurements.py",
            "plot_stream.py",
            "plot_partly_labelled.py",
            "plot_noisy_views.py",
            "plot_domains.py",
            "plot_counterparts.py",
            "plot_relations.py",
            "plot_biased_labels.py",
            "plot_long_tails.py",
            "plot_map.py",
            "plot_plans_and_outliers.py",
            "plot_torch_loop.py",
            "search_optuna.py",
        ]
    ),
    "remove_config_comments": True,
    "thumbnail_size": (700, 460),  # shown two in a row, so that their words can be read
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib",),
    "capture_repr": ("_repr_html_",),
    "default_thumb_file": str(HERE / "_static/text.svg"),
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": float("inf"),
}

mathjax_path = "mathjax/tex-chtml.js"

copybutton_exclude = (
    ".linenos, .gp, .go"  # prompts and outputs stay out of what is copied
)
copybutton_copy_empty_lines = False

ogp_site_url = os.environ.get("SKGCA_DOCS_URL", "")
ogp_social_cards = {"enable": False}

html_theme = "pydata_sphinx_theme"
html_title = "skgca"
html_context = {"default_mode": "auto"}
html_logo = "_static/logo.svg"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static", *(f"{place}/static" for place in MATHJAX)]
html_css_files = ["custom.css"]
html_copy_source = html_show_sourcelink = True
html_sidebars = {
    page: []
    for page in (
        "index",
        "getting_started",
        "method",
        "faq",
        "coming_from",
        "changelog",
    )
}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "logo": {"text": "skgca", "alt_text": "skgca"},
    "navbar_align": "left",
    "navbar_end": ["version-switcher", "theme-switcher"],
    "navigation_with_keys": False,
    "navbar_persistent": ["search-button"],
    "primary_sidebar_end": [],
    "secondary_sidebar_items": {  # none beside the landing page and the wide tables of the evidence
        "*": ["page-toc", "sourcelink"],
        "[!e]*/**": ["page-toc", "sourcelink"],
        "auto_examples/index": [],
        "index": [],
    },
    "show_prev_next": True,
    "switcher": {
        "json_url": os.environ.get("SKGCA_VERSIONS_URL", "_static/versions.json"),
        "version_match": version,
    },
    "check_switcher": False,  # the list is part of what is built
}


def forget_old_charts(app):
    """Remove the chart of each page of evidence that was changed since, as matplotlib redraws for a new script only."""
    for page in (HERE / "evidence").glob("*.md"):
        for chart in Path(app.outdir).rglob(f"evidence_{page.stem}.svg"):
            if chart.stat().st_mtime < page.stat().st_mtime:
                chart.unlink()


def draw_pictures(app, name, source):
    """Give each {plot} of a page to docutils, since MyST cannot run the directive of matplotlib itself."""

    def as_rst(match):
        path, body = match.groups()
        body = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", body)  # code in a caption
        lines = [
            f".. plot:: {path.lstrip('./')}",
            *(f"   {line}".rstrip() for line in body.splitlines()),
        ]
        return "\n".join(["```{eval-rst}", *lines, "```"])

    source[0] = re.sub(
        r"^```\{plot\} (\S+)\n(.*?)\n```$",
        as_rst,
        source[0],
        flags=re.DOTALL | re.MULTILINE,
    )


def remove_citations(app, doctree):
    """Leave the "[1]" of a first line out of the tables of names, which have no references."""
    for table in doctree.findall(autosummary_table):
        for citation in list(table.findall(addnodes.pending_xref)):
            if citation["refdomain"] == "citation":
                before = citation.previous_sibling()
                before.parent.replace(before, nodes.Text(before.rstrip()))
                citation.parent.remove(citation)


def describe(app, pagename, templatename, context, doctree):
    """Describe a page of one class or function by its first paragraph; the other pages are described by opengraph."""
    if doctree is not None and 'name="description"' not in context["metatags"]:
        words = next(
            (paragraph.astext() for paragraph in doctree.findall(nodes.paragraph)),
            context["title"],
        )
        context["metatags"] += (
            f'<meta name="description" content="{escape(" ".join(words.split()))}" />'
        )


def setup(app):
    """Is called by sphinx."""
    app.connect("builder-inited", forget_old_charts)
    app.connect("source-read", draw_pictures)
    app.connect("doctree-read", remove_citations)
    app.connect("html-page-context", describe, priority=900)  # after opengraph
