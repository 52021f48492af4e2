"""A user's two models, recorded side by side."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.errors import BlitzError, one_line
from keras_blitz.floatx import precision
from keras_blitz.weights import layout
from parity.core import inputs as streams
from parity.core.compare import Comparison, Row, compare
from parity.core.difference import measure
from parity.core.locate import first_divergence
from parity.core.modes import DTYPES
from parity.core.own_error import own_error
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace, named_inputs, named_outputs
from parity.pair import copies, hints, pairing, wiring
from parity.record import torch_recorder
from parity.record.keras_recorder import KerasRecorder, Wiring, leaves, multiply_instead, recorded_calls

SAMPLES = 3  # float32 runs of PyTorch, from weights moved by rounding, that its own error is the largest of
FLOAT32_CONSTANTS = ("gelu", "leaky_relu", "leakyrelu", "multiheadattention")
COUNTS = ("buffer:*num_batches_tracked", "step*:buffer:*num_batches_tracked")


class Pair:
    """Two models, what corresponds in them, and how to record both.

    Args:
        module: a PyTorch module.
        model: a Keras model, or a function dtype -> model.
        inputs: a structure of arrays in PyTorch's layout.
        options: what to record, see `parity.pair.equivalence.Options`.
    """

    def __init__(self, module, model, inputs, options):
        if not torch_recorder.is_module(module):
            raise BlitzError(f"torch_module must be a torch.nn.Module, not {type(module).__name__}")
        self.module, self.model, self.options = module, model, options
        self.inputs = inputs = typed(inputs, "float32")  # both precisions get the same values, as of the weights
        self.named = dict(named_inputs(inputs))
        self.notes: list[str] = []
        self.units: list = []
        given = ", ".join(str(array.shape) for array in self.named.values())
        side = f"the PyTorch module, given {given},"
        self.calls, self.outputs = _guarded(side, torch_recorder.calls, module, inputs)
        if not self.outputs or not self.named:
            raise BlitzError("there is nothing to compare: no inputs, or the PyTorch module returns no tensor")
        self.spatial = wiring.spatial(self.calls)
        self.recurrent = {c.path: c.module for c in self.calls if hasattr(c.module, "batch_first") and _recurrent(c)}

    def compared(self) -> tuple[dict[str, Comparison], tuple | None]:
        """Return the verdict in each precision, and where a difference begins: the fields of a `Location`."""
        found: dict[str, Comparison] = {}
        location = None
        with ExitStack() as stack:
            ports = self._ports(stack)
            first = next(iter(ports.values()))
            self.units = first.pairing.units
            self.notes += first.notes()
            state = first.state()
            truth = self._record_torch("float64", state, first, fed=True)
            fed = {name: value for name, value in truth.items() if name.startswith("fed:")}
            truth = truth.with_entries((n, v) for n, v in truth.items() if n not in fed)
            samples = range(SAMPLES if "float32" in ports else 0)
            own = own_error(truth, [self._record_torch("float32", streams.moved(state, k), first) for k in samples])
            case = "check-float32-constants" if first.holds_float32_constants() else "check"
            for dtype, port in ports.items():
                trace = port.record(state, truth)
                mine = own if dtype == "float32" else None
                found[dtype] = compare(truth, trace, case=case, dtype=dtype, own=mine)
                strangers = port.strangers(found[dtype])
                if strangers:
                    truth = truth.without(strangers)
                    found[dtype] = compare(truth, trace.without(strangers), case=case, dtype=dtype, own=mine)
                    self.notes.append(f"other steps in Keras than in PyTorch, not compared: {', '.join(strangers)}")
                row = first_divergence(found[dtype].rows)
                if row and location is None:
                    location = port.located(row, state, fed, truth, _last_before(row, found[dtype]))
        return found, location

    def _ports(self, stack: ExitStack) -> dict[str, "Port"]:
        ports, refused = {}, ""
        for dtype in (dtype for dtype in DTYPES if dtype in self.options.dtypes):
            try:
                ports[dtype] = Port(self, self._rebuilt(dtype), dtype)
            except copies.NotRebuiltError as error:
                refused = str(error)
        if refused:
            self.notes.append(
                f"no copy of the Keras model made from its configuration runs in float64 ({refused}): compared as it "
                "is, in float32 alone; give keras_model as a function dtype -> model for float64"
            )
            ports.pop("float64", None)
        if not ports:
            if "float32" not in self.options.dtypes:
                raise BlitzError(self.notes[-1])
            self._run_once(self.model, "float32")  # which builds it, if it was not
            ports["float32"] = Port(self, stack.enter_context(copies.borrowed(self.model)), "float32")
        return ports

    def _rebuilt(self, dtype: str):
        return copies.rebuilt(self.model, dtype, partial(self._run_once, dtype=dtype))

    def _run_once(self, model, dtype: str):
        given = ", ".join(str(tuple(tensor.shape)) for tensor in self.tensors(model, dtype))
        return _guarded(f"the Keras model, given {given},", self.run, model, dtype)

    def run(self, model, dtype: str):
        """Run a Keras model in eval mode."""
        return copies.caller(self.inputs)(model, self.tensors(model, dtype), False)

    def tensors(self, model, dtype: str) -> list:
        """Return the inputs as the Keras model takes them, in the trace's order."""
        lies = self.input_layouts(model)
        return [tf.constant(lies[name].to_keras(array)) for name, array in typed(self.named, dtype).items()]

    def input_layouts(self, model) -> dict[str, layout.Layout]:
        """Return how each input lies: as the model declares its shape, else channels last where PyTorch's come first.

        Raises:
            BlitzError: neither order fits the shape that the Keras model declares.
        """
        declared = copies.ordered_names(model, self.inputs)
        channels_first = next(iter(self.spatial.values()), True) and not _keeps_channels_first(model)
        found = {}
        for name, array in self.named.items():
            last = layout.by_rank(array.ndim)
            candidates = [last, layout.SAME] if channels_first or array.ndim > 3 else [layout.SAME, last]
            candidates = candidates[::-1] if _keeps_channels_first(model) else candidates
            fitting = [lies for lies in candidates if _fits(_keras_shape(lies, array.shape), declared[name])]
            if not fitting:
                raise BlitzError(
                    f"{name} is {array.shape} in PyTorch; the Keras model takes {declared[name]}, and it fits "
                    f"neither as it is nor with channels last"
                )
            found[name] = fitting[0]
        return found

    def _record_torch(self, dtype: str, state: Mapping[str, np.ndarray], port: "Port", *, fed: bool = False) -> Trace:
        options = self.options
        weighting = self.weighting()
        if options.loss is None:
            loss = partial(_torch_weighted, weighting)
        else:
            loss = options.loss[0] if options.loss else None
        inputs, target = typed(self.inputs, dtype), typed(options.target, dtype)
        record = partial(
            torch_recorder.record, deepcopy(self.module), state, inputs, target, loss=loss,
            optimizer=partial(_torch_optimizer, options.optimizer) if options.steps else None,
            steps=options.steps, train=options.train, dtype=dtype, masks=self.mask if options.train else None, fed=fed,
        )  # fmt: skip
        trace = wiring.adapted(_guarded("the PyTorch module", record), self.recurrent, port.last_only)
        left_out = [*COUNTS, *(f"buffer:{name}" for name in port.pairing.unused)]
        left_out += [f"step*:buffer:{name}" for name in port.pairing.unused]
        left_out += [f"activation:{name}" for name in port.unmatched]
        return trace.without(left_out)

    def weighting(self) -> dict[str, np.ndarray]:
        """Return a fixed random weight for each value of each output: a loss where none is given."""
        return {
            name: streams.uniform(value.shape, 1.0, "weighting", name)
            for name, value in self.outputs.items()
            if value.dtype.kind == "f"
        }

    def mask(self, path: str, shape: tuple[int, ...], p: float) -> np.ndarray:
        """Return what a dropout module multiplies by: one value a channel for Dropout1d, 2d and 3d."""
        if type(self.module.get_submodule(path)).__name__ != "Dropout":
            shape = (*shape[:2], *(1 for _ in shape[2:]))
        return streams.mask(shape, p, "check", path)


