"""Models that people use, translated and proven by `scripts/zoo.py`: name, module, inputs."""

from importlib import import_module

from zoo.row import Row

from parity.twins.torch.families import define_missing_operators

GROUPS = {"transformers": "hugging_face", "own": "own", "timm": "image_models"}  # group -> its file


def rows(group: str) -> dict[str, Row]:
    """Return the models of a group by name.

    Raises:
        ImportError: the group's package is not installed.
    """
    define_missing_operators()  # which torchvision looks for, and transformers and timm import it
    return {row.name: row for row in import_module(f"zoo.{GROUPS[group]}").ROWS}
