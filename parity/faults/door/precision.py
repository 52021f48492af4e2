"""Mistakes under another precision than PyTorch's."""

from parity.faults.door.handed import configured, together
from parity.faults.door.mistake import at, undecided
from parity.faults.fault import fault


def all_in(dtype: str, **config):
    """Return what builds `mlp_momentum` in another precision, its activation of other arguments."""
    layers = ("fc1", "tanh", "fc2")
    return together(*(configured(name, dtype=dtype) for name in layers), configured("tanh", **config))


MISTAKES = (
    fault(
        "door-mixed-precision-hides", "a wrong activation in a model of mixed precision", "public reports",
        at("mlp-momentum", "activation:1", all_in("mixed_float16", activation="relu")),
        at("mlp-momentum", "activation:1", all_in("mixed_bfloat16", activation="relu")),
    ),
    fault(
        "door-half-precision-hides", "a wrong activation in a model of half precision", "public reports",
        at("mlp-momentum", "activation:1", all_in("float16", activation="sigmoid")),
        at("mlp-momentum", "activation:1", all_in("bfloat16", activation="sigmoid")),
    ),
    fault(
        "door-one-layer-in-half", "one layer in half precision", "public reports",
        undecided("mlp-forward", "float16, which cannot be compared", configured("fc2", dtype="float16")),
        undecided("mlp-forward", "bfloat16, which cannot be compared", configured("fc1", dtype="bfloat16")),
    ),
)  # fmt: skip
