"""`parity.translate`: a PyTorch module written as Keras source."""

import linecache
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial as partial_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import torch
from torch import nn

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path
from keras_blitz.floatx import precision
from keras_blitz.optim.base import Optimizer
from keras_blitz.progress import late_line
from keras_blitz.weights.mapped import Mapped
from parity.record.torch_flow import folded
from parity.record.torch_modules import sharing
from parity.record.torch_opened import open_module
from parity.translate import packed, registry
from parity.translate.any_size import leave_open
from parity.translate.batches import record, several
from parity.translate.blocks import settle
from parity.translate.builder import Builder
from parity.translate.checks import as_tensors, left_out, require_outputs, translatable
from parity.translate.functions import functions_of
from parity.translate.graph import Recording, Value, unused_names, values_in
from parity.translate.module_text import LINE, file_text
from parity.translate.optimizer import twin_of
from parity.translate.prove import DTYPES, Filled, Proof, prove
from parity.translate.runs import add_exact_constants, add_train_mode
from parity.translate.transfer import fill, paired
from parity.translate.widened import widened

if TYPE_CHECKING:
    from parity.pair.equivalence import Report

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass
class Port:
    """A Keras model that was written from a PyTorch module.

    Args:
        name: of the function that builds it.
        title: what it was written from.
        text: the source, but for its first line.
        weights: PyTorch's name of a tensor -> that of the Keras weight that holds it, where the two differ.
        arrays: layer's name -> the constant that it holds.
        flats: layer's name -> (H, W, C) where its input was flattened from these.
        unused: PyTorch's tensors that its forward does not use; the model may lack them.
        holes: what has no translation, a line each; such a port cannot run.
        proof: what `parity.check` said, once it was asked.
        weights_file: the name of the file that the source tells to load.
        notes: what is so with these inputs alone, a line each.
    """

    name: str
    title: str
    module: nn.Module
    text: str
    weights: Mapping[str, str]
    arrays: Mapping[str, np.ndarray]
    flats: Mapping[str, tuple[int, ...]]
    unused: Collection[str] = ()
    holes: Sequence[str] = ()
    proof: Proof | None = None
    weights_file: str = "network.weights.h5"
    notes: Sequence[str] = ()
    _models: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The file's text; its first line says what was proven."""
        said = "not proven: no parity.check has run" if self.proof is None else self.proof.line
        if self.holes:
            said = f"not proven: {self.holes[0]}" + (f", and {len(self.holes) - 1} more" if self.holes[1:] else "")
        head, rest = self.text.split("{status}", 1)
        text = _wrapped(head + re.sub(r'["\\]', "'", said)) + rest
        return text.replace("{weights}", self.weights_file, 1)

    @property
    def model(self) -> keras.Model:
        """The Keras model with the module's weights, in Keras's default precision."""
        return self.build(keras.config.floatx())

    def build(self, dtype: str) -> keras.Model:
        """Return the model in this precision, with the module's weights; the same one each time.

        Raises:
            BlitzError: something has no translation.
        """
        if self.holes:
            raise BlitzError(f"the translation has holes and cannot run: {self.holes[0]}")
        if dtype not in self._models:
            self._models[dtype] = self.filled(dtype)
        return self._models[dtype]

    def optimizer(self, torch_optimizer: torch.optim.Optimizer, model: keras.Model | None = None) -> Optimizer:
        """Return the twin of an optimizer of the module, with its groups, rates and state: the run goes on in Keras.

            port = parity.translate(module, inputs)                     # after some steps in PyTorch
            port.model.compile(port.optimizer(torch_optimizer), loss)

        A parameter that it does not have is not updated in Keras either: its rate is 0. A schedule of PyTorch's is
        not taken along; `keras_blitz.optim.schedules` has its twin.

        Args:
            torch_optimizer: of the module that was translated, and no other.
            model: `port.model`, or one that `build` has returned.

        Raises:
            BlitzError: `keras_blitz.optim` has no twin of it, or it has parameters of another module.
        """
        model = self.model if model is None else model
        return twin_of(torch_optimizer, self.module, model, self._paired(model))

    def _paired(self, model: keras.Model) -> list[Mapped]:
        return paired(model, self.module, self.weights, self.arrays, self.flats, self.unused)

    def filled(self, dtype: str) -> keras.Model:
        """Return a new model in this precision, with the module's weights."""
        model = self.fresh(dtype)
        fill(model, self.module, self._paired(model))
        return model

    def fresh(self, dtype: str) -> keras.Model:
        """Return a new model in this precision, whose constants alone are filled in."""
        with precision(dtype):
            space: dict[str, Any] = {}
            exec(compile(self.source, f"<{self.name}>", "exec"), space)
            model = space[self.name]()
        layers = {layer.name: layer for layer in model.layers}
        for name in layers.keys() & self.arrays.keys():
            layers[name].value.assign(self.arrays[name])
        return model

    @property
    def report(self) -> "Report | None":
        """What `parity.check` said: of train mode where that was compared, too."""
        return self.proof.report if self.proof else None

    @property
    def passed(self) -> bool:
        """Whether the port was proven equivalent."""
        return bool(self.proof and self.proof.passed and not self.holes)

    def write(self, path: str | Path) -> None:
        """Write the source, and the weights beside it as `<name>.weights.h5`, each whole or not at all.

        A port that cannot run, or whose proof could not, has no weights file.

        Raises:
            BlitzError: a file cannot be written.
        """
        path = Path(path)
        self.weights_file = path.with_suffix(".weights.h5").name
        weights = path.with_name(self.weights_file)
        runs = not self.holes and not (self.proof and self.proof.error)
        if runs:
            with atomic_path(weights) as temporary:
                self.build("float32").save_weights(temporary)
        with atomic_path(path) as temporary:
            temporary.write_text(self.source, encoding="utf-8")