class Port:
    """The Keras model in one precision, read by PyTorch's names.

    Args:
        pair: both models.
        model: a copy that may be changed.
        dtype: "float64" or "float32".
    """

    def __init__(self, pair: Pair, model, dtype: str):
        self.pair, self.model, self.dtype = pair, model, dtype
        self.layers = leaves(model)
        self.input_layouts = pair.input_layouts(model)
        fed: dict = {}
        with recorded_calls(model, fed, fused=True) as results:
            output = pair.run(model, dtype)
        self.calls = [
            wiring.KerasCall(
                name, k, self.layers[name.removesuffix("/activation")], _array(fed[name, k]), _array(result)
            )
            for (name, k), result in results.items()
        ]
        self.outputs = dict(named_outputs(output))
        given = [_array(x) for x in pair.tensors(model, dtype)]
        self.flattened = wiring.flattened(self.calls, given, pair.calls, _keeps_channels_first(model))
        sizes = {name: shape for (name, number), shape in self.flattened.items() if not number}
        called = dict.fromkeys(call.name for call in self.calls if call.name in self.layers)
        ordered = {name: self.layers[name] for name in [*called, *(n for n in self.layers if n not in called)]}
        units = pairing.keras_units(ordered, sizes)
        units += pairing.loose_units(model, units)
        given = pair.options.weights if isinstance(pair.options.weights, Mapping) else None
        theirs = pairing.torch_units(pair.module, [call.path for call in pair.calls])
        try:
            self.pairing = pairing.pair(theirs, units, given)
        except pairing.UnpairedError as error:
            raise BlitzError(f"{error}{self._parted(error.units)}") from None
        self.names = wiring.match(pair.calls, self.calls, self.pairing.units)
        matched = set(self.names.values())
        self.unmatched = [call.name for call in pair.calls if call.name not in matched]
        shapes = {call.name: call.shape for call in pair.calls}
        ours = {self.names.get((call.name, call.number)): call for call in self.calls}
        self.last_only = {
            path for path in pair.recurrent if path in ours and ours[path].result.ndim < len(shapes[path])
        }
        self.by_path = ours

    def _parted(self, units: list) -> str:
        """Say where the shapes part, which may be why weights do not fit."""
        theirs = {call.name: call for call in self.pair.calls}
        names = wiring.match(self.pair.calls, self.calls, units)
        for call in self.calls:
            other = theirs.get(names.get((call.name, call.number)))
            if other and sorted(other.shape) != sorted(call.result.shape) and len(other.shape) == call.result.ndim:
                reason = "; looks like maxpool-ceil-mode" if getattr(other.module, "ceil_mode", False) else ""
                return (
                    f". The shapes part at {other.name}: {other.shape} in PyTorch, "
                    f"{call.result.shape} from Keras's {call.name}{reason}"
                )
        return ""

    def notes(self) -> list[str]:
        """Return what was inferred, a line each."""
        found = list(self.pairing.notes)
        for name, lies in self.input_layouts.items():
            if lies is not layout.SAME:
                shape = self.pair.named[name].shape
                found.append(
                    f"{name}: PyTorch's {shape} is given to Keras as {_keras_shape(lies, shape)}, channels last"
                )
        for (name, number), sizes in self.flattened.items():
            if self.layers.get(name) is not None and self.layers[name].weights and not number:
                found.append(f"{name}: its input is flattened from {sizes}, its weights permuted from PyTorch's order")
        merged = [one.name for one, other, _ in self.pairing.units if any(w.twin for w in other.weights.values())]
        if merged:
            found.append(f"{', '.join(merged)}: Keras has one bias, the sum of PyTorch's two (gap lstm-map)")
        if self.unmatched:
            found.append(f"PyTorch's modules without a counterpart, not compared: {', '.join(self.unmatched)}")
        if self.holds_float32_constants() and "float64" in self.pair.options.dtypes:
            found.append(
                "float64 is held to 1e-6, not 1e-12: the Keras model has layers with constants in float32 "
                f"({', '.join(self.holds_float32_constants())})"
            )
        if self.pair.options.loss is None:
            found.append(
                "no loss was given: gradients are those of the outputs' sum, each value by a fixed random weight"
            )
        return found

    def holds_float32_constants(self) -> list[str]:
        """Return the layers whose float64 is not exact, for Keras passes a constant through float32."""
        found = []
        for name, layer in self.layers.items():
            activation = getattr(getattr(layer, "activation", None), "__name__", "")
            kinds = {type(layer).__name__.lower(), activation}
            exact = kinds & {"multiheadattention"} and np.log2(layer._key_dim) % 2 == 0  # 1/√d is a power of 2
            if kinds & set(FLOAT32_CONSTANTS) and not exact:
                found.append(name)
        return found

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights both sides get: PyTorch's, two biases that Keras has as one added up."""
        state = typed(torch_recorder.state_of(self.pair.module), "float32")
        for weight in self.pairing.weights:
            if weight.twin:
                first = weight.name.replace("bias_hh", "bias_ih")
                state[first] = state[first] + state[weight.name]
                state[weight.name] = np.zeros_like(state[weight.name])
        return state

    def record(self, state: Mapping[str, np.ndarray], truth: Trace) -> Trace:
        """Run and return the trace, in PyTorch's names and layouts."""
        pair, options = self.pair, self.pair.options
        if options.weights == "keep":
            state = {weight.name: weight.value() for weight in self.pairing.weights}
        if options.train:
            self._inject_masks()
        with precision(self.dtype):
            recorder = KerasRecorder(
                self.model,
                loss=self._loss(),
                optimizer=_keras_optimizer(options.optimizer[1]) if options.steps else None,
                train=options.train,
                wiring=Wiring(self.pairing.weights, self.names, partial(self.lies, truth), copies.caller(pair.inputs)),
            )
            inputs, target = typed(pair.inputs, self.dtype), typed(options.target, self.dtype)
            trace = _guarded("the Keras model", recorder.record, state, inputs, target, options.steps)
        renamed = dict(zip(self.outputs, pair.outputs, strict=False)) if len(self.outputs) == len(pair.outputs) else {}
        trace = trace.with_entries((renamed.get(name, name), value) for name, value in trace.items())
        return trace.without(["activation:keras/*"])

    def lies(self, truth: Mapping, name: str, shape: tuple[int, ...]) -> layout.Layout:
        """Return how a tensor of Keras's lies against PyTorch's of that name."""
        if name in self.input_layouts:
            return self.input_layouts[name]
        if name == "target":
            same = [n for n, value in self.pair.outputs.items() if value.shape == tuple(shape)]
            return self._output_lies(same[0]) if same else layout.SAME
        if name.startswith("output"):
            return self._output_lies(self._their_output(name))
        path = name.removeprefix("activation:")
        call = self.by_path.get(path)
        if call and (call.name, -1 - call.number) in self.flattened:
            return layout.flattened(self.flattened[call.name, -1 - call.number])
        expected = truth.get(name)
        return wiring.fit(tuple(shape), getattr(expected, "shape", None), self._channels_first(path))

    def _channels_first(self, path: str) -> bool:
        return self.pair.spatial.get(path, False) and not _keeps_channels_first(self.model)

    def _their_output(self, name: str) -> str:
        if name in self.pair.outputs or len(self.outputs) != len(self.pair.outputs):
            return name
        return list(self.pair.outputs)[list(self.outputs).index(name)]

    def _output_lies(self, name: str) -> layout.Layout:
        """Return how an output lies, by PyTorch's name of it."""
        theirs = self.pair.outputs.get(name)
        own = name if name in self.outputs or theirs is None else None
        if own is None and len(self.outputs) == len(self.pair.outputs):
            own = list(self.outputs)[list(self.pair.outputs).index(name)]
        if own not in self.outputs or theirs is None:
            return layout.SAME
        last = self.pair.calls[-1].name if self.pair.calls else ""
        return wiring.fit(tuple(self.outputs[own].shape), theirs.shape, self._channels_first(last))

    def _loss(self) -> Callable | None:
        options = self.pair.options
        if options.loss is False:
            return None
        if options.loss is None:
            return self._weighted
        loss = options.loss[1]
        return type(loss).from_config(loss.get_config()) if isinstance(loss, keras.losses.Loss) else loss

    def _weighted(self, _target, output):
        """Return the sum of all outputs, each value times its weight, as PyTorch's side has it."""
        weights, total = self.pair.weighting(), 0.0
        for name, value in named_outputs(output):
            theirs = self._their_output(name)
            if theirs not in weights:
                continue
            weight = self._output_lies(theirs).to_keras(weights[theirs])
            if weight.shape != tuple(value.shape):
                raise BlitzError(
                    f"{theirs} is {tuple(value.shape)} in Keras, {self.pair.outputs[theirs].shape} in PyTorch"
                )
            total += tf.reduce_sum(value * tf.constant(weight, value.dtype))
        return total

    def _inject_masks(self) -> None:
        theirs = {call.name: call for call in self.pair.calls}
        for (name, _), path in self.names.items():
            layer = self.layers.get(name)
            if layer is not None and wiring.family(layer) == "dropout":
                multiply_instead(layer, partial(self._mask, name, theirs[path]))
        paired = {name for name, _ in self.names}
        for name, layer in self.layers.items():
            rates = [getattr(layer, rate, 0) for rate in ("rate", "dropout", "recurrent_dropout", "_dropout")]
            if any(isinstance(rate, float) and rate > 0 for rate in rates) and (
                name not in paired or wiring.family(layer) != "dropout"
            ):
                raise BlitzError(
                    f"{name}: its dropout has no counterpart in PyTorch's modules to share a mask with; "
                    "use train=False, or a rate of 0"
                )

    def _mask(self, name: str, call, shape: tuple[int, ...]) -> np.ndarray:
        layer, sizes = self.layers[name], self.flattened.get((name, -1))
        lies = layout.flattened(sizes) if sizes else wiring.fit(shape, call.shape, self._channels_first(call.name))
        theirs = lies.torch_shape(shape)
        if type(layer).__name__.startswith("Spatial"):
            theirs = (*theirs[:2], *(1 for _ in theirs[2:]))
        return lies.to_keras(streams.mask(theirs, float(layer.rate), "check", call.path))

    def strangers(self, comparison: Comparison) -> list[str]:
        """Return the activations that differ though everything else agrees, outputs and gradients among it.

        They were paired by kind and order alone, or Keras takes a step more there, such as a crop.
        """
        failed = [row for row in comparison.rows if not row.passed]
        weighted = {one.name for one, _, _ in self.pairing.units}
        judged = any(row.passed and row.kind == "output" for row in comparison.rows)
        for row in failed:
            path = row.name.removeprefix("activation:").partition("#")[0]
            if row.kind != "activation" or (path in weighted and not row.problem.startswith("shape")):
                return []
        return [row.name for row in failed] if judged and not comparison.problem else []

    def located(self, row: Row, state, fed: Mapping[str, np.ndarray], truth: Trace, before: str) -> tuple:
        """Return the fields of a `Location`: how far the layer's input is from PyTorch's, and the likely reasons."""
        _, _, path = row.name.rpartition("activation:")
        call = self.by_path.get(path if row.kind == "activation" else "")
        module = next((c.module for c in self.pair.calls if c.name == path), None)
        if call is None or module is None:
            return row, "", None, tuple(hints.of_row(self, row)), before
        for weight in self.pairing.weights:
            if self.pair.options.weights != "keep":
                weight.assign(state[weight.name])
        given: dict = {}
        with recorded_calls(self.model, given, fused=True) as results:
            copies.caller(self.pair.inputs)(
                self.model, self.pair.tensors(self.model, self.dtype), self.pair.options.train
            )
        x, y = (_array(side[call.name, call.number]) for side in (given, results))
        theirs = fed.get(f"fed:{path}")
        distance, lies = None, layout.SAME
        if theirs is not None:
            lies = wiring.fit(x.shape, theirs.shape, self._channels_first(path))
            sizes = self.flattened.get((call.name, call.number))
            lies = layout.flattened(sizes) if sizes else lies
            mine = lies.to_torch(x)
            distance = measure(theirs, mine).relative if mine.shape == theirs.shape else None
        expected = truth.get(row.name)
        way = self.lies(truth, row.name, y.shape)
        clue = hints.Clue(module, call, x, way.to_torch(y), expected, way, self.pair.options.train)
        label = f"{call.name} ({type(call.layer).__name__})"
        reasons = hints.of_layer(clue) if distance is not None and distance < SAME_VALUE else ()
        return row, label, distance, tuple(reasons), before


