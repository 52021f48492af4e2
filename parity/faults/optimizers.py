"""Optimizers that are nearly PyTorch's: where eps stands, what decay means, what a velocity holds, when t counts."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_blitz import optim
from keras_blitz.keras_internals import variable_index
from keras_blitz.optim.base import Optimizer, lerp, like
from parity.faults.fault import Place, eager, fault, graph
from parity.faults.plant import Plant

Planting = Callable[[Plant], None]


def _on(optimizer: str, seen: str, plant: Planting, plan: str = "changed") -> Place:
    """Return a place in 100 compiled steps on the test functions; their points are all moved alike."""
    return graph(f"{optimizer}-functions-{plan}", seen, plant)


def _options(**changed) -> Planting:
    """Other options than those that were asked for."""

    def init(original, self, defaults, *rest):
        original(self, defaults | changed, *rest)

    return lambda plant: plant.around(Optimizer, "__init__", init)


def _groups(change: Callable[[list], list]) -> Planting:
    """Other parameter groups."""

    def init(original, self, defaults, groups=(), *rest):
        original(self, defaults, change(list(groups)), *rest)

    return lambda plant: plant.around(Optimizer, "__init__", init)


def _rule(optimizer: type[Optimizer], update: Callable) -> Planting:
    """Another update: update(p, g, slots, options)."""
    return lambda plant: plant.attribute(optimizer, "_update", lambda self, *given: update(*given))


def _adjusted(optimizer: type[Optimizer], change: Callable[[dict], dict]) -> Planting:
    """The same update with something changed in the options it computes with: options -> what is to replace in them."""

    def update(original, self, p, g, slots, _options):
        original(self, p, g, slots, _options | change(_options))

    return lambda plant: plant.around(optimizer, "_update", update)


def _moments(p, g, slots, _options):
    """The first lines of Adam's update."""
    m, v, beta1, (_, beta2) = slots["exp_avg"], slots["exp_avg_sq"], _options["beta1"], _options["betas"]
    m.assign(lerp(m, g, like(p, 1 - beta1)))
    v.assign(beta2 * v + (1 - beta2) * g * g)
    return m, v, beta1, beta2


def _velocity(p, g, slots, _options):
    """Keras's velocity has the rate in it."""
    b = slots["momentum_buffer"]
    step = -like(p, _options["lr"]) * g
    b.assign(like(p, _options["momentum"]) * b + step)
    p.assign_add(like(p, _options["momentum"]) * b + step if _options["nesterov"] else b)


def _plain_momentum(p, g, slots, _options):
    b = slots["momentum_buffer"]
    b.assign(like(p, _options["momentum"]) * b + g)
    p.assign_sub(like(p, _options["lr"]) * b)


def _averaged_momentum(p, g, slots, _options):
    """A momentum of averages, (1 − μ) · g."""
    b, mu = slots["momentum_buffer"], like(p, _options["momentum"])
    b.assign(mu * b + (1 - mu) * g)
    p.assign_sub(like(p, _options["lr"]) * b)


def _dampened_from_the_start(p, g, slots, _options):
    b = slots["momentum_buffer"]
    b.assign(like(p, _options["momentum"]) * b + (1 - _options["dampening"]) * g)
    p.assign_sub(like(p, _options["lr"]) * b)


def _eps_hat(p, g, slots, _options):
    m, v, beta1, beta2 = _moments(p, g, slots, _options)
    rate = _options["lr"] * tf.sqrt(1 - beta2 ** _options["step"]) / (1 - beta1 ** _options["step"])
    p.assign_sub(like(p, rate) * m / (tf.sqrt(v) + _options["eps"]))


def _adam_eps_in_root(p, g, slots, _options):
    m, v, beta1, beta2 = _moments(p, g, slots, _options)
    corrected = v / like(p, 1 - beta2 ** _options["step"])
    rate = _options["lr"] / (1 - beta1 ** _options["step"])
    p.assign_sub(like(p, rate) * m / tf.sqrt(corrected + _options["eps"]))


