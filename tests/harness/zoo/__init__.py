"""Models that people use, translated and proven by `scripts/zoo.py`: name, module, inputs."""

from importlib import import_module

from parity.twins.torch.families import define_missing_operators
from zoo.row import Row

GROUPS = {
    "transformers": "hugging_face",
    "own": "own",
    "timm": "image_models",
    "torchvision": "families",
}  # group -> its file

# Group -> the models that do not pass, with the reason.
OPEN: dict[str, dict[str, str]] = {"own": {}, "transformers": {}, "timm": {}}


def rows(group: str) -> dict[str, Row]:
    """Return the models of a group by name.

    Raises:
        ImportError: the group's package is not installed.
    """
    define_missing_operators()  # which torchvision looks for, and transformers and timm import it
    return {row.name: row for row in import_module(f"zoo.{GROUPS[group]}").ROWS}
