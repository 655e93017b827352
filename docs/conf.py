"""The documentation: sphinx, pages in MyST Markdown, docstrings by numpydoc, examples by sphinx-gallery.

It builds without network, so there is no intersphinx: names of other packages are shown, not linked.
"""

import sys
from pathlib import Path

import matplotlib
from docutils import nodes
from sphinx import addnodes
from sphinx.ext.autosummary import autosummary_table
from sphinx_gallery.sorting import ExplicitOrder

from skgca import __version__

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parent))  # for parameter_groups

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
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.py"]

# Every link must lead somewhere; `make docs` makes errors of warnings.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(joblib|numpy|scipy|sklearn|skorch|torch)\..*"),
    (r"py:obj|std:term", r"classes_|n_features_in_|fit"),  # in what GCASearchCV has from scikit-learn
]

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
plot_html_show_formats = False
plot_html_show_source_link = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": ExplicitOrder(  # a file that is not here stops the build
        [
            "plot_quickstart.py",
            "plot_few_labels.py",
            "plot_two_measurements.py",
            "plot_mixed_table.py",
            "plot_frozen_features.py",
            "plot_partly_labelled.py",
            "plot_noisy_views.py",
            "plot_domains.py",
            "plot_map.py",
            "plot_counterparts.py",
            "plot_relations.py",
            "plot_biased_labels.py",
            "plot_long_tails.py",
            "plot_plans_and_outliers.py",
            "plot_grid_search.py",
            "plot_stream.py",
            "plot_torch_loop.py",
            "search_optuna.py",
        ]
    ),
    "abort_on_example_error": True,
    "reset_modules": ("matplotlib",),
    "capture_repr": ("_repr_html_",),
    "default_thumb_file": str(Path(__file__).with_name("_static") / "text.svg"),
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": float("inf"),
}

html_theme = "pydata_sphinx_theme"
html_title = f"skgca {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("getting_started", "method", "faq", "coming_from", "changelog")}
html_theme_options = {"header_links_before_dropdown": 6, "navigation_with_keys": False, "show_prev_next": True}


def remove_citations(app, doctree):
    """Leave the "[1]" of a first line out of the tables of names, which have no references."""
    for table in doctree.findall(autosummary_table):
        for citation in list(table.findall(addnodes.pending_xref)):
            if citation["refdomain"] == "citation":
                before = citation.previous_sibling()
                before.parent.replace(before, nodes.Text(before.rstrip()))
                citation.parent.remove(citation)


def setup(app):
    """Is called by sphinx."""
    app.connect("doctree-read", remove_citations)
