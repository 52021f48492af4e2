"""Mistakes under another precision than PyTorch's."""

from keras import layers

from parity.faults.door.handed import configured, together
from parity.faults.door.mistake import at
from parity.faults.fault import fault


def in_type(dtype: str, *names: str):
    """Return what builds layers in another precision."""
    return together(*(configured(name, dtype=dtype) for name in names))


MISTAKES = (
    fault(
        "door-mixed-precision-hides", "a wrong activation in a model of mixed precision", "public reports",
        at("mlp-momentum", "activation:1", together(in_type("mixed_float16", "fc1", "tanh", "fc2"), configured("tanh", activation="relu"))),
        at("mlp-momentum", "activation:1", together(in_type("mixed_bfloat16", "fc1", "tanh", "fc2"), configured("tanh", activation="relu"))),
    ),
    fault(
        "door-half-precision-hides", "a wrong activation in a model of half precision", "public reports",
        at("mlp-momentum", "activation:1", together(in_type("float16", "fc1", "tanh", "fc2"), configured("tanh", activation="sigmoid"))),
        at("mlp-momentum", "activation:1", together(in_type("bfloat16", "fc1", "tanh", "fc2"), configured("tanh", activation="sigmoid"))),
    ),
    fault(
        "door-one-layer-in-half", "one layer in half precision", "public reports",
        at("mlp-forward", "activation:2", configured("fc2", dtype="float16")),
        at("mlp-forward", "activation:0", configured("fc1", dtype="bfloat16")),
    ),
)  # fmt: skip
