"""T6–T12: each tensor function once, with its gradients, at ties and zeros; more is in tests/library/test_ops.py."""

import numpy as np

from parity.cases.rows import CallRow
from parity.core import inputs

X = inputs.uniform((3, 4), 2.0, "ops", "x")
TIED = np.round(2 * X) / 2  # halves: some are equal, some 0
ARRAYS = {
    "x": X,
    "tied": TIED.astype(np.float32),
    "y": inputs.uniform((3, 4), 2.0, "ops", "y"),
    "row": inputs.uniform((4,), 2.0, "ops", "row"),
    "other": inputs.uniform((4,), 2.0, "ops", "other"),
    "positive": np.abs(X) + np.float32(0.5),
    "right": inputs.uniform((4, 2), 1.0, "ops", "right"),
    "batch": inputs.uniform((2, 3, 4), 1.0, "ops", "batch"),
    "batches": inputs.uniform((2, 4, 5), 1.0, "ops", "batches"),
    "whole": np.array([[4, -1, 0, 3], [2, 2, -5, 1], [0, 7, 1, 1]], np.int64),
    "mask": X > 0,
    "list": np.array([2, 0, 2], np.int64),
    "index": np.array([[3, 0], [1, 1], [2, 3]], np.int64),
    "source": inputs.uniform((3, 2), 1.0, "ops", "source"),
}


def _unary(*names: str, of: str = "x") -> tuple:
    return tuple((name, name, (of,), {}) for name in names)


# (key, function, its tensors: "x" or by keyword "index=list", its other arguments: by keyword, or after "")
CALLS = {
    "T6": (
        *_unary("zeros_like", "ones_like", of="whole"),
        ("eye", "eye", (), {"n": 3, "m": 5}),
        ("arange", "arange", (), {"start": -2, "end": 9, "step": 3}),
        ("linspace", "linspace", (), {"start": -1.0, "end": 2.0, "steps": 7}),
        ("logspace", "logspace", (), {"start": -1.0, "end": 2.0, "steps": 4}),
    ),
    "T7": (
        ("reshape", "reshape", ("x",), {"": ((2, 6),)}),
        ("unsqueeze", "unsqueeze", ("x",), {"dim": -1}),
        ("squeeze", "squeeze", ("x",), {"dim": 1}),
        ("permute", "permute", ("batch",), {"": ((2, 0, 1),)}),
        *_unary("t", "clone"),
    ),
    "T8": (
        ("index_select", "index_select", ("x", "index=list"), {"dim": 1}),
        *_unary("nonzero", of="tied"),
        ("masked_select", "masked_select", ("x", "mask"), {}),
        ("gather", "gather", ("x", "index=index"), {"dim": 1}),
        ("scatter", "scatter", ("x", "index=index", "src=source"), {"dim": 1}),
    ),
    "T9": (
        *_unary("abs", "ceil", "exp", "floor", "neg", "sigmoid", "sign", "tanh", of="tied"),
        *_unary("log", "sqrt", of="positive"),
        ("add", "add", ("x", "row"), {"alpha": 2}),
        ("add-promoted", "add", ("whole", "x"), {}),
        ("mul", "mul", ("x", "row"), {}),
        ("addcdiv", "addcdiv", ("x", "y", "positive"), {"value": 0.1}),
        ("addcmul", "addcmul", ("x", "y", "positive"), {"value": 0.1}),
        ("clamp", "clamp", ("tied",), {"min": -1.0, "max": 0.5}),
        ("clamp-crossed", "clamp", ("tied",), {"min": 1.0, "max": -0.5}),
        ("pow", "pow", ("tied",), {"exponent": 3}),
        ("pow-0", "pow", ("tied",), {"exponent": 0}),
        ("pow-tensors", "pow", ("positive", "tied"), {}),
        ("softmax", "softmax", ("x",), {"dim": 1}),
    ),
    "T10": (
        ("cumprod", "cumprod", ("tied",), {"dim": 1}),
        ("cumsum", "cumsum", ("x",), {"dim": 0}),
        ("cumsum-whole", "cumsum", ("whole",), {"dim": 1}),
        ("dist", "dist", ("x", "y"), {}),
        ("mean", "mean", ("x",), {"dim": 1, "keepdim": True}),
        ("median", "median", ("x",), {"dim": 1}),
        ("median-all", "median", ("tied",), {}),
        ("std", "std", ("x",), {"dim": 0}),
        ("var", "var", ("x",), {"dim": 1}),
        ("norm", "norm", ("x",), {"p": 3.0, "dim": 1}),
        ("norm-all", "norm", ("x",), {}),
        ("prod", "prod", ("tied",), {"dim": 1}),
        ("sum", "sum", ("x",), {"dim": 0}),
        ("sum-whole", "sum", ("whole",), {"dim": 0}),
    ),
    "T11": (
        *((name, name, ("tied", "row"), {}) for name in ("eq", "ge", "gt", "le", "lt", "ne")),
        ("max", "max", ("tied",), {"dim": 1}),
        ("max-all", "max", ("tied",), {}),
        ("max-pairs", "max", ("tied", "x"), {}),
        ("min", "min", ("tied",), {"dim": 0, "keepdim": True}),
        ("topk", "topk", ("x",), {"k": 2, "dim": 1}),
    ),
    "T12": (
        ("dot", "dot", ("row", "other"), {}),
        ("mm", "mm", ("x", "right"), {}),
        ("bmm", "bmm", ("batch", "batches"), {}),
        ("mv", "mv", ("x", "row"), {}),
        ("svd", "svd", ("x",), {}),
    ),
}  # fmt: skip

ROWS = tuple(
    CallRow(
        f"ops-{table.lower()}",
        (table,),
        "ops",
        "ops.calls",
        "ops.calls",
        {name: ARRAYS[name] for name in dict.fromkeys(each.split("=")[-1] for call in calls for each in call[2])},
        options=(("calls", calls),),
        runs=("*-eager", "float64-graph"),
    )
    for table, calls in CALLS.items()
)
