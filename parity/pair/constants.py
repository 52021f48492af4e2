"""What goes through float32 inside a Keras model in float64."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def float32_operations(run: Callable[[], Any]) -> list[str]:
    """Return TensorFlow's names of the operations that bring a float32 into a computation in float64.

    They are casts; see `exact_floats` for Python floats.

    Args:
        run: the computation; it is traced, not run. One that cannot be traced has none that are known.
    """
    try:
        concrete = tf.function(run, autograph=False).get_concrete_function()
    except Exception:  # a user's own layer may need values
        return []
    graph = concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return [node.name for node in nodes if _is_widening(node)]


def _is_widening(node: Any) -> bool:
    return node.op == "Cast" and (node.attr["SrcT"].type, node.attr["DstT"].type) == (
        tf.float32.as_datatype_enum,
        tf.float64.as_datatype_enum,
    )
