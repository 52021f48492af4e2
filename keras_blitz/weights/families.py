"""What timm and transformers call the weights of torchvision's networks."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import prod

from keras_blitz.weights.tensors import Tensor

# (transformers' name, torchvision's): ResNetForImageClassification and ResNetModel.
_BLOCK = r"^(?:resnet\.)?encoder\.stages\.(\d+)\.layers\.(\d+)\."
TRANSFORMERS_RESNET = (
    (r"^(?:resnet\.)?embedder\.embedder\.convolution\.", lambda m: "conv1."),
    (r"^(?:resnet\.)?embedder\.embedder\.normalization\.", lambda m: "bn1."),
    (_BLOCK + r"shortcut\.convolution\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.0."),
    (_BLOCK + r"shortcut\.normalization\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.1."),
    (_BLOCK + r"layer\.(\d+)\.convolution\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}.conv{int(m[3]) + 1}."),
    (_BLOCK + r"layer\.(\d+)\.normalization\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}.bn{int(m[3]) + 1}."),
    (r"^classifier\.1\.", lambda m: "fc."),
)

# timm's, likewise: VGG. Its first two dense layers are convolutions, (4096, 512, 7, 7) and (4096, 4096, 1, 1).
TIMM_VGG = (
    (r"^pre_logits\.fc1\.", lambda m: "classifier.0."),
    (r"^pre_logits\.fc2\.", lambda m: "classifier.3."),
    (r"^head\.fc\.", lambda m: "classifier.6."),
)

Rows = tuple[tuple[str, Callable[[re.Match[str]], str]], ...]


def renamed(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield the tensors with transformers' names replaced by torchvision's, then with timm's.

    timm's ResNet and Inception v3 have torchvision's names.
    """
    yield {_rename(name, TRANSFORMERS_RESNET): tensor for name, tensor in tensors.items()}
    yield {
        _rename(name, TIMM_VGG): _dense(tensor) if name.startswith("pre_logits.") and tensor.ndim > 2 else tensor
        for name, tensor in tensors.items()
    }


def _rename(name: str, rows: Rows) -> str:
    for pattern, replacement in rows:
        name, count = re.subn(pattern, replacement, name)
        if count:
            break
    return name


def _dense(tensor: Tensor) -> Tensor:
    """Return a convolution's kernel over the whole image as the matrix of a dense layer after a flatten."""
    rows, width = tensor.shape[0], prod(tensor.shape[1:])
    return replace(tensor, shape=(rows, width), read=lambda start, stop: tensor.read(start, stop).reshape(-1, width))
