"""Results as one self-contained HTML page."""

import os
from typing import Any

from keras_blitz.files import atomic_path


def write(document: dict[str, Any], path: str | os.PathLike) -> None:
    """Write the dictionary of `parity.report.json.to_dict` as a page; whole or not at all."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("parity", "report"), autoescape=True, trim_blocks=True)
    with atomic_path(path) as temporary:
        temporary.write_text(environment.get_template("page.html").render(document), encoding="utf-8")