def translate(
    module: nn.Module, inputs: Any, *, partial: bool = False, check: bool = True, train: bool | None = None,
    dtypes: Sequence[str] = DTYPES, batch: bool = True, other: Any = None,
) -> Port:  # fmt: skip
    """Write a Keras model that does what a PyTorch module does, and prove it by `parity.check`.

    The module runs on the inputs, and its calls are translated one by one. In the source each module class is a
    function, a layer's name is PyTorch's module path, and images have their channels last.

    Args:
        module: is left as it is.
        inputs: an array in PyTorch's layout, or a tuple with one for each argument of `forward`; at least 2 examples
            make the better proof.
        partial: write what has no translation as a stub that raises.
        check: prove it.
        train: prove train mode as well; None: where there is a BatchNorm or a dropout.
        dtypes: the precisions to prove it in, "float64" and "float32".
        batch: axis 0 of each input is the batch, whose size is free; False: the model takes these shapes alone, as of
            a graph's nodes and edges.
        other: inputs of another height and width, or length; the model takes every size then.

    Raises:
        BlitzError: the module raises, has an operation without a rule, or depends on a size that is to stay open; the
            message has the line.
    """
    registry.load()
    tensors = as_tensors(inputs)
    origin = f"{type(module).__module__}.{type(module).__qualname__}"
    with late_line(f"parity.translate: reading {type(module).__name__}"):
        module, computed = folded(translatable(module, tensors))
        if computed and train:
            raise BlitzError(f"{computed[0]} is computed in PyTorch, as by weight_norm: train mode cannot be proven")
        recording = record(module, tensors, _is_leaf, batch)
        require_outputs(recording.outputs, type(module).__name__)
        examples = several(tensors) if batch else tensors
        add_train_mode(recording, module, examples, _is_leaf)
        add_exact_constants(recording, module, examples, _is_leaf)
        builder = Builder(recording, partial)
        limits = [*_limits(computed, batch, recording), *left_out(recording.outputs)]
        port = _written(builder, module, origin, limits)
    if other is not None:
        port = _of_every_size(port, translate(module, other, partial=partial, check=False, batch=batch))
    if not check or port.holes:
        return port
    sides = recording.inputs, _sorted(recording.outputs)
    layouts = [[builder.views[value].layout for value in side] for side in sides]
    filled = Filled(partial_of(port.filled, "float64"), *layouts)
    proven = sharing(module)
    for path, function in recording.opened.items():
        open_module(proven.get_submodule(path), function)
    arrays = tuple(tensor.numpy() for tensor in tensors)
    train = False if computed else train
    proof = prove(widened(proven), port.fresh, arrays, _weights(port), train, filled, dtypes, batch)
    proof = replace(proof, decided=len(recording.decisions))
    if other is not None and proof.passed:
        said = filled.differs(proven, tuple(tensor.numpy() for tensor in as_tensors(other)))
        proof = replace(proof, error=f"{said} for the other size" if said else "", other_size=True)
    return replace(port, proof=proof)


