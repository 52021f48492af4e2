"""The operations of a function drawn as PyTorch draws them: backward functions, leaves, edges from outputs to inputs.

The function is traced, not run. What PyTorch's graph has none of is left out: constants, integers, what
`stop_gradient` cuts off, and operations that only pass a tensor on.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path

# TensorFlow's operation -> the backward function PyTorch names in `grad_fn`; another is named by its own.
BACKWARD = {
    "AddV2": "AddBackward0",
    "BiasAdd": "AddBackward0",
    "Conv2D": "ConvolutionBackward0",
    "MatMul": "MmBackward0",
    "Max": "AmaxBackward0",
    "MaxPool": "MaxPool2DWithIndicesBackward0",
    "Mean": "MeanBackward0",
    "RealDiv": "DivBackward0",
    "Square": "PowBackward0",
    "Sum": "SumBackward0",
}

# They pass a tensor on. IdentityN stands around a custom gradient.
_PASSING = ("Identity", "IdentityN", "ReadVariableOp")


@dataclass(frozen=True)
class Node:
    """One operation, or one leaf.

    Args:
        name: unique in its graph.
        label: PyTorch's name of the backward function, "PowBackward0"; of a leaf, its own.
        shape: of its output; None in it: not known before a run.
        inputs: the names of the nodes it passes gradients to, in the operation's order.
        leaf: whether the gradient stays here (PyTorch: AccumulateGrad).
    """

    name: str
    label: str
    shape: tuple[int | None, ...]
    inputs: tuple[str, ...]
    leaf: bool


@dataclass(frozen=True)
class OperationGraph:
    """The nodes of a function by name, each after its inputs, and the names of those that are its outputs."""

    nodes: dict[str, Node]
    outputs: tuple[str, ...]

    def edges(self) -> list[tuple[str, str]]:
        """Return (node, input) pairs, the way gradients go."""
        return [(node.name, source) for node in self.nodes.values() for source in node.inputs]

    def text(self) -> str:
        """Return the graph as a tree from the outputs down; a node's inputs are shown where it comes first."""
        lines, shown = [], set()
        # A stack, because a network is deeper than Python can recurse: (node, its predecessors, before its inputs).
        stack = [(name, "", "") for name in reversed(self.outputs)]
        while stack:
            name, before, below = stack.pop()
            node = self.nodes[name]
            again = name in shown and not node.leaf
            lines.append(f"{before}{_title(node)}{' (see above)' if again else ''}")
            shown.add(name)
            sources = () if again else node.inputs
            last = len(sources) - 1
            rows = [
                (source, below + ("└─ " if index == last else "├─ "), below + ("   " if index == last else "│  "))
                for index, source in enumerate(sources)
            ]
            stack.extend(reversed(rows))
        return "\n".join(lines)

    def colors(self) -> dict[str, str]:
        """Return each node's color: leaves are blue, as in PyTorch's tutorial, outputs green."""
        return {
            node.name: "lightblue" if node.leaf else "palegreen" if node.name in self.outputs else "lightgray"
            for node in self.nodes.values()
        }

    def dot(self) -> str:
        """Return the graph in Graphviz's language."""
        lines = ["digraph {", "  node [shape=box, style=filled]"]
        for name, color in self.colors().items():
            lines.append(f"  {_quote(name)} [label={_quote(_title(self.nodes[name]))}, fillcolor={color}]")
        lines += [f"  {_quote(node)} -> {_quote(source)}" for node, source in self.edges()]
        return "\n".join([*lines, "}"])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the graph, whole or not at all; the ending says how.

        Args:
            path: `.txt` (text), `.dot` (Graphviz's language), `.svg` or `.png` (a picture; Graphviz draws it).

        Raises:
            BlitzError: another ending, no pydot or Graphviz for a picture, or the path cannot be written to.
        """
        ending = Path(path).suffix
        if ending not in (".txt", ".dot", ".svg", ".png"):
            raise BlitzError(f"{path}: a graph is written as .txt, .dot, .svg or .png")
        if ending in (".svg", ".png"):
            content = _picture(self, ending[1:])
        else:
            content = f"{self.text() if ending == '.txt' else self.dot()}\n".encode()
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)


def trace(function: Callable, *, frozen: Iterable = (), **leaves) -> OperationGraph:
    """Record the operations of a function.

    Args:
        function: of the leaves by name, to a tensor or a list of them. Its trainable variables are leaves too.
        frozen: Keras variables that are not; a trace does not know that Keras froze them.
        leaves: name to a floating tensor or array, whose shape and dtype are traced, not its values.

    Raises:
        BlitzError: no output depends on a leaf, or the function's Python branches or loops on a tensor's value, which a
            trace does not know.
    """
    specs = {name: tf.TensorSpec.from_tensor(tf.convert_to_tensor(leaf), name=name) for name, leaf in leaves.items()}
    try:
        traced = tf.function(function, autograph=False).get_concrete_function(**specs).graph
    except tf.errors.OperatorNotAllowedInGraphError:
        raise BlitzError(
            "cannot trace a Python branch or loop on a tensor's value: trace only the branch that runs"
        ) from None
    nodes = _leaves(traced, leaves, [id(variable.value.handle) for variable in frozen])
    _grow(nodes, traced)
    sources = [_source(tensor, nodes) for tensor in traced.outputs]
    outputs = tuple(source for source in sources if source is not None)
    if not outputs:
        raise BlitzError("the output does not require grad: it depends on none of the leaves")
    return OperationGraph(_find_reached(nodes, outputs), outputs)


def _leaves(traced, leaves, frozen: list[int]) -> dict[str, Node]:
    """Return the nodes of the arguments and of the trainable variables, by the placeholder's name."""
    variables = {id(variable.handle): variable for variable in traced.variables if variable.trainable}
    variables = {handle: variable for handle, variable in variables.items() if handle not in frozen}
    found = {inside.op.name: (inside.op.name, inside.shape) for inside in traced.inputs if inside.op.name in leaves}
    for outside, inside in traced.captures:
        if id(outside) in variables:
            variable = variables[id(outside)]
            found[inside.op.name] = variable.name.removesuffix(":0"), variable.shape
    return {key: Node(key, label, tuple(shape), (), leaf=True) for key, (label, shape) in found.items()}


def _grow(nodes: dict[str, Node], traced) -> None:
    """Add the operations that depend on a node, in the order of the function."""
    for operation in traced.get_operations():
        if operation.type in (*_PASSING, "StopGradient") or operation.name in nodes:
            continue
        sources = tuple(source for tensor in operation.inputs if (source := _source(tensor, nodes)) is not None)
        if sources and operation.outputs and _differentiable(operation.outputs[0].dtype):
            label = BACKWARD.get(operation.type, f"{operation.type}Backward0")
            shape = operation.outputs[0].shape
            shape = tuple(shape) if shape.rank is not None else ()
            nodes[operation.name] = Node(operation.name, label, shape, sources, leaf=False)


def _source(tensor, nodes: dict[str, Node]) -> str | None:
    """Return the node that a tensor comes from, past the operations that only pass it on."""
    while tensor.op.type in _PASSING:
        tensor = tensor.op.inputs[tensor.value_index]
    tracked = tensor.op.name in nodes and (_differentiable(tensor.dtype) or tensor.dtype == tf.resource)
    return tensor.op.name if tracked else None


def _differentiable(dtype: tf.DType) -> bool:
    return dtype.is_floating or dtype.is_complex


def _find_reached(nodes: dict[str, Node], outputs: tuple[str, ...]) -> dict[str, Node]:
    """Return the nodes that a gradient of the outputs reaches."""
    reached = set(outputs)
    for node in reversed(nodes.values()):  # every node comes after its inputs
        if node.name in reached:
            reached.update(node.inputs)
    return {name: node for name, node in nodes.items() if name in reached}


def _title(node: Node) -> str:
    return f"{node.label} {node.shape}" + (" leaf" if node.leaf else "")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _picture(graph: OperationGraph, form: str) -> bytes:
    try:
        import pydot
    except ImportError:
        raise BlitzError("a picture needs pydot: pip install pydot, or write .txt or .dot") from None
    # Built, not parsed from `dot()`: pydot's parser warns of its own grammar.
    picture = pydot.Dot(graph_type="digraph")
    for name, color in graph.colors().items():
        label = _quote(_title(graph.nodes[name]))
        picture.add_node(pydot.Node(_quote(name), label=label, shape="box", style="filled", fillcolor=color))
    for node, source in graph.edges():
        picture.add_edge(pydot.Edge(_quote(node), _quote(source)))
    try:
        content: Any = picture.create(format=form)  # bytes, though pydot's annotation says str
    except FileNotFoundError:
        raise BlitzError(
            "a picture needs Graphviz's dot on the PATH: install Graphviz, or write .txt or .dot"
        ) from None
    return content