def typed(tree, dtype: str):
    """Return a structure of arrays with its floating-point numbers in this type."""
    if isinstance(tree, Mapping):
        return {key: typed(value, dtype) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(typed(value, dtype) for value in tree)
    return tree.astype(dtype) if tree is not None and tree.dtype.kind == "f" else tree


def _guarded(side: str, function: Callable, *args):
    """Call what runs a user's model; what it raises becomes one line."""
    try:
        return function(*args)
    except BlitzError:
        raise
    except Exception as error:  # a user's model may raise anything
        raise BlitzError(f"{side} raises {one_line(error)}") from error


def _last_before(row: Row, comparison: Comparison) -> str:
    """Return the last activation that agrees before a row, "" where there is none."""
    names = [other.name for other in comparison.rows[: comparison.rows.index(row)] if other.kind == "activation"]
    return names[-1] if row.kind in ("activation", "output", "loss") and names else ""


def _array(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _recurrent(call) -> bool:
    return pairing.kind_of(call.module, pairing.TORCH_KINDS) in pairing.GATES


def _keeps_channels_first(model) -> bool:
    layers = model._flatten_layers() if isinstance(model, keras.Layer) else ()
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in layers)


def _keras_shape(lies: layout.Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape) if lies.permutation is None else tuple(shape[k] for k in np.argsort(lies.permutation))


def _fits(shape: tuple[int, ...], declared: tuple | None) -> bool:
    if declared is None:
        return True
    return len(shape) == len(declared) and all(d in (None, s) for s, d in zip(shape, declared, strict=True))


def _torch_weighted(weights: Mapping[str, np.ndarray], output, _target):
    return torch_recorder.weighted(output, weights)


def _torch_optimizer(optimizer: Any, named: list):
    return optimizer[0]([parameter for _, parameter in named])


def _keras_optimizer(optimizer):
    """Return a fresh optimizer of the same settings; as np.float64, for Keras passes a float through float32."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return optimizer()
    config = {k: np.float64(_meant(v)) if isinstance(v, float) else v for k, v in optimizer.get_config().items()}
    return type(optimizer).from_config(config)


def _meant(value: float) -> float:
    """Return 0.1 for the 0.10000000149 that a float32 variable, such as the learning rate's, has made of it."""
    rounded = np.float32(value)
    return float(str(rounded)) if float(rounded) == value else value
