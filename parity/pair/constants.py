"""What goes through float32 inside a Keras model in float64."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

# Layers and functions of Keras that hold a constant in float32, also in a float64 model.
FLOAT32_CONSTANTS = frozenset({"gelu", "leaky_relu", "leakyrelu", "multiheadattention"})


def float32_constants(layers: Mapping[str, Any]) -> list[str]:
    """Return the layers whose float64 is not exact, because Keras passes a constant through float32."""
    found = []
    for name, layer in layers.items():
        if type(layer).__module__.startswith("keras_blitz."):  # exact, whatever Keras's layer of that name is
            continue
        activation = getattr(getattr(layer, "activation", None), "__name__", "")
        names = {type(layer).__name__.lower(), activation}
        exact = names & {"multiheadattention"} and np.log2(layer.key_dim) % 2 == 0  # 1/√d is a power of 2
        if names & FLOAT32_CONSTANTS and not exact:
            found.append(name)
    return found


def float32_operations(run: Callable[[], Any]) -> list[str]:
    """Return TensorFlow's names of the operations that bring a float32 into a computation in float64.

    They are casts, and LeakyRelu, whose slope is a float32 attribute.

    Args:
        run: the computation; it is traced, not run. One that cannot be traced has none that are known.
    """
    try:
        concrete = tf.function(run, autograph=False).get_concrete_function()
    except Exception:  # a user's own layer may need values
        return []
    graph = concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return [node.name for node in nodes if node.op == "LeakyRelu" or _is_widening(node)]


def _is_widening(node: Any) -> bool:
    return node.op == "Cast" and (node.attr["SrcT"].type, node.attr["DstT"].type) == (
        tf.float32.as_datatype_enum,
        tf.float64.as_datatype_enum,
    )
