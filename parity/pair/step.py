"""The Keras side's loss and optimizer in one precision: the user's own settings, never the user's own state."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError, one_line
from parity.pair import settings
from parity.pair.options import COMPILED, Options


@dataclass(frozen=True)
class CompiledLoss:
    """What a model was compiled with: losses, one or one for each output, their weights, the outputs' names."""

    losses: Any
    weights: Any
    outputs: Any


def resolved(options: Options, model: Any) -> Options:
    """Return the options with what the model was compiled with in place of "compiled".

    Raises:
        BlitzError: the model was not compiled, or without it.
    """
    loss, optimizer = options.loss, options.optimizer
    if loss and loss[1] == COMPILED:
        losses, weights = keras_internals.compiled_as(model) if getattr(model, "compiled", False) else (None, None)
        if losses is None:
            raise BlitzError(
                f'loss="{COMPILED}": the Keras model was not compiled with a loss; call compile, or give it'
            )
        loss = (loss[0], CompiledLoss(losses, weights, getattr(model, "output_names", None)))
    if optimizer is not None and optimizer[1] == COMPILED:
        if getattr(model, "optimizer", None) is None:
            raise BlitzError(f'optimizer="{COMPILED}": the Keras model was not compiled; call compile, or give it')
        optimizer = (optimizer[0], model.optimizer)
    compiled = loss is not options.loss and optimizer is not options.optimizer
    return replace(options, loss=loss, optimizer=optimizer, compiled=compiled)


def loss_of(options: Options, dtype: str) -> Callable[[Any, Any], tf.Tensor]:
    """Return the Keras side's loss, (target, output) -> scalar, as `fit` computes it.

    Args:
        options: has a pair of losses.
        dtype: "float32" or "float64".

    Raises:
        BlitzError: no such loss, or one that returns no number.
    """
    weight, given = sample_weight(options, dtype), options.loss[1]
    loss = compiled_loss(given, dtype) if isinstance(given, CompiledLoss) else typed_loss(given, dtype)

    def computed(target: Any, output: Any) -> tf.Tensor:
        if isinstance(loss, keras.losses.Loss):
            value = loss(target, output, sample_weight=weight)
        else:
            value = loss(target, output)
            if weight is not None:
                value = keras.losses.Loss.__call__(_Given(value), target, output, sample_weight=weight)
        if value is None:
            return None
        if not tf.is_tensor(value) and not isinstance(value, float | int | np.generic | np.ndarray):
            raise BlitzError(f"Keras's loss returned a {type(value).__name__}, not a number")
        value = tf.convert_to_tensor(value)
        if isinstance(loss, keras.losses.Loss) and value.shape.rank:
            raise BlitzError(f"Keras's loss returned {tuple(value.shape)} values, not a number: give it a reduction")
        return tf.reduce_mean(value) if value.shape.rank else value  # as `fit` does with a function's values

    return computed


class _Given(keras.losses.Loss):
    """Values of a loss that are known already, to be weighted and averaged as `fit` does."""

    def __init__(self, values: tf.Tensor):
        super().__init__(dtype=values.dtype.name)
        self.values = values

    def call(self, y_true: Any, y_pred: Any) -> tf.Tensor:
        return self.values


def typed_loss(loss: Any, dtype: str) -> Any:
    """Return a shallow copy of a loss that computes in this type.

    A copy made from its configuration would lose what a subclass without a `get_config` was given.

    Args:
        loss: a Keras loss, a function (target, output) -> values, or a name, "mse".
        dtype: "float32" or "float64"; in another the loss is taken as it is.

    Raises:
        BlitzError: no such loss.
    """
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            raise BlitzError(f"loss: Keras has no loss {loss!r}; give its name, as in compile, or the loss") from None
    if isinstance(loss, type):
        raise BlitzError(f"loss: {loss.__name__} is a class; give an instance, {loss.__name__}()")
    if not isinstance(loss, keras.losses.Loss):
        return loss
    made = _shallow(loss)
    for name, value in vars(loss).items():
        if isinstance(value, np.ndarray) and value.dtype == "float64":  # float32 values, as all of the comparison has
            vars(made)[name] = value.astype("float32").astype("float64")
    if loss.dtype not in (None, dtype) and dtype in ("float32", "float64"):
        # The base class's constructor alone: it sets these three, and a subclass's attributes stay.
        keras.losses.Loss.__init__(made, name=loss.name, reduction=loss.reduction, dtype=dtype)
    return made


def compiled_loss(given: CompiledLoss, dtype: str) -> Any:
    """Return the loss that `compile` makes, in this precision: (target, output, sample_weight) -> scalar."""
    losses = keras.tree.map_structure(lambda one: typed_loss(one, dtype), given.losses)
    return keras_internals.compiled_loss(losses, given.weights, given.outputs)