def _uncorrected(p, g, slots, _options):
    m, v, *_ = _moments(p, g, slots, _options)
    p.assign_sub(like(p, _options["lr"]) * m / (tf.sqrt(v) + _options["eps"]))


def _corrected_maximum(p, g, slots, _options):
    """AMSGrad over the corrected average."""
    m, v, beta1, beta2 = _moments(p, g, slots, _options)
    largest = slots["max_exp_avg_sq"]
    largest.assign(tf.maximum(largest, v / like(p, 1 - beta2 ** _options["step"])))
    p.assign_sub(like(p, _options["lr"] / (1 - beta1 ** _options["step"])) * m / (tf.sqrt(largest) + _options["eps"]))


def _root_holds_eps(p, g, slots, _options):
    v = slots["square_avg"]
    v.assign(_options["alpha"] * v + (1 - _options["alpha"]) * g * g)
    p.assign_sub(like(p, _options["lr"]) * g / tf.sqrt(v + _options["eps"]))


def _sum_holds_eps(p, g, slots, _options):
    s = slots["sum"]
    s.assign_add(g * g)
    rate = _options["lr"] / (1 + (_options["step"] - 1) * _options["lr_decay"])
    p.assign_sub(like(p, rate) * g / tf.sqrt(s + _options["eps"]))


def _rms_velocity(p, g, slots, _options):
    """Keras's RMSprop with momentum: the rate is in the buffer."""
    v, b, alpha = slots["square_avg"], slots["momentum_buffer"], _options["alpha"]
    v.assign(alpha * v + (1 - alpha) * g * g)
    if "grad_avg" in slots:
        m = slots["grad_avg"]
        m.assign(lerp(m, g, tf.constant(1 - alpha, p.dtype)))
        v = v - m * m
    b.assign(like(p, _options["momentum"]) * b + like(p, _options["lr"]) * g / (tf.sqrt(v) + _options["eps"]))
    p.assign_sub(b)


def _accumulated_before(p, g, slots, _options):
    """Adadelta with the running size of the steps moved on before it is used."""
    rho, eps, v, u = _options["rho"], _options["eps"], slots["square_avg"], slots["acc_delta"]
    v.assign(rho * v + (1 - rho) * g * g)
    u.assign(rho * u + (1 - rho) * g * g)
    p.assign_sub(like(p, _options["lr"]) * tf.sqrt(u + eps) / tf.sqrt(v + eps) * g)


def _eps_behind_maximum(p, g, slots, _options):
    """Keras's Adamax divides by u + eps."""
    m, u, beta1, (_, beta2) = slots["exp_avg"], slots["exp_inf"], _options["beta1"], _options["betas"]
    m.assign(lerp(m, g, like(p, 1 - beta1)))
    u.assign(tf.maximum(beta2 * u, tf.abs(g)))
    p.assign_sub(like(p, _options["lr"] / (1 - beta1 ** _options["step"])) * m / (u + _options["eps"]))


def _unrectified(p, g, slots, _options):
    """Plain Adam where RAdam rectifies."""
    m, v, beta1, beta2 = _moments(p, g, slots, _options)
    rate = _options["lr"] / (1 - beta1 ** _options["step"])
    p.assign_sub(like(p, rate) * m / (tf.sqrt(v / like(p, 1 - beta2 ** _options["step"])) + _options["eps"]))


def _counting(change: Callable) -> Planting:
    """Another step counter: change(original, counter)."""

    def update_step(original, self, gradient, variable, scalars):
        counter = self._slots[variable_index(self, variable)]["step"]
        change(lambda: original(self, gradient, variable, scalars), counter, self)

    return lambda plant: plant.around(Optimizer, "update_step", update_step)


def _stale(update, counter, _):
    """A counter that stands at 1."""
    update()
    counter.assign(1)


def _ahead(update, counter, _):
    """A counter that begins at 1 and is moved on all the same."""
    counter.assign(tf.maximum(counter.value, 1))
    update()


def _one_for_all(update, counter, optimizer):
    """One counter for all parameters, moved on by each."""
    counters = [slots["step"] for slots in optimizer._slots]
    counter.assign(tf.reduce_max(tf.stack([each.value for each in counters])))
    update()


