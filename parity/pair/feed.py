"""PyTorch's inputs as a Keras model takes them: their order, names and layouts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.weights import layout
from parity.core.trace import named_inputs
from parity.pair.guard import guarded
from parity.pair.options import typed
from parity.pair.theirs import Theirs


def is_functional(model: Any) -> bool:
    """Whether a model has its inputs declared."""
    return bool(getattr(model, "inputs", None))


def keeps_channels_first(model: Any) -> bool:
    """Whether a Keras model has channels on axis 1."""
    layers = keras_internals.inner_layers(model, itself=True) if isinstance(model, keras.Layer) else ()
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in layers)


def ordered_names(model: Any, inputs: Any) -> dict[str, tuple | None]:
    """Return, in the order the model takes its inputs, their names in the trace, with the declared shapes if any.

    A subclassed model declares none, but knows the shape of its only input that it was first called with.

    Raises:
        BlitzError: the model takes another number of inputs.
    """
    names = [name for name, _ in named_inputs(inputs)]
    if not is_functional(model):
        return dict.fromkeys(names, _built_with(model) if len(names) == 1 else None)
    shapes = declared(model)
    if len(shapes) != len(names):
        raise BlitzError(f"{len(names)} inputs were given, the Keras model takes {len(shapes)}: {', '.join(shapes)}")
    if {f"input:{name}" for name in shapes} == set(names):
        return {f"input:{name}": shape for name, shape in shapes.items()}
    of = dict(zip(_written_order(model), names, strict=True))
    return {of[name]: shape for name, shape in shapes.items()}


def declared(model: Any) -> dict[str, tuple]:
    """Return a functional model's inputs, name -> shape, in the order of `model.inputs`."""
    return {tensor.name: tuple(tensor.shape) for tensor in model.inputs}


def same_names(theirs: Theirs, model: Any) -> bool:
    """Return whether PyTorch's inputs have the names that a functional model's have."""
    return set(theirs.named) == {f"input:{name}" for name in declared(model)}


def described(theirs: Theirs, model: Any) -> str:
    """Say which of PyTorch's inputs each of Keras's is, where there are several of other names; else ""."""
    if not is_functional(model) or len(theirs.named) < 2 or same_names(theirs, model):
        return ""
    pairs = zip(ordered_names(model, theirs.inputs), declared(model), strict=True)
    return "inputs: " + ", ".join(f"{name.removeprefix('input:')} = {ours}" for name, ours in pairs)


def _written_order(model: Any) -> list[str]:
    """Return the names of a functional model's inputs as its user wrote them: Keras sorts those of a dict."""
    struct = keras_internals.input_structure(model)
    written = [getattr(each, "name", "") for each in struct.values()] if isinstance(struct, Mapping) else []
    names = list(declared(model))
    return written if sorted(written) == sorted(names) else names


def _built_with(model: Any) -> tuple | None:
    """Return the shape of the only input that a model was first called with, whose batch may be any."""
    config = model.get_build_config() if isinstance(model, keras.Layer) else None
    shape = (config or {}).get("input_shape")
    if not isinstance(shape, tuple | list) or not all(size is None or isinstance(size, int) for size in shape):
        return None
    return None, *shape[1:]


def structured(theirs: Theirs, model: Any, given: Sequence[Any]) -> Any:
    """Return the inputs as `fit` takes them: one tensor, or the structure that the model was built with."""
    struct = keras_internals.input_structure(model)
    if struct is not None:
        by_name = dict(zip(theirs.named, given, strict=True))
        return keras.tree.pack_sequence_as(struct, [by_name[name] for name in ordered_names(model, theirs.inputs)])
    return given[0] if len(given) == 1 else tuple(given)


