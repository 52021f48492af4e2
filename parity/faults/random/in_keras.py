"""Writes a network as a Keras user does: with Keras's own layers, names and order of definition."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from parity.faults.random import keras_layers
from parity.faults.random.network import Network, Node, Shape

STYLES = ("functional", "functional", "subclassed", "sequential")
NAMES = ("default", "own", "numbered", "torch")

Steps = list[Callable[[Any], Any]]


@dataclass(frozen=True)
class Built:
    """A Keras model, and the layer of each node that has weights."""

    model: keras.Model
    layers: Mapping[str, keras.Layer]


def emit(network: Network, seed: int) -> Built:
    """Return the model that a user wrote, the same for a seed: in one of the styles of Keras."""
    style = STYLES[np.random.RandomState(seed).randint(len(STYLES))]
    if style == "sequential" and not _is_chain(Plan(network, seed)):
        style = "functional"
    return {"functional": _functional, "subclassed": _subclassed, "sequential": _sequential}[style](network, seed)


class Plan:
    """What a user decides while writing: names, the order of definition, which activation is an argument.

    Args:
        network: the description.
        seed: of the decisions.
    """

    def __init__(self, network: Network, seed: int):
        self.rng = np.random.RandomState(seed + 7)
        self.network, self.shapes = network, network.shapes()
        self.names = NAMES[self.rng.randint(len(NAMES))]
        self.fused = {n.name: self._fused(n) for n in network.nodes if self.rng.rand() < 0.6}
        self.order = list(self._order())
        self.layers: dict[str, keras.Layer] = {}
        self.steps: dict[str, Steps] = {}
        self.same: dict[str, bool] = {}
        self.made = 0
        shuffled = [self.order[i] for i in self.rng.permutation(len(self.order))]
        for node in sorted(shuffled if self.rng.rand() < 0.5 else self.order, key=lambda n: bool(n.tied)):
            self.steps[node.name] = self._steps(node)

    def run(self, inputs: list) -> list:
        """Call all layers and return the outputs."""
        values = dict(zip(self.network.inputs, inputs, strict=True))
        for node in self.order:
            given = [values[name] for name in node.inputs]
            x = given if len(given) > 1 else given[0]
            for step in self.steps[node.name]:
                x = step(x)
            values[node.name] = x
        return [values[name] for name in self.network.outputs]

    def _order(self) -> Iterator[Node]:
        """Yield the nodes in another order that is possible, such as the shortcut before the main branch."""
        known, left = set(self.network.inputs), list(self.network.nodes)
        while left:
            ready = [node for node in left if known.issuperset(node.inputs)]
            node = ready[self.rng.randint(len(ready))]
            left.remove(node)
            known.add(node.name)
            yield node

    def _fused(self, node: Node) -> Node | None:
        """Return the activation that is an argument of a node's layer."""
        users = self.network.users(node.name)
        tied = node.tied or any(other.tied == node.name for other in self.network.nodes)
        if node.kind not in ("conv", "linear") or tied or len(users) != 1 or node.name in self.network.outputs:
            return None
        return users[0] if keras_layers.is_argument(users[0]) else None

    def _name(self, node: Node) -> str | None:
        self.made += 1
        return {
            "default": None,
            "own": f"{'abcdefgh'[self.made % 8]}_{node.kind}_{self.made}",
            "numbered": f"{node.kind}{self.made}",
            "torch": node.name.replace(".", "_"),
        }[self.names]

    def _steps(self, node: Node) -> Steps:
        if any(node is each for each in self.fused.values()):
            return []
        shape = self.shapes[node.inputs[0]]
        same = self.same.setdefault(node.holder, bool(self.rng.rand() < 0.6))
        before, padding = keras_layers.padded(node, shape, same)
        layer = self.layers.get(node.tied)
        if layer is None:
            layer = keras_layers.layer(node, shape, padding, self.fused.get(node.name), self._name(node), self.rng)
        if layer is None:
            return [*before, *keras_layers.functions(node, shape, self.rng)]
        self.layers[node.name] = layer
        return [*before, layer]


def _input(shape: Shape, name: str) -> keras.KerasTensor:
    sizes = (*shape.space, shape.channels) if shape.layout == "maps" else shape.sizes
    return keras.Input(sizes, dtype="int32" if shape.layout == "tokens" else None, name=name)


def _functional(network: Network, seed: int) -> Built:
    inputs = [_input(shape, name) for name, shape in network.inputs.items()]
    plan = Plan(network, seed)
    outputs = plan.run(inputs)
    return Built(keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0]), plan.layers)


def _is_chain(plan: Plan) -> bool:
    chain = all(len(node.inputs) == 1 and len(plan.network.users(node.name)) < 2 for node in plan.network.nodes)
    steps = [step for node in plan.order for step in plan.steps[node.name]]
    single = len(set(map(id, steps))) == len(steps) and len(plan.network.users("x")) < 2
    return chain and single and len(plan.network.outputs) == 1 and all(isinstance(s, keras.Layer) for s in steps)


def _sequential(network: Network, seed: int) -> Built:
    plan = Plan(network, seed)
    (name, shape), *_ = network.inputs.items()
    steps = [step for node in plan.order for step in plan.steps[node.name]]
    return Built(keras.Sequential([_input(shape, name), *steps]), plan.layers)


def _subclassed(network: Network, seed: int) -> Built:
    plans: list[Plan] = []

    class Net(keras.Model):
        """A model as a class, whose layers are attributes."""

        def __init__(self, **options):
            super().__init__(**options)
            plan = Plan(network, seed)
            self._run = lambda x: plan.run([x])  # a function, so that the plan's own lists of layers are not tracked
            plans.append(plan)
            for name, steps in plan.steps.items():
                for number, step in enumerate(steps):
                    if isinstance(step, keras.Layer):
                        setattr(self, f"{name.replace('.', '_')}_{number}" if number else name.replace(".", "_"), step)

        def call(self, x):
            outputs = self._run(x)
            return outputs if len(outputs) > 1 else outputs[0]

    model = Net()
    shapes = [(1, *shape.space, shape.channels) if shape.layout == "maps" else (1, *shape.sizes) for shape in
              network.inputs.values()]  # fmt: skip
    model(ops.zeros(shapes[0], "int32" if network.shapes().get("tokens") else None))
    return Built(model, plans[0].layers)