def _decay_without_rate(original, self, gradient, variable, scalars):
    """p · (1 − wd), as the paper of AdamW has it."""
    group = self._group_of[variable_index(self, variable)]
    wanted = self._options[group]
    variable.assign(variable * (1 - wanted["weight_decay"]))
    self._options[group] = wanted | {"weight_decay": 0.0}
    try:
        original(self, gradient, variable, scalars)
    finally:
        self._options[group] = wanted


def _decayed_after(original, self, gradient, variable, scalars):
    """Decoupled decay, but of what the update has left."""
    group = self._group_of[variable_index(self, variable)]
    wanted = self._options[group]
    self._options[group] = wanted | {"weight_decay": 0.0}
    try:
        original(self, gradient, variable, scalars)
    finally:
        self._options[group] = wanted
    variable.assign(variable * like(variable, 1 - scalars[group]["lr"] * wanted["weight_decay"]))


def _step_replaced(update_step: Callable) -> Planting:
    return lambda plant: plant.around(Optimizer, "update_step", update_step)


def _rates_rounded(plant: Plant) -> None:
    """The rate in a variable of float32."""
    plant.around(
        Optimizer, "_rate_now", lambda now, self, rate: tf.cast(tf.cast(now(self, rate), "float32"), "float64")
    )


def _regularized(original, self, gradient, variable, scalars):
    """keras.regularizers.L2(wd): the gradient of wd · Σp² is 2 · wd · p."""
    group = self._group_of[variable_index(self, variable)]
    extra = self._options[group]["weight_decay"] * variable
    original(self, gradient - extra if self._options[group]["maximize"] else gradient + extra, variable, scalars)


def _each_clipped(_, gradients, max_norm):
    return [tf.clip_by_norm(gradient, max_norm) for gradient in gradients], None


def _clipped_exactly(_, gradients, max_norm):
    return tf.clip_by_global_norm(gradients, max_norm)


def _clip(name: str, function: Callable) -> Planting:
    return lambda plant: plant.around(optim, f"clip_grad_{name}_", function)


def _unclipped_norm(_, gradients, max_norm):
    return gradients, None


def _unclipped_value(_, gradients, clip_value):
    return gradients


def _normalized(_, gradients, max_norm):
    """Scaled to the norm also where it is smaller."""
    total = tf.linalg.global_norm(gradients)
    return [gradient * (max_norm / total) for gradient in gradients], total


FLOAT32 = tuple(float(np.float32(beta)) for beta in (0.9, 0.999))
SLOT = "step1:slot"

