"""Every private member of Keras that this package depends on, each in one function.

A private member may change in any release; this is why Keras is pinned. Checked with Keras 3.15.1; where a new Keras
lacks one, `tests/library/test_keras_internals.py` fails and the function raises `BlitzError` with its name.
Importing this file does not import Keras.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from keras_blitz.errors import BlitzError

# What `optim.base.Optimizer`, a subclass of Keras's optimizer, overrides, reads and sets. The public `iterations` is
# another number where gradients are accumulated; the public `learning_rate` sets the variable's value, and would round
# a float64 one, where another variable is wanted.
OPTIMIZER = (
    "_backend_update_step",
    "_filter_empty_gradients",
    "_get_variable_index",
    "_iterations",
    "_learning_rate",
    "_trainable_variables",
)

# What `training.fitting.FitOnWorkers`, a subclass of Keras's model, overrides.
MODEL = ("_maybe_symbolic_build",)


def calls(model: Any) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Yield (operation, input tensors, output tensors) of each call in a functional model, in the order it runs them.

    Needed to follow a layout from the inputs to the outputs: `model.operations` has each operation once, however often
    it is called. Yields nothing for a model without a graph, such as a subclassed one.
    """
    if not has_graph(model):
        return
    by_depth = _private(model, "_nodes_by_depth")
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            yield node.operation, node.input_tensors, node.outputs


def call_of(tensor: Any) -> tuple[Any, int, list[Any]]:
    """Return the call that made a symbolic tensor: the operation, the number of its call from 0, its input tensors.

    Needed to walk a graph from its outputs back to its inputs.
    """
    operation, number, _ = _private(tensor, "_keras_history")
    return operation, number, _private(operation, "_inbound_nodes")[number].input_tensors


def has_graph(model: Any) -> bool:
    """Whether a model is a functional one, which knows its operations; a Sequential or subclassed model does not."""
    import keras

    return isinstance(model, keras.Function)  # by class: a subclassed model may have an attribute of any name


def graph_of(model: Any) -> Any:
    """Return the functional model that a model is, or that a built Sequential one holds; None where there is neither.

    Needed to read the graph of a Sequential model: its public members list layers, not calls.
    """
    import keras

    if has_graph(model):
        return model
    return _private(model, "_functional") if isinstance(model, keras.Sequential) else None


def input_structure(model: Any) -> Any:
    """Return the nested structure of tensors that a functional model was built with; None for another model.

    Needed to hand a flat list of inputs to a model that takes a dictionary: `model.inputs` is flat.
    """
    return _private(model, "_inputs_struct") if has_graph(model) else None


@contextmanager
def inputs_in_float64(model: Any) -> Iterator[None]:
    """Let a functional or Sequential model take floating-point inputs in float64 for a block, whatever it declares.

    Needed for the gradient of an input: a float64 model with a `keras.Input` of float32 casts what it is given. That
    loses nothing of float32 values, but rounds the gradient on its way back.
    """
    graph = graph_of(model)
    if graph is None:
        yield
        return
    convert, converts = _private(graph, "_convert_inputs_to_tensors"), _private(model, "_convert_input_args")

    def uncast(inputs: list) -> list:
        declared = [tensor.dtype for tensor in graph.inputs]
        each = zip(inputs, convert(inputs), declared, strict=True)
        return [x if _is_float64(x) and "float" in dtype else other for x, other, dtype in each]

    try:
        set_untracked(graph, "_convert_inputs_to_tensors", uncast)
        set_untracked(model, "_convert_input_args", False)  # of a Sequential, whose `__call__` casts, too
        yield
    finally:
        delete_untracked(graph, "_convert_inputs_to_tensors")
        set_untracked(model, "_convert_input_args", converts)


def _is_float64(x: Any) -> bool:
    return str(getattr(getattr(x, "dtype", None), "name", "")) == "float64"


def inner_layers(layer: Any, *, itself: bool = False) -> list[Any]:
    """Return the layers inside a layer or model, however deep, each after the one that holds it.

    Needed to observe layers inside layers: `model.layers` stops at the first level, and a layer has no such property.

    Args:
        layer: a Keras layer or model.
        itself: start the list with the layer.
    """
    return list(_private(layer, "_flatten_layers")(include_self=itself))


def children(layer: Any) -> list[Any]:
    """Return the layers directly inside a layer or model, in the order in which it got them.

    Needed for layers made of layers; `model.layers` is the same for a model.
    """
    return list(_private(layer, "_flatten_layers")(include_self=False, recursive=False))


def has_automatic_name(layer: Any) -> bool:
    """Whether a layer's name is one that Keras makes of its class: `dense` or `dense_3`.

    Needed to find what the user calls a layer instead; Keras does not keep whether a name was given.
    """
    from keras.src.utils.naming import to_snake_case

    return re.fullmatch(rf"{re.escape(to_snake_case(type(layer).__name__))}(_\d+)?", layer.name) is not None


def added_losses(model: Any) -> list[Any]:
    """Return what the layers of a model added to its loss when it was last called: `add_loss`, activity regularizers.

    Needed apart from `model.losses`, which has the penalties on weights as well.
    """
    return [loss for layer in inner_layers(model, itself=True) for loss in _private(layer, "_get_own_losses")()]


def weight_penalties(model: Any) -> list[Any]:
    """Return the penalty of each trainable weight that has a regularizer, as scalars of now."""
    return list(_private(model, "_get_regularization_losses")())