def caller(inputs: Any) -> Callable[[Any, list, bool], Any]:
    """Return (model, tensors in the trace's order, training) -> output, for inputs of this structure."""
    names = [name for name, _ in named_inputs(inputs)]

    def call(model, tensors: list, training: bool):
        by_name = dict(zip(names, tensors, strict=True))
        mode = {"training": training}
        if is_functional(model):
            given = [by_name[name] for name in ordered_names(model, inputs)]
            struct = keras_internals.input_structure(model)
            return model(given[0] if struct is None else keras.tree.pack_sequence_as(struct, given), **mode)
        takes = [p for p in inspect.signature(model.call).parameters.values() if p.name not in ("training", "mask")]
        any_number = any(p.kind is p.VAR_POSITIONAL for p in takes)
        if isinstance(inputs, Mapping):
            by_keyword = {name.removeprefix("input:"): tensor for name, tensor in by_name.items()}
            fits = set(by_keyword) <= {p.name for p in takes}
            return model(**by_keyword, **mode) if fits else model(by_keyword, **mode)
        if len(tensors) == 1 or any_number or len(takes) >= len(tensors):
            return model(*tensors, **mode)
        return model(tuple(tensors), **mode)

    return call


@dataclass(frozen=True)
class Fed(Theirs):
    """PyTorch's side, and what values have told of the layouts in which a Keras model takes its inputs.

    Args:
        layouts: input's name -> its layout, where shapes do not tell.
    """

    layouts: Mapping[str, layout.Layout] = field(default_factory=dict)


def input_layouts(theirs: Theirs, model: Any) -> dict[str, layout.Layout]:
    """Return each input's layout: as values have told, as the model declares its shape, else the likelier.

    Raises:
        BlitzError: neither order fits the shape that the Keras model declares.
    """
    told = theirs.layouts if isinstance(theirs, Fed) else {}
    return {name: told.get(name, fitting[0]) for name, fitting in fitting_layouts(theirs, model).items()}


def fitting_layouts(theirs: Theirs, model: Any) -> dict[str, list[layout.Layout]]:
    """Return the layouts that fit each input: the first is channels last where PyTorch's come first.

    Raises:
        BlitzError: neither order fits the shape that the Keras model declares.
    """
    shapes = ordered_names(model, theirs.inputs)
    kept = keeps_channels_first(model)
    channels_first = next(iter(theirs.channels_first.values()), True) and not kept
    found = {}
    for name, array in theirs.named.items():
        last = layout.by_rank(array.ndim)
        candidates = [last, layout.SAME] if channels_first or array.ndim > 3 else [layout.SAME, last]
        candidates = candidates[::-1] if kept else candidates
        fitting = [each for each in candidates if _fits(keras_shape(each, array.shape), shapes[name])]
        if not fitting and not is_functional(model):  # it was built with an input of another size
            fitting = candidates
        if not fitting:
            raise BlitzError(
                f"{name} is {array.shape} in PyTorch; the Keras model takes {shapes[name]}, and it fits "
                f"neither as it is nor with channels last"
            )
        found[name] = fitting
    return found


def keras_shape(layout_: layout.Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the Keras shape of a PyTorch array of this shape."""
    permutation = layout_.permutation
    return tuple(shape) if permutation is None else tuple(shape[k] for k in np.argsort(permutation))


def _fits(shape: tuple[int, ...], declared: tuple | None) -> bool:
    if declared is None:
        return True
    return len(shape) == len(declared) and all(d in (None, s) for s, d in zip(shape, declared, strict=True))


def tensors(theirs: Theirs, model: Any, dtype: str) -> list[tf.Tensor]:
    """Return the inputs as the Keras model takes them, in the trace's order."""
    layouts = input_layouts(theirs, model)
    return [tf.constant(layouts[name].to_keras(array)) for name, array in typed(theirs.named, dtype).items()]


def run(theirs: Theirs, model: Any, dtype: str, training: bool = False) -> Any:
    """Run a Keras model, in eval mode by default."""
    return caller(theirs.inputs)(model, tensors(theirs, model, dtype), training)


def run_once(theirs: Theirs, dtype: str) -> Callable[[Any], Any]:
    """Return what runs a Keras model in eval mode, which builds it; what it raises becomes one line."""

    def run_model(model: Any) -> Any:
        given = ", ".join(str(tuple(tensor.shape)) for tensor in tensors(theirs, model, dtype))
        return guarded(f"the Keras model, given {given},", partial(run, theirs), model, dtype)

    return run_model
