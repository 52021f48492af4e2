"""The pages of the commands, made from the typer applications, as `typer … utils docs` makes them."""

from pathlib import Path
from typing import Any

import typer
from pages import write_pages
from typer.cli import get_docs_for_click

import keras_blitz.cli
import parity.cli

APPLICATIONS = {"parity": parity.cli.app, "keras-blitz": keras_blitz.cli.app}

INDEX = """# Commands

* [parity](parity.md): prove a port, translate a module, fill a model, measure the differences
* [keras-blitz](keras-blitz.md): convert checkpoints

```{toctree}
:hidden:

parity
keras-blitz
```
"""


def setup(app: Any) -> dict[str, bool]:
    """Write the pages when a build begins."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "commands", command_pages()))
    return {"parallel_read_safe": True}


def command_pages() -> dict[str, str]:
    """Return a page for each application: its commands, their arguments and options."""
    pages = {}
    for name, application in APPLICATIONS.items():
        command = typer.main.get_command(application)
        for one in command.commands.values():
            one.short_help = one.help.split("\n\n")[0]  # all of the first paragraph, in the list of the commands
        text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name=name), name=name)
        pages[name] = text.replace("```console\n$ ", "```text\n")  # the usage: not a command to be pasted
    return pages | {"index": INDEX}