def compiled_loss(loss: Any, loss_weights: Any, output_names: Any) -> Any:
    """Return the loss that `compile(loss=…, loss_weights=…)` makes: (target, output, sample_weight) -> scalar."""
    from keras.src.trainers.compile_utils import CompileLoss

    return CompileLoss(loss, loss_weights, output_names=output_names)


def compiled_as(model: Any) -> tuple[Any, Any]:
    """Return the `loss` and the `loss_weights` that a model was compiled with."""
    made = _private(model, "_compile_loss")
    return (None, None) if made is None else (_private(made, "_user_loss"), _private(made, "_user_loss_weights"))


@contextmanager
def compiled_with(model: Any, loss: Any) -> Iterator[None]:
    """Let a model's `compute_loss` find this compiled loss for the block; `compile` would make a new optimizer, too."""
    before = _private(model, "_compile_loss")
    try:
        set_untracked(model, "_compile_loss", loss)
        yield
    finally:
        set_untracked(model, "_compile_loss", before)


def computed_loss(model: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
    """Return what a model's `compute_loss` does, with the argument `training` where it takes one, as `fit` calls it."""
    return _private(model, "_compute_loss")(x, y, y_pred, sample_weight, training=training)


def takes_training(layer: Any) -> bool:
    """Whether a layer's `call` has the argument `training`; read by Keras when the layer was constructed."""
    return bool(_private(layer, "_call_has_training_arg"))


def mask_of(tensor: Any) -> Any:
    """Return the mask that a layer such as `Embedding(mask_zero=True)` attached to a tensor; None without one.

    Needed because a loss or a comparison would ignore the mask without a word. Keras has no public way to read it.
    """
    return getattr(tensor, "_keras_mask", None)


def logits_of(tensor: Any) -> Any:
    """Return what a softmax or sigmoid was given that made a tensor; None for another tensor.

    Needed because a loss that takes logits would take a softmax of a softmax without a word. Keras's own look for it,
    too.
    """
    return getattr(tensor, "_keras_logits", None)


def is_own(thing: Any) -> bool:
    """Whether a class or function is Keras's own; anything else must be handed over when a model is reloaded."""
    return str(thing.__module__).startswith("keras.src")


def unsafe_loading() -> AbstractContextManager[None]:
    """Return a context in which Keras loads a Lambda's code.

    Needed to copy a user's own model in the user's own process. The public
    `keras.config.enable_unsafe_deserialization()` cannot be undone.
    """
    from keras.src.saving.serialization_lib import SafeModeScope

    scope: AbstractContextManager[None] = SafeModeScope(False)
    return scope


@contextmanager
def saved_in_little_memory(to_numpy: Callable[[Any], Any]) -> Iterator[None]:
    """Let Keras save a model in no more memory than the model has.

    Needed because Keras makes a whole `.keras` file in memory where there is enough, and two copies of each weight that
    it writes: 0.8 GB more for vgg16. Here the file is made beside the target, as where memory is short.

    Args:
        to_numpy: what reads a variable.
    """
    from keras.src.saving import saving_lib

    backend = _private(saving_lib, "backend")
    before = _private(saving_lib, "is_memory_sufficient"), _private(backend, "convert_to_numpy")
    try:
        saving_lib.is_memory_sufficient = lambda model: False
        backend.convert_to_numpy = to_numpy
        yield
    finally:
        saving_lib.is_memory_sufficient, backend.convert_to_numpy = before


def set_untracked(layer: Any, name: str, value: Any) -> None:
    """Set an attribute of a layer without Keras's tracking.

    Needed to put a wrapper in place of `call` for a while. Keras's `__setattr__` would make a layer that the value is
    or holds a part of this layer's state, and refuses new state in a layer that is built.
    """
    object.__setattr__(layer, name, value)


def delete_untracked(layer: Any, name: str) -> None:
    """Delete an attribute that `set_untracked` set."""
    object.__delattr__(layer, name)


@contextmanager
def called_as(layer: Any, function: Callable[..., Any]) -> Iterator[None]:
    """Let a layer's `call` be this function for the block."""
    before = vars(layer).get("call")
    try:
        set_untracked(layer, "call", function)
        yield
    finally:
        if before is None:
            delete_untracked(layer, "call")
        else:
            set_untracked(layer, "call", before)


def random_module() -> Any:
    """Return the module of Keras's backend whose `dropout`, `uniform` and `normal` all layers and `keras.random` call.

    Needed to compare two frameworks through the same masks: no seed makes Keras draw PyTorch's.
    """
    from keras.src import backend

    return backend.random


def decays(optimizer: Any, variable: Any) -> bool:
    """Whether an optimizer of Keras applies its weight decay to a variable.

    Needed because what `exclude_from_weight_decay` was told can be set, but not read.
    """
    return bool(_private(optimizer, "_use_weight_decay")(variable))


def variable_index(optimizer: Any, variable: Any) -> int:
    """Return the index of a variable among those that an optimizer was built with; its slots have the same index."""
    return int(_private(optimizer, "_get_variable_index")(variable))


def trained_variables(optimizer: Any) -> list[Any]:
    """Return the variables that an optimizer was built with; the public `variables` are its own."""
    return list(_private(optimizer, "_trainable_variables"))


def _private(owner: Any, name: str) -> Any:
    """Return a private member.

    Raises:
        BlitzError: this release of Keras does not have it.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        raise BlitzError(
            f"{type(owner).__name__} has no member {name} in Keras {_version()}, which keras_blitz depends on; "
            "install the release of Keras that keras-blitz asks for"
        ) from None


def _version() -> str:
    import keras

    return str(keras.__version__)
