"""What PyTorch's optimizers have in common, as a Keras optimizer: groups, rates, slots, weight decay.

Scalars are float64 until they meet a parameter of any dtype, because PyTorch computes them as Python floats:
learning rates and momenta are float64 variables, and bias corrections are float64 tensors.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule as Schedule

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import trained_variables, variable_index
from keras_blitz.optim.clipping import check_bound, clip_grad_norm_
from keras_blitz.optim.groups import Groups, assigned, parameter_name, resolved
from keras_blitz.optim.options import Options, Rules, Slots


class Slot(NamedTuple):
    """One entry of what PyTorch calls `optimizer.state`.

    Args:
        key: PyTorch's key, `momentum_buffer`, `exp_avg` …
        parameter: the Keras variable it belongs to.
        variable: what holds it, laid out as its parameter; `step` and `mu_product` are scalars.
    """

    key: str
    parameter: Any
    variable: Any


class Optimizer(keras.optimizers.Optimizer):
    """A Keras optimizer with PyTorch's options, parameter groups and state.

    g ← −g                  maximize
    g ← g + wd · p          weight_decay = wd; or p ← p · (1 − lr · wd) where it is decoupled
    then the subclass's rule

    A parameter whose gradient is None is left alone: no decay, no momentum, no step counted, and no warning. A gradient
    of `IndexedSlices` (embeddings) is made dense first, so that repeated indices sum before they are squared (Keras
    squares each: gap opt-embedding-dups, 1.1e-1).

    `learning_rate` is that of the default group, for Keras's callbacks; `param_lrs` and `set_lrs` have all of them.

    Args:
        defaults: PyTorch's options of the optimizer with their values. `lr`: a number ≥ 0, or a Keras schedule, whose
            rate is looked up at `iterations`.
        groups: (pattern, {option: value}) pairs. A pattern such as "fc.*", or each of a list of them, is matched
            (`fnmatch`) with PyTorch's names of the parameters, "fc.weight"; the first group that matches wins; what
            none matches takes the defaults. A rate of its own stays that where `lr` is a Keras schedule: give the
            group a schedule too.
        name: of the optimizer in Keras; None: made of the class's.
        clip_grad_norm: the most that the norm of all gradients together may be, ≥ 0, as
            `torch.nn.utils.clip_grad_norm_` before each step; None: they are not clipped. For `fit`; a loop of its own
            calls `clip_grad_norm_`. Keras's `global_clipnorm` has no 1e-6 in its divisor (gap clip-grad-norm).

    Raises:
        BlitzError: an option outside PyTorch's rule for it, one the optimizer does not have, and, when the parameters
            are known (`build`), a pattern that takes none of them.
    """

    # Adagrad has a state before its first step; the others make it then.
    _has_state_from_the_start = False

    # The keys of the state that PyTorch keeps to itself: SGD's count, which only says whether a buffer is new.
    _private_slots: tuple[str, ...] = ()

    # The rules of options that mean something else in this optimizer than in the others.
    _own_rules: ClassVar[Rules] = {}

    def __init__(
        self,
        defaults: Options,
        groups: Groups = (),
        name: str | None = None,
        clip_grad_norm: float | None = None,
    ):
        groups = list(groups)
        rows = resolved(defaults, groups, self._own_rules)
        if clip_grad_norm is not None:
            check_bound("clip_grad_norm", clip_grad_norm)
        rate = rows[0][1]["lr"]
        # As a function, or Keras makes a variable of floatx, which rounds also the rate of float64 parameters.
        super().__init__(rate if isinstance(rate, Schedule) else lambda: rate, name=name)
        self.clip_grad_norm = clip_grad_norm
        self._patterns = [pattern for pattern, _ in rows]
        self._options = [options for _, options in rows]
        self._own = [list(defaults), *(list(own) for _, own in groups)]
        self._learning_rate = self._make_rate(rate)
        self._group_rates = [
            self._make_rate(options["lr"], f"_{group}") for group, options in enumerate(self._options) if group
        ]

    def _make_rate(self, rate: float | Schedule, suffix: str = "") -> Any:
        return rate if isinstance(rate, Schedule) else self._add_scalar(f"learning_rate{suffix}", rate)

    def _add_scalar(self, name: str, value: float) -> Any:
        return self.add_variable((), _fill(value), dtype="float64", aggregation="only_first_replica", name=name)

    # The parameters, their groups and slots

    def build(self, variables: list[Any]) -> None:
        """Make the slots of these parameters, in the group that each one's name puts it."""
        if self.built:
            return
        names = [parameter_name(variable) for variable in variables]
        self._group_of = assigned(self._patterns, names)
        super().build(variables)
        self._slots = [
            self._make_slots(variable, self._options[group])
            for variable, group in zip(variables, self._group_of, strict=True)
        ]

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        """Return PyTorch's keys of the tensors that it keeps for a parameter with these options, without `step`."""
        raise NotImplementedError

    def _make_slots(self, variable: Any, options: Options) -> Slots:
        slots = {key: self._make_slot(key, variable, options) for key in self._slot_keys(options)}
        if slots:
            slots["step"] = self.add_variable((), dtype="int64", name=f"{parameter_name(variable)}_step")
        return slots

    def _make_slot(self, key: str, variable: Any, options: Options) -> Any:
        return self.add_variable_from_reference(variable, key, _fill(self._first_value(key, options)))

    def _first_value(self, key: str, options: Options) -> float:
        return 0.0

    def slots(self) -> Iterator[Slot]:
        """Yield what PyTorch has in `optimizer.state`: nothing of a parameter that was never updated.

        `step` is a whole number here; PyTorch keeps it as a float.
        """
        if not self.built:
            return
        for variable, slots in zip(trained_variables(self), self._slots, strict=True):
            if self._has_state_from_the_start or (slots and slots["step"].numpy()):
                for key, slot in slots.items():
                    if key not in self._private_slots:
                        yield Slot(key, variable, slot)

    def set_slots(self, variable: Any, values: Mapping[str, Any]) -> None:
        """Set the state of one parameter, so that a run begun elsewhere goes on.

        Args:
            variable: one of those that the optimizer was built with.
            values: PyTorch's key -> its value, in the layout of the variable. All that `slots` yields is needed. Of a
                smaller slot, such as Adafactor's of the rows, the values are those at 0 of the axes that it lacks.

        Raises:
            BlitzError: other keys than the optimizer has.
        """
        slots = self._slots[variable_index(self, variable)]
        values = {**dict.fromkeys(self._private_slots, 1), **values} if slots else values
        if set(values) != set(slots):
            expected, given = (", ".join(sorted(keys)) or "nothing" for keys in (slots, values))
            raise BlitzError(f"{type(self).__name__} keeps {expected} of {parameter_name(variable)}, not {given}")
        for key, slot in slots.items():
            slot.assign(np.asarray(values[key])[tuple(map(slice, slot.shape))].astype(slot.dtype))

    # The rates

    def _rates(self) -> list[Any]:
        return [self._learning_rate, *self._group_rates]

    @property
    def param_lrs(self) -> list[float]:
        """The learning rates as Python floats, exact: of the default group, then of the groups in their order."""
        return [float(self._rate_now(rate).numpy()) for rate in self._rates()]

    def set_lrs(self, rates: list[float]) -> None:
        """Set the learning rates, in the order of `param_lrs`; a compiled step takes them up too.

        Raises:
            BlitzError: another number of rates than of groups, or a Keras schedule sets one of them.
        """
        if any(isinstance(rate, Schedule) for rate in self._rates()):
            raise BlitzError(f"{type(self).__name__} has no learning rate to set: a Keras schedule sets it")
        _assign_each("rates", self._rates(), rates)

    def _rate_now(self, rate: Any) -> tf.Tensor:
        now = rate(self._iterations) if isinstance(rate, Schedule) else rate.value
        return tf.cast(tf.convert_to_tensor(now), tf.float64)  # a variable would be read again at each parameter

    def _scalars_now(self) -> list[dict[str, tf.Tensor]]:
        """Return what may change from step to step, a group at a time."""
        return [{"lr": self._rate_now(rate)} for rate in self._rates()]

    # One update

    def _filter_empty_gradients(self, grads: list[Any], vars: list[Any]) -> tuple[list[Any], list[Any]]:
        """Leave out parameters without a gradient, without a word, as PyTorch does."""
        present = [(gradient, variable) for gradient, variable in zip(grads, vars, strict=True) if gradient is not None]
        return [gradient for gradient, _ in present], [variable for _, variable in present]

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        """Clip the norm of all gradients, or as Keras's own arguments say."""
        if self.clip_grad_norm is None:
            return super()._clip_gradients(grads)
        return clip_grad_norm_(grads, self.clip_grad_norm)[0]

    def _backend_update_step(self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        """Read the scalars once, outside of the update of each replica."""
        super()._backend_update_step(grads, trainable_variables, self._scalars_now())

    def update_step(self, gradient: Any, variable: Any, learning_rate: list[dict[str, tf.Tensor]]) -> None:
        """Update one parameter; `learning_rate` is what `_scalars_now` returned."""
        index = variable_index(self, variable)
        group = self._group_of[index]
        options = {**self._options[group], **learning_rate[group]}
        slots = {key: slot.value for key, slot in self._slots[index].items()}
        gradient = self._as_gradient(gradient, variable, options)
        if slots:
            slots["step"].assign_add(1)
            if "step" not in self._private_slots:
                options["step"] = tf.cast(slots["step"], tf.float64)
        self._update(variable, self._decayed(gradient, variable, options), slots, options)

    def _as_gradient(self, gradient: Any, variable: Any, options: Options) -> Any:
        """Return the gradient as the rule takes it: dense, and negated to go up."""
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        return -gradient if options["maximize"] else gradient

    def _decayed(self, gradient: tf.Tensor, parameter: tf.Variable, options: Options) -> tf.Tensor:
        """Return the gradient with the weight decay in it, or shrink the parameter where the decay is decoupled."""
        decay = options.get("weight_decay")  # Rprop has none
        if not decay:
            return gradient
        if not options.get("decoupled_weight_decay"):
            return gradient + decay * parameter
        parameter.assign(parameter * like(parameter, 1 - options["lr"] * decay))
        return gradient

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        """Update a parameter and its slots.

        Args:
            p: the parameter.
            g: its gradient, negated and decayed already where that is asked for.
            slots: by PyTorch's keys.
            options: of its group; `lr`, `beta1` or `momentum`, and `step` (from 1, where PyTorch has it) are float64
                tensors.
        """
        raise NotImplementedError

    # Saving

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the learning rates and momenta of now."""
        now = [self._options_now(group) for group in range(len(self._options))]
        kept = [{name: now[group][name] for name in (*own, *self._varying())} for group, own in enumerate(self._own)]
        groups = [[pattern, own] for pattern, own in zip(self._patterns[1:], kept[1:], strict=True)]
        clipping = {} if self.clip_grad_norm is None else {"clip_grad_norm": self.clip_grad_norm}
        return {"name": self.name, **now[0], "groups": groups, **clipping}

    def _varying(self) -> tuple[str, ...]:
        """Return the options that may have changed since the constructor."""
        return ("lr",)

    def _options_now(self, group: int) -> Options:
        rate = self._rates()[group]
        shown = keras.saving.serialize_keras_object(rate) if isinstance(rate, Schedule) else float(rate.numpy())
        return {**self._options[group], "lr": shown}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Optimizer":
        """Make the optimizer that `get_config` described."""

        def revived(options: Options) -> Options:
            if not isinstance(options.get("lr"), dict):
                return options
            return {**options, "lr": keras.saving.deserialize_keras_object(options["lr"], custom_objects)}

        groups = [(pattern, revived(own)) for pattern, own in config.get("groups", ())]
        return cls(**{**revived(config), "groups": groups})


class MomentumOptimizer(Optimizer):
    """An optimizer with a momentum, or a β₁, that a schedule may cycle (`OneCycleLR`)."""

    # PyTorch's option: "momentum", or "betas" of which the first.
    _cycled = "betas"

    def __init__(
        self,
        defaults: Options,
        groups: Groups = (),
        name: str | None = None,
        clip_grad_norm: float | None = None,
    ):
        super().__init__(defaults, groups, name, clip_grad_norm)
        self._momenta = [
            self._add_scalar(f"momentum_{group}", self._first(group)) for group in range(len(self._options))
        ]

    def _first(self, group: int) -> float:
        value = self._options[group][self._cycled]
        return value[0] if self._cycled == "betas" else value

    @property
    def momenta(self) -> list[float]:
        """The momentum, or β₁, of each group, in the order of `param_lrs`."""
        return [float(momentum.numpy()) for momentum in self._momenta]

    def set_momenta(self, momenta: list[float]) -> None:
        """Set the momentum, or β₁, of each group; a compiled step takes them up too.

        Raises:
            BlitzError: another number of them than of groups, or a momentum of 0, to or from: whether there is a buffer
                is settled when the optimizer is made (PyTorch makes one when it is first needed).
        """
        firsts = [self._first(group) for group in range(len(self._options))]
        if self._cycled == "momentum" and not all((*firsts, *momenta)):
            raise BlitzError("a momentum of 0 has no buffer: make the optimizer with one above 0, and keep it above 0")
        _assign_each("momenta", self._momenta, momenta)

    def _scalars_now(self) -> list[dict[str, tf.Tensor]]:
        key = "beta1" if self._cycled == "betas" else "momentum"
        return [
            {**scalars, key: tf.convert_to_tensor(momentum.value)}
            for scalars, momentum in zip(super()._scalars_now(), self._momenta, strict=True)
        ]

    def _varying(self) -> tuple[str, ...]:
        return (*super()._varying(), self._cycled)

    def _options_now(self, group: int) -> Options:
        options, momentum = super()._options_now(group), self.momenta[group]
        return {**options, self._cycled: [momentum, options["betas"][1]] if self._cycled == "betas" else momentum}


def like(parameter: tf.Variable, scalar: tf.Tensor) -> tf.Tensor:
    """Return a float64 scalar, all of it computed, in the parameter's dtype."""
    return tf.cast(scalar, parameter.dtype)


def lerp(start: tf.Tensor, end: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return start + weight · (end − start), from the nearer end, as `torch.lerp` does.

    With a weight of 1 (β₁ = 0) it is `end` itself, not what is left of it after adding and subtracting `start`.
    """
    near = weight < 0.5
    return tf.where(near, start, end) + tf.where(near, weight, weight - 1) * (end - start)


def _fill(value: float) -> Callable[..., tf.Tensor]:
    """Return an initializer; Keras's own constant passes through float32."""
    return lambda shape, dtype: tf.fill(shape, tf.constant(value, dtype))


def _assign_each(what: str, variables: list[Any], values: list[float]) -> None:
    if len(values) != len(variables):
        raise BlitzError(f"{what}: {len(variables)} must be given, one for each parameter group, not {len(values)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
