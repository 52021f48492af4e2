"""Sphinx's configuration of the site, which `scripts/dev/docs` builds into docs/_build/html."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("torch"):
    import torch  # noqa: F401 - before TensorFlow, which cannot be loaded in the other order

from keras_blitz import __version__
from keras_blitz.quiet import import_tensorflow

import_tensorflow()
sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "keras_blitz and parity"
author = copyright = "the keras_blitz maintainers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    # in docs/extensions
    "api_pages",
    "catalogue_pages",
    "command_pages",
    "docstrings",
    "side_by_side",
]
exclude_patterns = ["_build", "extensions"]
highlight_language = "text"

# Markdown: the anchors of headings are those that GitHub makes.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# The API: signatures as they are written, the text of the class alone.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_mock_imports = [] if find_spec("torch") else ["torch", "torchvision"]
napoleon_custom_sections = ["Shapes"]
napoleon_use_rtype = False
maximum_signature_line_length = 90
add_module_names = False
toc_object_entries_show_parents = "hide"

# The lessons.
sphinx_gallery_conf = {
    "examples_dirs": "../scripts/lessons",
    "gallery_dirs": "lessons",
    "filename_pattern": "/[0-9]",
    "abort_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # a page that would load scripts from elsewhere
    "show_signature": False,
    "capture_repr": (),
    "first_notebook_cell": '%pip install -q "keras-blitz[torch,scripts]"',
}

# The look: no font and no script from elsewhere.
html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "keras_blitz and parity"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["filter.js"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
