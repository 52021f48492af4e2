"""Draws the description of a random network."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from parity.faults.random.network import Network, Node, Shape, shape_after

FORMS = (
    "relu", "relu", "relu", "gelu", "gelu_tanh", "leaky_relu", "hardswish", "hardsigmoid", "elu", "silu", "tanh",
    "sigmoid", "relu6", "softplus", "mish", "selu",
)  # fmt: skip
KINDS = ("maps", "maps", "maps", "signal", "sequence", "vector")


def network(seed: int) -> Network:
    """Return the random network of a number."""
    rng = np.random.RandomState(seed)
    while True:
        try:
            return _Drawer(rng).network(KINDS[rng.randint(len(KINDS))])
        except ValueError:  # a window that does not fit
            continue


class _Drawer:
    """Adds nodes; each method takes the name of a value and returns that of another."""

    def __init__(self, rng: np.random.RandomState):
        self.rng = rng
        self.inputs: dict[str, Shape] = {}
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.block = ""

    def network(self, kind: str) -> Network:
        x = self._input(kind)
        blocks = int(self.rng.randint(1, 4))
        outputs = []
        for number in range(blocks):
            self.block = f"{self._pick(['block', 'stage', 'layer'])}{number + 1}."
            x = self._block(x)
        if self._chance(0.1):
            self.block = "aux."
            outputs.append(self._head(x))
        self.block = self._pick(["", "head.", "classifier."])
        outputs.insert(0, self._head(x))
        return Network(self.inputs, tuple(self.nodes), tuple(outputs))

    def _chance(self, share: float) -> bool:
        return bool(self.rng.rand() < share)

    def _pick(self, options: Sequence) -> Any:
        return options[self.rng.randint(len(options))]

    def _size(self, low: int, high: int) -> int:
        return int(self.rng.randint(low, high + 1))

    def _input(self, kind: str) -> str:
        if kind == "sequence" and self._chance(0.6):
            self._enter("tokens", Shape("tokens", (self._size(5, 8),)))
            x = self.add("embedding", "tokens", count=self._size(9, 15), units=self._pick([4, 6, 8]))
            return self.add("scale", x, factor=float(self._pick([2.0, 0.5, 3.0]))) if self._chance(0.2) else x
        shape = {
            "maps": Shape("maps", (self._size(2, 4), self._size(8, 11), self._size(8, 11))),
            "signal": Shape("maps", (self._size(2, 4), self._size(10, 16))),
            "sequence": Shape("sequence", (self._size(5, 8), self._pick([4, 6]))),
            "vector": Shape("vector", (self._size(5, 9),)),
        }[kind]
        self._enter("x", shape)
        return "x"

    def _enter(self, name: str, shape: Shape) -> None:
        self.inputs[name] = self.shapes[name] = shape

    def add(self, kind: str, *inputs: str, tied: str = "", **settings: Any) -> str:
        """Add a node and return its name."""
        short = {"batchnorm": "bn", "activation": "act", "linear": "fc", "layernorm": "ln", "groupnorm": "gn"}
        number = sum(node.name.startswith(f"{self.block}{short.get(kind, kind)}") for node in self.nodes) + 1
        node = Node(f"{self.block}{short.get(kind, kind)}{number}", kind, inputs, settings, tied)
        self.shapes[node.name] = shape_after(node, *(self.shapes[name] for name in inputs))
        self.nodes.append(node)
        return node.name

    def again(self, name: str, x: str) -> str:
        """Add a second call of a node's layer."""
        node = next(node for node in self.nodes if node.name == name)
        return self.add(node.kind, x, tied=node.holder, **node.settings)

    # Single layers

    def conv(self, x: str, filters: int | None = None, stride: int = 1, kernel: int | None = None) -> str:
        shape = self.shapes[x]
        rank = len(shape.space)
        filters = filters or self._pick([4, 6, 8])
        size = kernel or self._pick([1, 3, 3, 3, 5, 2])
        common = [g for g in (2, 4) if shape.channels % g == 0 and filters % g == 0]
        groups = self._pick(common) if common and self._chance(0.15) else 1
        spread = 2 if size == 3 and stride == 1 and min(shape.space) > 5 and self._chance(0.15) else 1
        pad = spread * (size // 2) if stride == 1 and size % 2 and self._chance(0.8) else self._pick([0, size // 2])
        return self.add(
            "conv", x, filters=filters, kernel=(size,) * rank, stride=(stride,) * rank, padding=(pad,) * rank,
            dilation=(spread,) * rank, groups=groups, bias=self._chance(0.7),
        )  # fmt: skip

    def conv_same(self, x: str, filters: int, kernel: int = 3, depthwise: bool = False) -> str:
        rank = len(self.shapes[x].space)
        return self.add(
            "conv", x, filters=filters, kernel=(kernel,) * rank, stride=(1,) * rank, padding=(kernel // 2,) * rank,
            dilation=(1,) * rank, groups=self.shapes[x].channels if depthwise else 1, bias=self._chance(0.6),
        )  # fmt: skip

    def norm(self, x: str) -> str:
        shape = self.shapes[x]
        eps = self._pick([1e-5, 1e-5, 1e-3, 1e-6])
        kinds = {"maps": ["batchnorm", "batchnorm", "groupnorm", "layernorm"], "vector": ["batchnorm", "layernorm"]}
        kind = self._pick(kinds.get(shape.layout, ["layernorm"]))
        if kind == "batchnorm":
            return self.add(kind, x, eps=eps, momentum=self._pick([0.1, 0.01]))
        if kind == "groupnorm":
            return self.add(kind, x, eps=eps, groups=self._pick([g for g in (1, 2, 4) if shape.channels % g == 0]))
        return self.add(kind, x, eps=eps)

    def activation(self, x: str) -> str:
        form = self._pick(FORMS)
        more = {"leaky_relu": [0.01, 0.2, 0.1], "elu": [1.0, 0.5]}
        return self.add("activation", x, form=form, slope=self._pick(more.get(form, [0.0])))

    def pool(self, x: str) -> str:
        rank = len(self.shapes[x].space)
        size = self._pick([2, 2, 3])
        pad = 1 if size == 3 and self._chance(0.6) else 0
        return self.add(
            self._pick(["maxpool", "avgpool"]), x, kernel=(size,) * rank, stride=(self._pick([2, 2, 1]),) * rank,
            padding=(pad,) * rank,
        )  # fmt: skip

    def linear(self, x: str, units: int | None = None) -> str:
        return self.add("linear", x, units=units or self._pick([4, 6, 8]), bias=self._chance(0.8))

    def some(self, x: str) -> str:
        """A norm or an activation or both, in either order, or a dropout."""
        for step in self._pick([(self.norm, self.activation), (self.activation,), (self.activation, self.norm)]):
            x = step(x)
        return self.add("dropout", x, rate=self._pick([0.1, 0.5])) if self._chance(0.15) else x

    # Blocks

    def _block(self, x: str) -> str:
        layout = self.shapes[x].layout
        blocks: tuple[Callable[[str], str], ...]
        if layout == "maps":
            blocks = (
                self._plain, self._plain, self._residual, self._residual, self._parallel, self._separable,
                self._twice, self._excited, self._around,
            )  # fmt: skip
        elif layout == "sequence":
            blocks = (self._recurrent, self._recurrent, self._feed_forward, self._gated, self._as_maps, self._twice)
        else:
            blocks = (self._plain, self._residual, self._parallel, self._gated, self._twice)
        return self._pick(blocks)(x)

    def _layer(self, x: str, width: int | None = None) -> str:
        """A layer that keeps the sizes but for the channels."""
        if self.shapes[x].layout == "maps":
            return self.conv_same(x, width or self._pick([4, 6, 8]), self._pick([1, 3, 3]))
        return self.linear(x, width)

    def _plain(self, x: str) -> str:
        if self.shapes[x].layout != "maps":
            return self.some(self.linear(x))
        x = self.some(self.conv(x, stride=self._pick([1, 1, 2])))
        return self.pool(x) if min(self.shapes[x].space) > 5 and self._chance(0.5) else x

    def _residual(self, x: str) -> str:
        main = self._layer(self.some(self._layer(x)))
        main = self.norm(main) if self._chance(0.5) else main
        width = self.shapes[main].channels
        short = x if self.shapes[x].channels == width else self._layer(x, width)
        short = self.norm(short) if short != x and self._chance(0.4) else short
        pair = (main, short) if self._chance(0.7) else (short, main)
        return self.activation(self.add(self._pick(["add", "add", "add", "subtract"]), *pair))

    def _parallel(self, x: str) -> str:
        """Branches, sometimes of one shape, that are concatenated, added or subtracted."""
        equal = self._chance(0.5)
        width = self._pick([4, 6])
        ends = [self._layer(x, width) for _ in range(self._size(2, 3))]
        ends = [self.activation(end) if self._chance(0.6) else end for end in ends]
        join = self._pick(["concat", "add", "subtract", "multiply"]) if equal else "concat"
        return self.add(join, *(ends[:2] if join == "subtract" else ends))

    def _separable(self, x: str) -> str:
        """A convolution of each channel, then one that mixes them."""
        x = self.some(self.conv_same(x, self.shapes[x].channels * self._pick([1, 1, 2]), depthwise=True))
        return self.some(self.conv_same(x, self._pick([4, 6, 8]), kernel=1))

    def _twice(self, x: str) -> str:
        """One layer called twice: one call after the other, or on two branches."""
        x = self.activation(self._layer(x, 6))
        first = self._layer(x, 6)
        if self._chance(0.5):
            return self.again(first, self.activation(first))
        other = self.again(first, self.activation(x))
        return self.add(self._pick(["add", "concat", "subtract"]), first, other)

    def _excited(self, x: str) -> str:
        """Squeeze and excitation."""
        x = self._layer(x, 6)
        gate = self.linear(self.activation(self.linear(self.add("globalavg", x), 4)), 6)
        gate = self.add("activation", gate, form=self._pick(["sigmoid", "hardsigmoid"]), slope=0.0)
        return self.add("gate", x, gate)

    def _around(self, x: str) -> str:
        """Down and up again, with the way around concatenated, as in U-Net."""
        if any(size % 2 for size in self.shapes[x].space):
            return self._plain(x)
        rank = len(self.shapes[x].space)
        down = self.add("maxpool", x, kernel=(2,) * rank, stride=(2,) * rank, padding=(0,) * rank)
        up = self.add("upsample", self.some(self._layer(down)), factor=2, mode="nearest")
        return self._layer(self.add("concat", *((up, x) if self._chance(0.5) else (x, up))))

    def _recurrent(self, x: str) -> str:
        return self.add(
            self._pick(["lstm", "gru"]), x, units=self._pick([4, 6]), sequences=True, bidirectional=self._chance(0.3)
        )

    def _feed_forward(self, x: str) -> str:
        """A block of a transformer without its attention; the norm before or after."""
        width, first = self.shapes[x].channels, self._chance(0.5)
        y = self.norm(x) if first else x
        y = self.add("add", x, self.linear(self.activation(self.linear(y, 8)), width))
        return y if first else self.norm(y)

    def _gated(self, x: str) -> str:
        """A linear map times the sigmoid of another."""
        gate = self.add("activation", self.linear(x, 6), form=self._pick(["sigmoid", "silu"]), slope=0.0)
        return self.add("multiply", *((self.linear(x, 6), gate) if self._chance(0.5) else (gate, self.linear(x, 6))))

    def _as_maps(self, x: str) -> str:
        """Convolutions over time within a sequence."""
        return self.add("to_sequence", self.some(self._layer(self.add("to_maps", x))))

    def _head(self, x: str) -> str:
        layout = self.shapes[x].layout
        if layout == "maps" and self._chance(0.15):
            return self._layer(x, 3)
        if layout == "maps":
            x = self.add(self._pick(["flatten", "flatten", "globalavg", "globalmax"]), x)
        elif layout == "sequence":
            x = self._one_of_sequence(x)
        if self._chance(0.3):
            x = self.some(self.linear(x))
        x = self.linear(x, self._size(2, 5))
        return self.add("softmax", x) if self._chance(0.15) else x

    def _one_of_sequence(self, x: str) -> str:
        kind = self._pick(["last", "flatten", "mean", "lstm", "gru"])
        if kind in ("lstm", "gru"):
            return self.add(kind, x, units=self._pick([4, 6]), sequences=False, bidirectional=False)
        return self.add("globalavg" if kind == "mean" else kind, x)
