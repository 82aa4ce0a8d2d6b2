"""Sphinx configuration: `sphinx-build docs docs/_build` after `pip install ".[docs]"`."""

project = "neuroemu"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_gallery.gen_gallery", "myst_parser"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
myst_heading_anchors = 2
exclude_patterns = ["_build"]
autosummary_generate = True
numpydoc_show_class_members = False
html_theme = "alabaster"
sphinx_gallery_conf = {"examples_dirs": "../examples", "gallery_dirs": "gallery", "min_reported_time": 1}
