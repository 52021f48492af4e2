"""Optimizers, clipping, schedules."""

import numpy as np

from parity.gaps.gap import array_gap, output_gap
from parity.gaps.helpers import numbers, raised
from parity.gaps.lazy import F, keras, nn, optim, tf, torch

STEPS = 20
START = np.array([0.5, -1.2, 2.0, 0.0, 1e-3])


def _gradients():
    """Return a part of the gradients of each step: the fourth is 0 always, the fifth tiny."""
    noise = np.random.RandomState(5).standard_normal((2 * STEPS, 5))
    return noise * [1, 1, 1, 0, 1e-6]


def _gradient(p, step):
    return _gradients()[step] + 0.3 * p * [1, 1, 1, 0, 0]


def _torch_path(make, before=None, start=START):
    """Return the parameters after each step of a PyTorch optimizer; `before(optimizer, step)` may change it."""
    p = nn.Parameter(torch.tensor(start))
    optimizer, path = make([p]), []
    for step in range(STEPS):
        if before:
            before(optimizer, step)
        p.grad = torch.tensor(_gradient(p.detach().numpy(), step))
        optimizer.step()
        path.append(p.detach().numpy().copy())
    return np.array(path)


def _path(optimizer, before=None, start=START):
    """Return the parameters after each step of a Keras optimizer, Keras's own or keras_blitz's."""
    p = keras.Variable(start, dtype="float64")
    optimizer.build([p])
    path = []
    for step in range(STEPS):
        if before:
            before(optimizer, step)
        optimizer.apply([tf.constant(_gradient(p.numpy(), step))], [p])
        path.append(p.numpy().copy())
    return np.array(path)


def _torch_rate(optimizer, step):
    if step == 10:
        optimizer.param_groups[0]["lr"] = 0.01


def _rate(optimizer, step):
    if step == 10:
        optimizer.learning_rate = 0.01