def _weights(port: Port) -> dict[str, str | None]:
    """Return how the proof pairs weights; one that forward does not use is not paired with a constant of its shape."""
    kept = dict(port.module.named_parameters())
    sizes = {array.size for array in port.arrays.values()}
    return {**{name: None for name in port.unused if name in kept and kept[name].numel() in sizes}, **port.weights}


def _wrapped(text: str) -> str:
    return textwrap.fill(text, LINE, break_long_words=False, break_on_hyphens=False)


def _of_every_size(one: Port, other: Port) -> Port:
    """Return a port that takes every size, where two that were written from other sizes are the same."""
    text = leave_open(one.text, other.text, one.arrays, other.arrays, (one.flats, other.flats))
    return replace(one, text=text)


def _written(builder: Builder, module: nn.Module, origin: str, limits: Sequence[str]) -> Port:
    """Return the port of a recorded module, its source written."""
    root, recording = builder.run(), builder.recording
    outputs = builder.outputs()
    given = [builder.views[value] for value in recording.inputs]
    settle(root, [view.symbol for view in given], [view.symbol for view in outputs], builder.views)
    functions = functions_of(root)
    said = "".join(f"\n{_wrapped(line)}\n" for line in limits)
    header = (
        f"{type(module).__name__}, translated from {origin}: {{status}}\n{said}\n"
        f'    model = {functions[-1].name}()\n    model.load_weights("{{weights}}")\n'
    )
    text = file_text(functions, given, recording.outputs, builder.views, builder.stubs, header)
    return Port(
        functions[-1].name, origin, module, text, builder.weights, builder.arrays, builder.flats,
        unused_names(recording), list(builder.stubs.values()), notes=limits,
    )  # fmt: skip


def _limits(computed: Sequence[str], batch: bool, recording: Recording) -> Iterator[str]:
    """Yield lines for the file's head: weights that PyTorch computes, and what the inputs are or decided."""
    if computed:
        more = f", and {len(computed) - 3} more" if computed[3:] else ""
        names = ", ".join(computed[:3]) + more
        yield f"PyTorch computes {names} from other weights; here each is a weight of its own."
    if not batch:
        yield "The inputs have no batch axis: the model takes these shapes alone."
    yield from packed.limits(recording.calls)
    for where in recording.decisions:
        line = re.sub(r'["\\]', "'", linecache.getline(*where).strip())
        yield f"A value of the example inputs decided here, and the model always does as it did: {line}"


def _sorted(outputs: Any) -> list[Value]:
    """Return the values of an output, dicts in the order of their keys, as Keras flattens them."""
    if isinstance(outputs, Mapping):
        return [value for _, each in sorted(outputs.items()) for value in _sorted(each)]
    if isinstance(outputs, (tuple, list)):
        return [value for each in outputs for value in _sorted(each)]
    return values_in(outputs)


def _is_leaf(module: nn.Module | type) -> bool:
    if isinstance(module, type):
        return module in registry.FUNCTIONS
    return not isinstance(module, CONTAINERS) and registry.of_module(module) is not None
