"""Models that people use, translated and proven by `scripts/zoo.py`: name, module, inputs."""

from importlib import import_module

from parity.twins.torch.families import define_missing_operators
from zoo.row import Row

GROUPS = {"transformers": "hugging_face", "own": "own", "timm": "image_models"}  # group -> its file

# Group -> the models that do not pass, with the reason.
OPEN = {
    "own": {
        "N5 MNIST, unfinished": "it returns its input, which parity.check cannot record",
        "N9 Inception": "train mode did not agree with maps of one value, and has not been seen with larger ones",
        "PointNet": "in train mode BatchNorm makes a gradient 0, and the rounding that is left of it is compared",
        "GNN": "its first axis is the nodes, not a batch",
    },
    "transformers": {
        "BEiT": "parity.check cannot record a module that returns a whole number",
        "BLOOM": "an autograd.Function with a gradient of its own",
        "DeBERTa-v2": "heads and examples in one axis, beside positions without examples",
        "Falcon": "a subclass of Linear that multiplies by weight.T: square weights are transferred transposed",
        "Gemma": "its embedding returns the vectors times a scale, which is compared with the vectors",
        "M2M100": "a table of sines that no checkpoint has is paired with a weight",
        "SegFormer": "in train mode BatchNorm makes gradients 0, and the rounding that is left of them is compared",
        "Wav2Vec2": "a convolution whose weight is computed by weight norm",
    },
}


def rows(group: str) -> dict[str, Row]:
    """Return the models of a group by name.

    Raises:
        ImportError: the group's package is not installed.
    """
    define_missing_operators()  # which torchvision looks for, and transformers and timm import it
    return {row.name: row for row in import_module(f"zoo.{GROUPS[group]}").ROWS}