@array_gap(
    "opt-sgd-plain",
    "T",
    "`SGD(0.1)` of float64 parameters",
    "`SGD(0.1)` while floatx is float32: so is the learning rate",
    "`keras_blitz.optim.SGD`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.1))

    def naive():
        keras.config.set_floatx("float32")
        return _path(keras.optimizers.SGD(0.1))

    def exact():
        return _path(optim.SGD(0.1))


@array_gap(
    "opt-sgd-momentum",
    "T",
    "momentum 0.9",
    "`SGD(momentum=0.9)`: Keras casts it to float32 on its way to float64",
    "`keras_blitz.optim.SGD`; with Keras's own `np.float64(0.9)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9))

    def naive():
        return _path(keras.optimizers.SGD(0.1, momentum=0.9))

    def exact():
        return _path(optim.SGD(0.1, momentum=0.9))


@array_gap(
    "opt-sgd-lr-change",
    "T",
    "the learning rate scales the whole buffer when it is used",
    "Keras's velocity holds the rates of its time",
    "`keras_blitz.optim.SGD`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), _torch_rate)

    def naive():
        return _path(keras.optimizers.SGD(0.1, momentum=np.float64(0.9)), _rate)

    def exact():
        return _path(optim.SGD(0.1, momentum=0.9), _rate)


@array_gap(
    "opt-sgd-nesterov",
    "T",
    "Nesterov's momentum",
    "`SGD(nesterov=True)`: the same formula, momentum through float32",
    "`keras_blitz.optim.SGD`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True))

    def naive():
        return _path(keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))

    def exact():
        return _path(optim.SGD(0.1, momentum=0.9, nesterov=True))


@array_gap(
    "opt-sgd-dampening",
    "T",
    "dampening, but not in the first step",
    "Keras has none",
    "`keras_blitz.optim.SGD(dampening=0.5)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.5))

    def naive():
        return _path(keras.optimizers.SGD(0.1, momentum=np.float64(0.9)))

    def exact():
        return _path(optim.SGD(0.1, momentum=0.9, dampening=0.5))


@array_gap(
    "opt-sgd-weight-decay",
    "T",
    "weight decay is added to the gradient, before the momentum",
    "`SGD(weight_decay=)` subtracts it from the parameter, outside the momentum",
    "`keras_blitz.optim.SGD(weight_decay=)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01))

    def naive():
        return _path(keras.optimizers.SGD(0.1, momentum=np.float64(0.9), weight_decay=np.float64(0.01)))

    def exact():
        return _path(optim.SGD(0.1, momentum=0.9, weight_decay=0.01))


def _exact_adam(**options):
    return keras.optimizers.Adam(np.float64(0.01), beta_1=np.float64(0.9), beta_2=np.float64(0.999), **options)


@array_gap("opt-adam-eps-default", "T", "eps = 1e-8", "`Adam()`: epsilon = 1e-7", "`keras_blitz.optim.Adam`")
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01))

    def naive():
        return _path(_exact_adam())

    def exact():
        return _path(optim.Adam(0.01))


@array_gap(
    "opt-adam-eps-position",
    "T",
    "eps is added after the bias correction",
    "`Adam(epsilon=1e-8)` adds it before: 31.6 times as much in the first step",
    "`keras_blitz.optim.Adam`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01))

    def naive():
        return _path(_exact_adam(epsilon=1e-8))

    def exact():
        return _path(optim.Adam(0.01))


def _corrected_epsilon(optimizer, step):
    """Make Keras's epsilon what PyTorch's is at this step."""
    optimizer.epsilon = 1e-8 * (1 - 0.999 ** (step + 1)) ** 0.5


@array_gap(
    "opt-adam-beta-f32",
    "T",
    "β₁ and β₂ in double precision",
    "`Adam()`: they pass through float32, here with eps put right",
    "`keras_blitz.optim.Adam`; with Keras's own `np.float64` βs",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01))

    def naive():
        return _path(keras.optimizers.Adam(0.01), _corrected_epsilon)

    def exact():
        return _path(optim.Adam(0.01))


def _first_step(optimizer):
    keras.config.set_floatx("float32")
    p = keras.Variable(np.zeros(5, np.float32), dtype="float32")
    optimizer.build([p])
    optimizer.apply([tf.constant([1, 2, 3, 4, 5], tf.float32)], [p])
    return p.numpy()


@array_gap(
    "opt-adam-f32-step1",
    "T",
    "float32: the first step is the learning rate",
    "`Adam()` takes 1 − β₂ in float32: 1.3e-5 off",
    "`keras_blitz.optim.Adam`: the bias correction in double precision",
)
class _:
    def pytorch():
        p = nn.Parameter(torch.zeros(5))
        optimizer = torch.optim.Adam([p], 1e-3)
        p.grad = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
        optimizer.step()
        return p

    def naive():
        return _first_step(keras.optimizers.Adam(1e-3, epsilon=1e-12))

    def exact():
        return _first_step(optim.Adam(1e-3))


@array_gap(
    "opt-adam-weight-decay",
    "T",
    "`Adam(weight_decay=)` adds it to the gradient",
    "`Adam(weight_decay=)` decouples it",
    "`keras_blitz.optim.Adam(weight_decay=)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1))

    def naive():
        return _path(_exact_adam(weight_decay=np.float64(0.1)), _corrected_epsilon)

    def exact():
        return _path(optim.Adam(0.01, weight_decay=0.1))


@array_gap(
    "opt-adamw",
    "T",
    "`AdamW`: weight decay 0.01, eps 1e-8",
    "`AdamW()`: weight decay 0.004, epsilon 1e-7",
    "`keras_blitz.optim.AdamW`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.AdamW(p, 0.01))

    def naive():
        return _path(keras.optimizers.AdamW(0.01))

    def exact():
        return _path(optim.AdamW(0.01))


@array_gap(
    "opt-adam-amsgrad",
    "T",
    "amsgrad",
    "`Adam(amsgrad=True)`: the same maximum, eps elsewhere",
    "`keras_blitz.optim.Adam(amsgrad=True)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01, amsgrad=True))

    def naive():
        return _path(_exact_adam(epsilon=1e-8, amsgrad=True))

    def exact():
        return _path(optim.Adam(0.01, amsgrad=True))


@array_gap(
    "opt-rmsprop",
    "T",
    "eps outside the root; α = 0.99, eps = 1e-8",
    "`RMSprop(rho=0.99, epsilon=1e-8)`: inside",
    "`keras_blitz.optim.RMSprop`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.RMSprop(p, 0.01))

    def naive():
        return _path(keras.optimizers.RMSprop(0.01, rho=0.99, epsilon=1e-8))

    def exact():
        return _path(optim.RMSprop(0.01))


@array_gap(
    "opt-rmsprop-momentum-centered",
    "T",
    "momentum and centered",
    "Keras's buffer holds the learning rate, eps is inside the root",
    "`keras_blitz.optim.RMSprop(momentum=0.9, centered=True)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9, centered=True, weight_decay=0.01))

    def naive():
        options = {"momentum": 0.9, "centered": True, "weight_decay": 0.01}
        return _path(keras.optimizers.RMSprop(0.01, rho=0.99, epsilon=1e-8, **options))

    def exact():
        return _path(optim.RMSprop(0.01, momentum=0.9, centered=True, weight_decay=0.01))


@array_gap(
    "opt-adagrad",
    "T",
    "eps = 1e-10 outside the root, the accumulator 0 at first, lr_decay",
    "`Adagrad(initial_accumulator_value=0, epsilon=1e-10)`: inside, and no decay",
    "`keras_blitz.optim.Adagrad(lr_decay=0.1)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adagrad(p, 0.1, lr_decay=0.1))

    def naive():
        return _path(keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-10))

    def exact():
        return _path(optim.Adagrad(0.1, lr_decay=0.1))


@array_gap(
    "opt-adadelta",
    "T",
    "lr = 1, ρ = 0.9, eps = 1e-6",
    "`Adadelta()`: 0.001, 0.95, 1e-7",
    "`keras_blitz.optim.Adadelta`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adadelta(p))

    def naive():
        return _path(keras.optimizers.Adadelta())

    def exact():
        return _path(optim.Adadelta())


@array_gap(
    "opt-adamax",
    "T",
    "u = max(β₂·u, |g| + eps)",
    "`Adamax(2e-3, epsilon=1e-8)` divides by u + eps",
    "`keras_blitz.optim.Adamax`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adamax(p))

    def naive():
        return _path(keras.optimizers.Adamax(2e-3, epsilon=1e-8))

    def exact():
        return _path(optim.Adamax())


@array_gap(
    "opt-nadam",
    "T",
    "momentum_decay: μ = β₁·(1 − ½·0.96^(0.004·t))",
    "`Nadam(2e-3, epsilon=1e-8)`: 0.96^t",
    "`keras_blitz.optim.NAdam`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.NAdam(p))

    def naive():
        return _path(keras.optimizers.Nadam(2e-3, epsilon=1e-8))

    def exact():
        return _path(optim.NAdam())


@array_gap("opt-radam", "T", "`RAdam`", "Keras has none; `Adam`", "`keras_blitz.optim.RAdam`")
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.RAdam(p, 0.01))

    def naive():
        return _path(_exact_adam(epsilon=1e-8))

    def exact():
        return _path(optim.RAdam(0.01))


@array_gap(
    "opt-foreach",
    "T",
    "`Adam(foreach=False)` steps one tensor after another",
    "foreach=True, PyTorch's own other way: rounding",
    "`keras_blitz.optim.Adam`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01, foreach=False))

    def naive():
        return _torch_path(lambda p: torch.optim.Adam(p, 0.01, foreach=True))

    def exact():
        return _path(optim.Adam(0.01))


@array_gap(
    "opt-maximize",
    "T",
    "`SGD(maximize=True)` climbs",
    "Keras has no such option: it descends",
    "`keras_blitz.optim.SGD(maximize=True)`",
)
class _:
    def pytorch():
        return _torch_path(lambda p: torch.optim.SGD(p, 0.01, maximize=True))

    def naive():
        return _path(keras.optimizers.SGD(0.01))

    def exact():
        return _path(optim.SGD(0.01, maximize=True))


def _two_steps(optimizer, names=("first", "second")):
    """Return two parameters after two steps with gradients of ones."""
    parameters = [tf.Variable([1.0, 2.0], name=name, dtype="float64") for name in names]
    optimizer.build(parameters)
    for _ in range(2):
        optimizer.apply([tf.ones_like(p) for p in parameters], parameters)
    return {name: p.numpy() for name, p in zip(names, parameters, strict=True)}


@array_gap(
    "opt-param-groups",
    "T",
    "parameter groups, each with its learning rate and weight decay",
    "one Keras optimizer has one rate",
    "`keras_blitz.optim.SGD(groups=[…])`",
)
class _:
    def pytorch():
        first, second = (nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64)) for _ in range(2))
        optimizer = torch.optim.SGD([{"params": [first]}, {"params": [second], "lr": 0.01, "weight_decay": 0.1}], 0.1)
        for _ in range(2):
            first.grad, second.grad = torch.ones_like(first), torch.ones_like(second)
            optimizer.step()
        return {"first": first, "second": second}

    def naive():
        return _two_steps(keras.optimizers.SGD(0.1))

    def exact():
        return _two_steps(optim.SGD(0.1, groups=[("second", {"lr": 0.01, "weight_decay": 0.1})]))


def _without_gradient(optimizer, second):
    p, other = keras.Variable(START, dtype="float64"), keras.Variable(np.zeros(1), dtype="float64")
    optimizer.build([p, other])
    for gradient in (tf.ones_like(START), second):
        optimizer.apply([gradient, tf.ones([1], tf.float64)], [p, other])
    return p.numpy()


@array_gap(
    "opt-none-grad",
    "T",
    "`p.grad is None`: the parameter stays, also its momentum",
    "a gradient of zeros: the momentum moves it on",
    "None where PyTorch has None",
)
class _:
    def pytorch():
        p = nn.Parameter(torch.tensor(START))
        optimizer = torch.optim.SGD([p], 0.1, momentum=0.9)
        p.grad = torch.ones_like(p)
        optimizer.step()
        p.grad = None
        optimizer.step()
        return p

    def naive():
        return _without_gradient(keras.optimizers.SGD(0.1, momentum=np.float64(0.9)), tf.zeros_like(START))

    def exact():
        return _without_gradient(optim.SGD(0.1, momentum=0.9), None)


def _embedded(optimizer, w, dense):
    table = keras.Variable(w, dtype="float64")
    optimizer.build([table])
    for _ in range(3):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.gather(table.value, [1, 1, 2]) ** 2)
        gradient = tape.gradient(y, table.value)
        optimizer.apply([tf.convert_to_tensor(gradient) if dense else gradient], [table])
    return table.numpy()


@array_gap(
    "opt-embedding-dups",
    "G T",
    "an embedding's gradient is dense: rows looked up twice are summed, then squared",
    "Keras squares each part of `IndexedSlices`",
    "`keras_blitz.optim`, on the dense gradient",
    w=(4, 2),
)
class _:
    def pytorch(w):
        table = nn.Parameter(torch.tensor(w))
        optimizer = torch.optim.Adagrad([table], 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (F.embedding(torch.tensor([1, 1, 2]), table) ** 2).sum().backward()
            optimizer.step()
        return table

    def naive(w):
        return _embedded(keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-20), w, dense=False)

    def exact(w):
        return _embedded(optim.Adagrad(0.1), w, dense=True)


def _torch_clipped(clip, *gradients):
    parameters = [nn.Parameter(torch.zeros_like(torch.tensor(g))) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = torch.tensor(g)
    clip(parameters)
    return [p.grad for p in parameters]


@array_gap(
    "clip-grad-norm",
    "G T",
    "`clip_grad_norm_` scales by max/(norm + 1e-6)",
    "`tf.clip_by_global_norm` (Keras's `global_clipnorm`): max/norm",
    "`keras_blitz.optim.clip_grad_norm_`",
    a=(3,),
    b=(4,),
)
class _:
    def pytorch(a, b):
        return _torch_clipped(lambda p: nn.utils.clip_grad_norm_(p, 0.5), a, b)

    def naive(a, b):
        return tf.clip_by_global_norm([tf.constant(a), tf.constant(b)], 0.5)[0]

    def exact(a, b):
        return optim.clip_grad_norm_([tf.constant(a), tf.constant(b)], 0.5)[0]


@array_gap(
    "clip-grad-norm-each",
    "G T",
    "`clip_grad_norm_` takes the norm over all parameters",
    "`clipnorm` clips each gradient on its own",
    "`keras_blitz.optim.clip_grad_norm_`",
    a=(3,),
    b=(4,),
)
class _:
    def pytorch(a, b):
        return _torch_clipped(lambda p: nn.utils.clip_grad_norm_(p, 0.5), a, b)

    def naive(a, b):
        return [tf.clip_by_norm(a, 0.5), tf.clip_by_norm(b, 0.5)]

    def exact(a, b):
        return optim.clip_grad_norm_([tf.constant(a), tf.constant(b)], 0.5)[0]


@array_gap(
    "clip-grad-norm-just-below",
    "G",
    "a norm of exactly the bound is scaled by 1/(1 + 1e-6)",
    "`tf.clip_by_global_norm` leaves it",
    "`keras_blitz.optim.clip_grad_norm_`",
    a=numbers(0.6, 0.8),
)
class _:
    def pytorch(a):
        return _torch_clipped(lambda p: nn.utils.clip_grad_norm_(p, 1.0), a)

    def naive(a):
        return tf.clip_by_global_norm([tf.constant(a)], 1.0)[0]

    def exact(a):
        return optim.clip_grad_norm_([tf.constant(a)], 1.0)[0]


@array_gap(
    "clip-grad-norm-inf",
    "G",
    "an infinite gradient becomes NaN, the others 0",
    "`tf.clip_by_global_norm`: all NaN",
    "`keras_blitz.optim.clip_grad_norm_`",
    a=numbers(np.inf, 1),
)
class _:
    def pytorch(a):
        return _torch_clipped(lambda p: nn.utils.clip_grad_norm_(p, 1.0), a)

    def naive(a):
        return tf.clip_by_global_norm([tf.constant(a)], 1.0)[0]

    def exact(a):
        return optim.clip_grad_norm_([tf.constant(a)], 1.0)[0]


@array_gap(
    "clip-grad-value",
    "G",
    "`clip_grad_value_(0.5)`",
    "`tf.clip_by_value` (Keras's `clipvalue`): the same",
    "`keras_blitz.optim.clip_grad_value_`",
    a=(5,),
)
class _:
    def pytorch(a):
        return _torch_clipped(lambda p: nn.utils.clip_grad_value_(p, 0.5), a)

    def naive(a):
        return [tf.clip_by_value(a, -0.5, 0.5)]

    def exact(a):
        return optim.clip_grad_value_([tf.constant(a)], 0.5)


@array_gap(
    "grad-accumulation",
    "T",
    "four `backward()` calls add their gradients up",
    "`gradient_accumulation_steps=4` takes their mean",
    "add them up, then step",
)
class _:
    def pytorch():
        p = nn.Parameter(torch.tensor(START))
        optimizer = torch.optim.SGD([p], 0.1)
        for gradient in _gradients()[:4]:
            (p * torch.tensor(gradient)).sum().backward()
        optimizer.step()
        return p

    def naive():
        return _accumulated(keras.optimizers.SGD(0.1, gradient_accumulation_steps=4), _gradients()[:4])

    def exact():
        return _accumulated(optim.SGD(0.1), [_gradients()[:4].sum(0)])


def _accumulated(optimizer, gradients):
    p = keras.Variable(START, dtype="float64")
    optimizer.build([p])
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [p])
    return p.numpy()


def _torch_rates(make, steps=30, lr=0.1):
    """Return the learning rates of a PyTorch schedule, step by step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr, momentum=0.9)
    schedule, rates = make(torch.optim.lr_scheduler, optimizer), []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return np.array(rates)


def _rates(make, steps=30, lr=0.1):
    """Return those of a schedule of keras_blitz."""
    return np.array(make(optim.schedules, lr).table(steps))[:, 0]


def _keras_rates(make, steps=30):
    """Return those of a schedule of Keras's."""
    schedule = make(keras.optimizers.schedules)
    return np.array([float(schedule(tf.constant(step, tf.int64))) for step in range(steps)])


@array_gap(
    "sched-float32",
    "T",
    "rates in double precision",
    "every Keras schedule returns float32",
    "`keras_blitz.optim.schedules`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.ExponentialLR(o, 0.9))

    def naive():
        return _keras_rates(lambda s: s.ExponentialDecay(0.1, 1, 0.9))

    def exact():
        return _rates(lambda s, o: s.ExponentialLR(o, 0.9))


@array_gap(
    "sched-steplr",
    "T",
    "`StepLR(3, 0.5)`: epoch 3 has the new rate",
    "`PiecewiseConstantDecay([3, 6, …])`: step 3 has the old",
    "`keras_blitz.optim.schedules.StepLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.StepLR(o, 3, 0.5), 12)

    def naive():
        values = [np.float64(0.1 * 0.5**i) for i in range(4)]
        return _keras_rates(lambda s: s.PiecewiseConstantDecay([3, 6, 9], values), 12)

    def exact():
        return _rates(lambda s, o: s.StepLR(o, 3, 0.5), 12)


@array_gap(
    "sched-multistep",
    "T",
    "`MultiStepLR([4, 7])`: epoch 4 has the new rate",
    "`PiecewiseConstantDecay([4, 7], …)`: step 4 has the old",
    "`keras_blitz.optim.schedules.MultiStepLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.MultiStepLR(o, [4, 7], 0.1), 12)

    def naive():
        return _keras_rates(lambda s: s.PiecewiseConstantDecay([4, 7], [np.float64(r) for r in (0.1, 0.01, 0.001)]), 12)

    def exact():
        return _rates(lambda s, o: s.MultiStepLR(o, [4, 7], 0.1), 12)


@array_gap(
    "sched-per-epoch",
    "T",
    "a schedule is stepped once an epoch, here of 5 batches",
    "a Keras schedule steps with every batch",
    "`schedule.callback(per='epoch')`, here its table, one row per epoch",
)
class _:
    def pytorch():
        return np.repeat(_torch_rates(lambda s, o: s.ExponentialLR(o, 0.9), 4), 5)

    def naive():
        return _keras_rates(lambda s: s.ExponentialDecay(np.float64(0.1), np.float64(1), np.float64(0.9)), 20)

    def exact():
        return np.repeat(_rates(lambda s, o: s.ExponentialLR(o, 0.9), 4), 5)


@array_gap(
    "sched-exponential",
    "T",
    "`ExponentialLR(0.95)`",
    "`ExponentialDecay(0.1, 1, 0.95)`, its numbers through float32",
    "`keras_blitz.optim.schedules.ExponentialLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.ExponentialLR(o, 0.95))

    def naive():
        return _keras_rates(lambda s: s.ExponentialDecay(0.1, 1, 0.95))

    def exact():
        return _rates(lambda s, o: s.ExponentialLR(o, 0.95))


@array_gap(
    "sched-cosine",
    "T",
    "`CosineAnnealingLR(10, eta_min=0.001)` rises again after epoch 10; eta_min is a rate",
    "`CosineDecay(0.1, 10, alpha=0.001)` stays; alpha is a fraction",
    "`keras_blitz.optim.schedules.CosineAnnealingLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.CosineAnnealingLR(o, 10, eta_min=0.001))

    def naive():
        return _keras_rates(lambda s: s.CosineDecay(np.float64(0.1), np.float64(10), alpha=np.float64(0.001)))

    def exact():
        return _rates(lambda s, o: s.CosineAnnealingLR(o, 10, eta_min=0.001))


@array_gap(
    "sched-cosine-restarts",
    "T",
    "`CosineAnnealingWarmRestarts(7)`: periods of one length",
    "`CosineDecayRestarts(0.1, 7)`: each twice as long as the last",
    "`keras_blitz.optim.schedules.CosineAnnealingWarmRestarts`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.CosineAnnealingWarmRestarts(o, 7))

    def naive():
        return _keras_rates(lambda s: s.CosineDecayRestarts(0.1, 7))

    def exact():
        return _rates(lambda s, o: s.CosineAnnealingWarmRestarts(o, 7))


@array_gap(
    "sched-polynomial",
    "T",
    "`PolynomialLR(10, power=2)` ends at 0",
    "`PolynomialDecay` ends at 1e-4",
    "`keras_blitz.optim.schedules.PolynomialLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.PolynomialLR(o, 10, 2.0))

    def naive():
        return _keras_rates(lambda s: s.PolynomialDecay(0.1, 10, power=2.0))

    def exact():
        return _rates(lambda s, o: s.PolynomialLR(o, 10, 2.0))


@array_gap(
    "sched-cyclic",
    "T",
    "`CyclicLR(0.01, 0.1, 4)`: up in 4 batches, down in 4, again and again",
    "Keras has none; `CosineDecayRestarts` only falls within a cycle",
    "`keras_blitz.optim.schedules.CyclicLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.CyclicLR(o, 0.01, 0.1, 4))

    def naive():
        return _keras_rates(lambda s: s.CosineDecayRestarts(np.float64(0.1), 8, t_mul=1.0, alpha=0.1))

    def exact():
        return _rates(lambda s, o: s.CyclicLR(o, 0.01, 0.1, 4, cycle_momentum=False))


@array_gap(
    "sched-multiplicative",
    "T",
    "`MultiplicativeLR(f)`: the rate is multiplied by f(epoch) from epoch 1 on",
    "`LearningRateScheduler(lambda epoch, lr: lr * f(epoch))`: from epoch 0 on, through float32",
    "`keras_blitz.optim.schedules.MultiplicativeLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.MultiplicativeLR(o, _factor), 12)

    def naive():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        callback, rates = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * _factor(epoch)), []
        callback.set_model(model)
        for epoch in range(12):
            callback.on_epoch_begin(epoch)
            rates.append(float(model.optimizer.learning_rate))
        return np.array(rates)

    def exact():
        return _rates(lambda s, o: s.MultiplicativeLR(o, _factor), 12)


def _factor(epoch):
    return 0.9 - 0.1 * (epoch == 0)


@array_gap(
    "sched-sequential",
    "T",
    "`SequentialLR([LinearLR, CosineAnnealingLR], [5])`: a warm-up, then the cosine from the first rate",
    "`CosineDecay(warmup_steps=5)`, through float32, begins at 0.1/3 and has the first rate a step later",
    "`keras_blitz.optim.schedules.SequentialLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: _warm(s, o), 20)

    def naive():
        return _keras_rates(lambda s: s.CosineDecay(0.1 / 3, 20, warmup_target=0.1, warmup_steps=4), 20)

    def exact():
        return _rates(_warm, 20)


def _warm(schedules, of):
    parts = [schedules.LinearLR(of, total_iters=4), schedules.CosineAnnealingLR(of, 20)]
    return schedules.SequentialLR(of, parts, [5])


@array_gap(
    "sched-onecycle",
    "T",
    "`OneCycleLR(max_lr=1, total_steps=30)`",
    "Keras has none; `CosineDecay` with a warm-up",
    "`keras_blitz.optim.schedules.OneCycleLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.OneCycleLR(o, 1.0, total_steps=30))

    def naive():
        return _keras_rates(lambda s: s.CosineDecay(1 / 25, 21, alpha=1e-4, warmup_target=1.0, warmup_steps=9))

    def exact():
        schedule = optim.schedules.OneCycleLR(optim.SGD(0.1, momentum=0.9), 1.0, total_steps=30)
        rates = schedule.get_last_lr()
        for _ in range(29):
            schedule.step()
            rates += schedule.get_last_lr()
        return np.array(rates)


@array_gap(
    "sched-linear-warmup",
    "T",
    "`LinearLR()`: from ⅓ of the rate to all of it in 5 epochs",
    "`PolynomialDecay(power=1)` with the two rates, through float32",
    "`keras_blitz.optim.schedules.LinearLR`",
)
class _:
    def pytorch():
        return _torch_rates(lambda s, o: s.LinearLR(o), 10)

    def naive():
        return _keras_rates(lambda s: s.PolynomialDecay(0.1 / 3, 5, end_learning_rate=0.1), 10)

    def exact():
        return _rates(lambda s, o: s.LinearLR(o), 10)


METRICS = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.89995, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


@array_gap(
    "sched-plateau",
    "T",
    "`ReduceLROnPlateau(patience=2)` reduces at the third bad epoch",
    "Keras's callback of this name reduces at the second",
    "`keras_blitz.optim.schedules.ReduceLROnPlateau`",
)
class _:
    def pytorch():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, factor=0.5)
        return _plateau(schedule.step, lambda: optimizer.param_groups[0]["lr"])

    def naive():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        callback = keras.callbacks.ReduceLROnPlateau("loss", patience=2, factor=0.5, mode="min")
        callback.set_model(model)
        callback.on_train_begin()
        return _plateau(lambda m: callback.on_epoch_end(0, {"loss": m}), lambda: float(model.optimizer.learning_rate))

    def exact():
        schedule = optim.schedules.ReduceLROnPlateau(optim.SGD(0.1), patience=2, factor=0.5)
        return _plateau(schedule.step, lambda: schedule.get_last_lr()[0])


def _plateau(step, rate):
    rates = []
    for metric in METRICS:
        step(metric)
        rates.append(rate())
    return np.array(rates)


@array_gap(
    "opt-lr-int",
    "-",
    "a learning rate of 1, a whole number, is taken",
    "`keras.optimizers.SGD(1)` is refused",
    "`keras_blitz.optim.SGD(1)`",
)
class _:
    def pytorch():
        return {"refused": raised(lambda: torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1))}

    def naive():
        return {"refused": raised(lambda: keras.optimizers.SGD(1))}

    def exact():
        return {"refused": raised(lambda: optim.SGD(1))}


@output_gap(
    "opt-state-dtype-step",
    "T",
    "β^step in double precision",
    "`tf.pow` of float64: the same",
    "the same",
    step=numbers(7, 100),
)
class _:
    def pytorch(step):
        return torch.tensor([0.999 ** s.item() for s in step], dtype=step.dtype)

    def naive(step):
        return tf.pow(tf.constant(0.999, step.dtype), step)

    def exact(step):
        return tf.pow(tf.constant(0.999, step.dtype), step)


@array_gap(
    "ema-swa",
    "T",
    "`AveragedModel`: the mean of all updates",
    "`use_ema=True`: an exponential mean",
    "avg += (p − avg)/(n + 1)",
)
class _:
    def pytorch():
        model = nn.Linear(5, 1, bias=False).double()
        averaged = torch.optim.swa_utils.AveragedModel(model)
        for p in _torch_path(lambda p: torch.optim.SGD(p, 0.1)):
            model.weight.data.copy_(torch.tensor(p))
            averaged.update_parameters(model)
        return averaged.module.weight[0]

    def naive():
        optimizer = keras.optimizers.SGD(np.float64(0.1), use_ema=True, ema_momentum=0.9)
        p = keras.Variable(START, dtype="float64")
        optimizer.build([p])
        for step in range(STEPS):
            optimizer.apply([tf.constant(_gradient(p.numpy(), step))], [p])
        optimizer.finalize_variable_values([p])
        return p.numpy()

    def exact():
        average = np.zeros(5)
        for n, p in enumerate(_path(optim.SGD(0.1))):
            average += (p - average) / (n + 1)
        return average


@array_gap(
    "opt-order-of-params",
    "T",
    "`parameters()` goes by the order of assignment in the constructor",
    "`trainable_variables` of a functional model goes by the order of use",
    "match by name, as `keras_blitz.named_parameters` does",
)
class _:
    def pytorch():
        last, first = nn.Linear(4, 2, bias=False), nn.Linear(3, 4, bias=False)  # made in this order
        return [p.shape[1] for p in nn.ModuleDict({"last": last, "first": first}).parameters()]

    def naive():
        return [v.shape[0] for v in _two_layers().trainable_variables]

    def exact():
        model = _two_layers()
        return [model.get_layer(name).kernel.shape[0] for name in ("last", "first")]


def _two_layers():
    last = keras.layers.Dense(2, use_bias=False, name="last")
    first = keras.layers.Dense(4, use_bias=False, name="first")
    inputs = keras.Input((3,))
    return keras.Model(inputs, last(first(inputs)))
