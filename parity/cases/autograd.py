"""A1–A15: the demos of keras_blitz.autograd, the same functions its lesson prints, beside PyTorch's autograd.

A1 and A8, whole ResNet18s, go through the recorders of networks: every gradient, absent ones too, buffers and slots.
"""

import numpy as np

from parity.cases.families import KEEP
from parity.cases.rows import CallRow, NetworkRow
from parity.core import inputs

EAGER = ("*-eager",)  # the tape layer keeps what it adds up in Python

LENET = {
    "conv1.weight": (6, 1, 5, 5), "conv1.bias": (6,), "conv2.weight": (16, 6, 5, 5), "conv2.bias": (16,),
    "fc1.weight": (120, 400), "fc1.bias": (120,), "fc2.weight": (84, 120), "fc2.bias": (84,),
    "fc3.weight": (10, 84), "fc3.bias": (10,),
}  # fmt: skip


def _values(*shape: int, name: str, bound: float = 2.0) -> np.ndarray:
    return inputs.uniform(shape, bound, "autograd", name)


def _row(demo: str, covers: str, arrays: dict[str, np.ndarray], **fields) -> CallRow:
    name = f"autograd.{demo.replace('-', '_')}"
    return CallRow(f"autograd-{demo}", (covers,), "autograd", name, name, arrays, runs=EAGER, **fields)


def _resnet18(
    name: str, covers: tuple[str, ...], classes: int, count: int, height: int, width: int, **fields
) -> NetworkRow:
    return NetworkRow(
        name=f"autograd-{name}",
        covers=covers,
        group="autograd",
        reference="families.empty",
        reference_options=(("name", "resnet18"), ("num_classes", classes)),
        port="resnet18",
        port_options=(("num_classes", classes), ("input_shape", (height, width, 3))),
        shape=(count, 3, height, width),
        classes=classes,
        batches=("synthetic",),
        fan_out=True,
        keep=KEEP,
        optimizer=("SGD", (("lr", 1e-2), ("momentum", 0.9))),
        **fields,
    )


def _frozen(train: bool) -> NetworkRow:
    """Return A8 in one mode of BatchNorm: 20 steps, and the head's momentum and all buffers after each."""
    return _resnet18(
        "frozen-train" if train else "frozen-eval",
        ("A8", "H5", "H2") if train else ("A8", "H5"),
        10,
        8,  # of three images the loss falls to 2e-5, and its rounding is that of log(1.00002)
        40,
        32,
        loss="cross_entropy",
        steps=20,
        train=train,
        trained=("fc.*",),
        runs=("float64-eager", "float64-graph"),
        slow=("*-eager",) if train else ("*",),  # 13 s each
        not_golden=("input", "grad:input", "activation:*", "param:*", "step?:[!l]*", "step1[0-9]:[!l]*",
                    "step20:param:[!f]*", *(() if train else ("step20:buffer:layer[123]*",))),
    )  # fmt: skip


NETWORKS = (
    _resnet18(
        "resnet18",
        ("A1",),
        1000,
        1,
        64,
        64,
        loss="difference",
        steps=1,
        train=True,
        runs=("float64-eager", "float64-graph"),
        slow=("*-eager",),
        not_golden=("input", "grad:input", "activation:*", "param:*", "step1:buffer:*", "step1:slot:*",
                    "step1:param:layer*"),
    ),
    _frozen(train=True),
    _frozen(train=False),
)  # fmt: skip


def _kink(values: np.ndarray) -> np.ndarray:
    """Return the weights with a hidden unit that is exactly 0 for every example, where the clamp has its kink."""
    values[:, 1] = 0
    return values


ROWS = (
    _row("powers", "A2", {name: _values(5, name=name) for name in ("a", "b", "gradient")}),
    _row("powers-summed", "A3", {name: _values(5, name=name) for name in ("a", "b")}),
    _row("products", "A4", {name: _values(3, name=name) for name in ("x", "vector")}),
    _row("graph", "A5", {}, samples=1),
    _row("control-flow", "A6", {"inputs": np.array([0.7, -3.1, 650, -0.013, 1e-3], np.float32)}, samples=1),
    _row("propagation", "A7", {name: _values(5, 5, name=name) for name in "xyz"}),
    _row(
        "logits", "A9", {"x": _values(5, name="x"), "w": _values(5, 3, name="w"), "b": _values(3, name="b"),
                         "y": np.abs(_values(3, name="y", bound=1.0))},
    ),
    _row("switches", "A10", {"x": _values(4, name="x")}),
    _row("backward-twice", "A11", {"inputs": _values(5, 4, name="inputs")}),
    _row(
        "small-batches", "A12",
        {"x": _values(12, 4, name="x"), "y": _values(12, 2, name="y"), "w": _values(4, 2, name="w")},
        options=(("k", 3),),
    ),
    _row(
        "net", "A13",
        {"images": inputs.images((3, 1, 32, 32), "autograd"), "gradient": _values(3, 10, name="gradient"),
         "target": _values(3, 10, name="target"), **inputs.weights(LENET, "lenet")},
        keep=1000,
    ),
    _row("leaves", "A14", {"x": _values(4, name="x"), "gradient": _values(4, name="gradient")}),
    _row("hooks", "A14", {"x": _values(4, name="x"), "unused": _values(2, name="unused")}),
    _row(
        "two-layers", "A15",
        {"x": _values(7, 30, name="x"), "y": _values(7, 3, name="y"), "w1": _kink(_values(30, 5, name="w1")),
         "w2": _values(5, 3, name="w2")},
        options=(("lr", 1e-4), ("steps", 5)),
    ),
)  # fmt: skip