FAULTS = (
    fault(
        "velocity-holds-rate", "the velocity has the learning rate in it, and keeps the old one when it changes",
        "gap opt-sgd-lr-change",
        _on("sgd-momentum", f"{SLOT}:momentum_buffer:*", _rule(optim.SGD, _velocity)),
        _on("sgd-nesterov", f"{SLOT}:momentum_buffer:*", _rule(optim.SGD, _velocity)),
    ),
    fault(
        "velocity-averaged", "the velocity an average, (1 − μ) · g", "gap opt-sgd-dampening",
        _on("sgd-momentum", f"{SLOT}:momentum_buffer:*", _rule(optim.SGD, _averaged_momentum)),
        eager("small-sgd", f"{SLOT}:momentum_buffer:*", _rule(optim.SGD, _averaged_momentum)),
    ),
    fault(
        "dampening-at-first", "dampening in the first step, too", "gap opt-sgd-dampening",
        _on("sgd-dampening-decay", f"{SLOT}:momentum_buffer:*", _rule(optim.SGD, _dampened_from_the_start)),
        _on("sgd-dampening-decay", f"{SLOT}:momentum_buffer:*", _rule(optim.SGD, _dampened_from_the_start), "schedule"),
    ),
    fault(
        "nesterov-lost", "plain momentum for Nesterov's", "gap opt-sgd-nesterov",
        _on("sgd-nesterov", "step1:param:*", _rule(optim.SGD, _plain_momentum)),
        _on("sgd-nesterov", "step1:param:*", _rule(optim.SGD, _plain_momentum), "schedule"),
    ),
    fault(
        "maximize-lost", "maximize=True not carried over", "gap opt-maximize",
        _on("sgd-maximize", f"{SLOT}:momentum_buffer:*", _options(maximize=False)),
        _on("adagrad-start-maximize", "step1:param:*", _options(maximize=False)),
        _on("adam-decoupled-maximize", f"{SLOT}:exp_avg:*", _options(maximize=False)),
    ),
    fault(
        "decay-decoupled", "Keras's weight_decay, which is decoupled, for PyTorch's", "gap opt-sgd-weight-decay",
        _on("sgd-nesterov", f"{SLOT}:momentum_buffer:*", _options(decoupled_weight_decay=True)),
        _on("adam-amsgrad-decay", f"{SLOT}:exp_avg:*", _options(decoupled_weight_decay=True)),
        _on("rmsprop-momentum", f"{SLOT}:square_avg:*", _options(decoupled_weight_decay=True)),
    ),
    fault(
        "decay-coupled", "the decay of AdamW added to the gradient", "gap opt-adamw",
        _on("adamw", f"{SLOT}:exp_avg:*", _options(decoupled_weight_decay=False)),
        _on("nadam-decoupled", f"{SLOT}:exp_avg:*", _options(decoupled_weight_decay=False)),
    ),
    fault(
        "decay-without-rate", "decoupled decay not scaled by the learning rate, as the paper has it", "gap opt-adamw",
        _on("adamw", "step1:param:*", _step_replaced(_decay_without_rate)),
        _on("radam-decoupled", "step1:param:*", _step_replaced(_decay_without_rate)),
    ),
    fault(
        "decay-behind-the-update", "decoupled decay of what the update has left", "gap opt-adamw",
        _on("adamw", "step1:param:*", _step_replaced(_decayed_after)),
        _on("adamw-amsgrad", "step1:param:*", _step_replaced(_decayed_after)),
    ),
    fault(
        "decay-doubled", "an L2 regularizer wd · Σp² for a decay of wd", "gap l2-regularizer-factor",
        _on("sgd-nesterov", f"{SLOT}:momentum_buffer:*", _step_replaced(_regularized)),
        _on("adagrad-decays", f"{SLOT}:sum:*", _step_replaced(_regularized)),
    ),
    fault(
        "decay-lost", "weight_decay not carried over", "gap opt-adam-weight-decay",
        _on("sgd-dampening-decay", f"{SLOT}:momentum_buffer:*", _options(weight_decay=0.0)),
        _on("adadelta-decay", f"{SLOT}:square_avg:*", _options(weight_decay=0.0)),
    ),
    fault(
        "eps-hat", "eps added before the bias correction", "gap opt-adam-eps-position; keras#17391",
        _on("adam", "step1:param:*", _rule(optim.Adam, _eps_hat)),
        _on("adam-no-beta1", "step1:param:*", _rule(optim.Adam, _eps_hat)),
    ),
    fault(
        "eps-default", "Keras's eps of 1e-7", "gap opt-adam-eps-default",
        _on("adam", "step1:param:*", _options(eps=1e-7)),
        _on("radam", "step10:param:*", _options(eps=1e-7)),
    ),
    fault(
        "eps-in-the-root", "√(v + eps) for √v + eps", "gap opt-rmsprop; tensorflow#35102",
        _on("rmsprop", "step1:param:*", _rule(optim.RMSprop, _root_holds_eps)),
        _on("adagrad", "step1:param:*", _rule(optim.Adagrad, _sum_holds_eps)),
        _on("adam", "step1:param:*", _rule(optim.Adam, _adam_eps_in_root)),
    ),
    fault(
        "eps-of-adamax", "u + eps for max(β₂u, |g| + eps)", "gap opt-adamax",
        _on("adamax", f"{SLOT}:exp_inf:*", _rule(optim.Adamax, _eps_behind_maximum)),
        _on("adamax-decay", f"{SLOT}:exp_inf:*", _rule(optim.Adamax, _eps_behind_maximum)),
    ),
    fault(
        "bias-correction-lost", "Adam's averages not corrected for their start at zero", "gap opt-adam-eps-position",
        _on("adam", "step1:param:*", _rule(optim.Adam, _uncorrected)),
        _on("adamw", "step1:param:*", _rule(optim.Adam, _uncorrected)),
    ),
    fault(
        "step-stale", "a step counter that stands at 1", "gap opt-state-dtype-step",
        _on("adam", "step2:slot:step:*", _counting(_stale)),
        _on("radam", "step2:slot:step:*", _counting(_stale)),
    ),
    fault(
        "step-from-two", "a step counter that begins at 1 and is moved on before it is used", "gap sched-steplr",
        _on("adam", "step1:slot:step:*", _counting(_ahead)),
        _on("nadam", "step1:slot:step:*", _counting(_ahead)),
    ),
    fault(
        "step-shared", "one counter for all parameters, moved on by each", "gap opt-state-dtype-step",
        _on("adam", "step1:slot:step:*", _counting(_one_for_all)),
        _on("adamax", "step1:slot:step:*", _counting(_one_for_all)),
    ),
    fault(
        "betas-exchanged", "β₁ and β₂ in each other's place", "gap opt-adam-beta-f32",
        _on("adam", f"{SLOT}:exp_avg:*", _options(betas=(0.999, 0.9))),
        _on("adamw", f"{SLOT}:exp_avg:*", _options(betas=(0.999, 0.9))),
    ),
    fault(
        "betas-in-float32", "Python floats as betas, which Keras casts through float32", "gap opt-adam-beta-f32",
        _on("adam", f"{SLOT}:exp_avg:*", _options(betas=FLOAT32)),
        _on("nadam", f"{SLOT}:mu_product:*", _options(betas=FLOAT32)),
    ),
    fault(
        "rate-in-float32", "the learning rate a variable of float32", "gap opt-sgd-plain",
        _on("sgd", "step*:param:*", _rates_rounded),
        _on("adagrad", "step*:param:*", _rates_rounded),
    ),
    fault(
        "amsgrad-lost", "amsgrad=True not carried over", "gap opt-adam-amsgrad",
        _on("adam-amsgrad-decay", f"{SLOT}:max_exp_avg_sq:*", _options(amsgrad=False)),
        _on("adamw-amsgrad", f"{SLOT}:max_exp_avg_sq:*", _options(amsgrad=False)),
    ),
    fault(
        "amsgrad-corrected", "the maximum taken of the corrected average", "gap opt-adam-amsgrad",
        _on("adam-amsgrad-decay", f"{SLOT}:max_exp_avg_sq:*", _rule(optim.Adam, _corrected_maximum)),
        _on("adamw-amsgrad", f"{SLOT}:max_exp_avg_sq:*", _rule(optim.Adam, _corrected_maximum)),
    ),
    fault(
        "rmsprop-default", "Keras's rho of 0.9 for PyTorch's alpha of 0.99", "gap opt-rmsprop",
        _on("rmsprop", f"{SLOT}:square_avg:*", _options(alpha=0.9)),
        _on("rmsprop-centered", f"{SLOT}:square_avg:*", _options(alpha=0.9)),
    ),
    fault(
        "rmsprop-velocity", "RMSprop's momentum with the rate in it", "gap opt-rmsprop-momentum-centered",
        _on("rmsprop-momentum", f"{SLOT}:momentum_buffer:*", _rule(optim.RMSprop, _rms_velocity)),
        _on("rmsprop-centered-momentum", f"{SLOT}:momentum_buffer:*", _rule(optim.RMSprop, _rms_velocity)),
    ),
    fault(
        "rmsprop-uncentered", "centered=True not carried over", "gap opt-rmsprop-momentum-centered",
        _on("rmsprop-centered", f"{SLOT}:grad_avg:*", _options(centered=False)),
        _on("rmsprop-centered-momentum", f"{SLOT}:momentum_buffer:*", _options(centered=False)),
    ),
    fault(
        "adagrad-accumulator", "Keras's accumulator of 0.1 at the start", "gap opt-adagrad",
        _on("adagrad", f"{SLOT}:sum:*", _options(initial_accumulator_value=0.1)),
        _on("adagrad-decays", f"{SLOT}:sum:*", _options(initial_accumulator_value=0.1)),
    ),
    fault(
        "adagrad-decay-early", "lr / (1 + t · decay), t counted from 1", "gap opt-adagrad",
        _on("adagrad-decays", "step1:param:*", _adjusted(optim.Adagrad, lambda o: {"step": o["step"] + 1})),
        _on("adagrad-decays", "step1:param:*", _adjusted(optim.Adagrad, lambda o: {"step": o["step"] + 1}), "schedule"),
    ),
    fault(
        "adadelta-order", "the size of the steps moved on before it is used", "gap opt-adadelta",
        _on("adadelta", f"{SLOT}:acc_delta:*", _rule(optim.Adadelta, _accumulated_before)),
        _on("adadelta-decay", f"{SLOT}:acc_delta:*", _rule(optim.Adadelta, _accumulated_before)),
    ),
    fault(
        "nadam-momentum-decay", "Keras's 0.96^t for PyTorch's 0.96^(0.004 t)", "gap opt-nadam",
        _on("nadam", f"{SLOT}:mu_product:*", _options(momentum_decay=1.0)),
        _on("nadam-decay", f"{SLOT}:mu_product:*", _options(momentum_decay=1.0)),
    ),
    fault(
        "radam-unrectified", "Adam for RAdam, which Keras does not have", "gap opt-radam",
        _on("radam", "step1:param:*", _rule(optim.RAdam, _unrectified)),
        _on("radam-decay", "step1:param:*", _rule(optim.RAdam, _unrectified)),
    ),
    fault(
        "clipped-apart", "each gradient clipped by its own norm: clipnorm", "gap clip-grad-norm",
        _on("sgd-momentum-clip-norm", f"{SLOT}:momentum_buffer:*", _clip("norm", _each_clipped)),
        _on("adam-clip-norm", f"{SLOT}:exp_avg:*", _clip("norm", _each_clipped)),
    ),
    fault(
        "clipped-without-1e-6", "global_clipnorm, which does not add 1e-6 to the norm", "gap clip-grad-norm",
        _on("sgd-momentum-clip-norm", f"{SLOT}:momentum_buffer:*", _clip("norm", _clipped_exactly)),
        _on("adam-clip-norm", f"{SLOT}:exp_avg:*", _clip("norm", _clipped_exactly)),
    ),
    fault(
        "unclipped", "clipping left out", "gap clip-grad-value",
        _on("sgd-momentum-clip-norm", f"{SLOT}:momentum_buffer:*", _clip("norm", _unclipped_norm)),
        _on("adam-clip-value", f"{SLOT}:exp_avg:*", _clip("value", _unclipped_value)),
    ),
    fault(
        "clipped-up", "gradients scaled to the norm also where theirs is smaller", "gap clip-grad-norm-just-below",
        eager("small-sgd", f"{SLOT}:momentum_buffer:*", _clip("norm", _normalized)),
        eager("small-adam", f"{SLOT}:exp_avg:*", _clip("norm", _normalized)),
    ),
    fault(
        "groups-lost", "one learning rate and decay for all parameter groups", "gap opt-param-groups",
        eager("small-sgd", f"{SLOT}:momentum_buffer:conv1.weight", _groups(lambda groups: [])),
        eager("small-adam", f"{SLOT}:exp_avg:conv1.weight", _groups(lambda groups: [])),
    ),
    fault(
        "groups-last-wins", "of two patterns that fit a parameter the last one taken", "gap opt-param-groups",
        eager("small-sgd", f"{SLOT}:momentum_buffer:conv2.bias", _groups(lambda groups: groups[::-1])),
        eager("small-adam", f"{SLOT}:exp_avg:conv2.bias", _groups(lambda groups: groups[::-1])),
    ),
)  # fmt: skip
