"""Models that people use, translated and proven by `scripts/zoo.py`: name, module, inputs."""

from importlib import import_module

from parity.twins.torch.families import define_missing_operators
from zoo.row import Row

GROUPS = {"transformers": "hugging_face", "own": "own", "timm": "image_models"}  # group -> its file

# Group -> the models that do not pass, with the reason.
OPEN = {
    "own": {
        "PointNet": "in train mode BatchNorm makes a gradient 0, and the rounding that is left of it is compared",
        "GNN": "its first axis is the nodes, not a batch",
    },
    "transformers": {
        "BLOOM": "an autograd.Function with a gradient of its own",
        "Gemma": "its embedding returns what it looked up times a scale; written, and not seen to pass",
    },
}


def rows(group: str) -> dict[str, Row]:
    """Return the models of a group by name.

    Raises:
        ImportError: the group's package is not installed.
    """
    define_missing_operators()  # which torchvision looks for, and transformers and timm import it
    return {row.name: row for row in import_module(f"zoo.{GROUPS[group]}").ROWS}