def sample_weight(options: Options, dtype: str) -> np.ndarray | None:
    """Return a weight for each example, from `sample_weight` and `class_weight`."""
    weight = options.sample_weight
    if options.class_weight is not None:
        labels = np.asarray(options.target)
        labels = labels.argmax(-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.reshape(len(labels))
        of_class = np.array([options.class_weight.get(int(label), 1.0) for label in labels])
        weight = of_class if weight is None else weight * of_class
    return None if weight is None else np.asarray(weight, dtype if dtype == "float64" else "float32")


def optimizer_of(given: Any) -> keras.optimizers.Optimizer:
    """Return a new optimizer of the user's settings, in Keras's floatx of now.

    The user's own instance is not used: it would be built on a copy's variables, and keep what the steps left.

    Args:
        given: an optimizer, () -> optimizer, or a name, "adam".

    Raises:
        BlitzError: no such optimizer, or it cannot be copied.
    """
    if isinstance(given, str):
        try:
            given = keras.optimizers.get(given)
        except ValueError:
            raise BlitzError(
                f"optimizer: Keras has no optimizer {given!r}; give its name, as in compile, or the optimizer"
            ) from None
    if not isinstance(given, keras.optimizers.Optimizer):
        made = given()
        if not isinstance(made, keras.optimizers.Optimizer):
            raise BlitzError(f"optimizer: the function returned a {type(made).__name__}, not a Keras optimizer")
        if not _is_copied(made, [keras.config.floatx()]):
            return made
        given = made
    return _copy(given)


def _copy(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    config = dict(optimizer.get_config())
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        config.pop("inner_optimizer")
        made = type(optimizer)(_copy(inner), **config)
    else:
        schedule = getattr(optimizer, "_learning_rate", None)
        if keras.config.floatx() == "float64":  # np.float64, because Keras passes a Python float through float32
            config = {key: np.float64(_meant(v)) if isinstance(v, float) else v for key, v in config.items()}
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            config["learning_rate"] = _exact(schedule)
        try:
            made = type(optimizer).from_config(config)
        except Exception as error:  # a user's own get_config may say anything
            raise BlitzError(
                f"optimizer: no copy could be made of {type(optimizer).__name__} ({one_line(error)}); give a function "
                "that returns a new one"
            ) from None
    settings.copy_settings(optimizer, made, config)
    return made


def _exact(schedule: Any) -> Any:
    """Return a schedule whose numbers are np.float64."""
    made = _shallow(schedule)
    for name, value in vars(schedule).items():
        if isinstance(value, float):
            setattr(made, name, np.float64(value))
    return made


def _shallow(thing: Any) -> Any:
    """Return another object with the same attributes; `copy.copy` of a Keras object goes by its configuration."""
    made = object.__new__(type(thing))
    vars(made).update(vars(thing))
    return made


def _meant(value: float) -> float:
    """Return 0.1 for the 0.10000000149 that a float32 variable, such as the learning rate's, has made of it."""
    rounded = np.float32(value)
    return float(str(rounded)) if float(rounded) == value else value


@contextmanager
def exact_regularizers(model: Any, dtype: str) -> Iterator[None]:
    """Let the regularizers of a float64 model compute with np.float64: Keras passes a Python float through float32."""
    held = []
    known = [getattr(variable, "regularizer", None) for variable in model.variables]
    layers = keras_internals.inner_layers(model, itself=True)
    known += [getattr(layer, "activity_regularizer", None) for layer in layers]
    for regularizer in {id(each): each for each in known if each}.values() if dtype == "float64" else ():
        held += [(regularizer, name, value) for name, value in vars(regularizer).items() if type(value) is float]
    try:
        for regularizer, name, value in held:
            setattr(regularizer, name, np.float64(value))
        yield
    finally:
        for regularizer, name, value in held:
            setattr(regularizer, name, value)


def lists_slots(optimizers: tuple[Any, Any] | None) -> bool:
    """Whether the Keras optimizer of a pair says which parameter a slot is of, as keras_blitz's do."""
    return optimizers is not None and hasattr(optimizer_of(optimizers[1]), "slots")


def doubt(options: Options) -> str:
    """Say why agreement after the steps proves nothing of what `fit` leaves; "" where it does."""
    if not options.steps:
        return ""
    given = options.optimizer[1]
    optimizer = optimizer_of(given)
    if lost := _find_lost(options):
        is_function = not isinstance(given, keras.optimizers.Optimizer | str)
        remedy = 'compare with dtypes=["float32"], in which' if is_function else "give a function that returns"
        remedy += " the one it returns is used" if is_function else " a new optimizer"
        return (
            f"the steps are made with a copy of Keras's {type(optimizer).__name__}, which does not have what was set "
            f"as its {', '.join(lost)}; {remedy}"
        )
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer.use_ema and not optimizer.ema_overwrite_frequency:
        return (
            "Keras's optimizer has use_ema=True: fit replaces the weights by their averages when it ends, and "
            "PyTorch's side does not. The steps before that agree; check the averages by themselves"
        )
    return ""


def _find_lost(options: Options) -> list[str]:
    """Return the attributes that a copy of the user's optimizer does not have; [] where none is copied."""
    given = options.optimizer[1]
    if isinstance(given, str):
        return []
    if not isinstance(given, keras.optimizers.Optimizer):
        given = given()
        if not _is_copied(given, options.dtypes):
            return []
    return settings.lost(given, _copy(given))


def _is_copied(made: keras.optimizers.Optimizer, dtypes: Sequence[str]) -> bool:
    """Whether what a function returned is copied: Keras's own in float64, whose numbers went through float32."""
    return keras_internals.is_own(type(made)) and "float64" in dtypes
