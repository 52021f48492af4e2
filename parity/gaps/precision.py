"""Precision, configuration, threads, whole runs."""

import numpy as np

from keras_blitz.floatx import precision
from parity.gaps.gap import array_gap, output_gap
from parity.gaps.helpers import dtype, float32, on_images
from parity.gaps.lazy import F, blitz, keras, layers, nn, optim, tf, torch


@array_gap(
    "prec-floatx",
    "all",
    "`.double()` makes a module float64, whenever it was made",
    "a Keras layer keeps the floatx of the moment it was made",
    "`keras_blitz.precision('float64')` around its making, or dtype='float64'",
    x=(2, 3),
)
class _:
    def pytorch(x):
        return {"dtype": dtype(nn.Linear(3, 1).double()(torch.tensor(x)))}

    def naive(x):
        with precision("float32"):
            layer = keras.layers.Dense(1)
        return {"dtype": dtype(layer(x))}

    def exact(x):
        with precision("float64"):
            layer = keras.layers.Dense(1)
        return {"dtype": dtype(layer(x))}


@array_gap(
    "prec-np-default",
    "O",
    "a NumPy array stays float64",
    "a float32 Keras layer casts it, silently",
    "dtype='float64'",
    x=(2, 3),
)
class _:
    def pytorch(x):
        return {"dtype": dtype(torch.tensor(x))}

    def naive(x):
        return {"dtype": dtype(keras.layers.Identity(dtype="float32")(x))}

    def exact(x):
        return {"dtype": dtype(keras.layers.Identity(dtype="float64")(x))}


@array_gap(
    "prec-floatx-not-tf",
    "O G T",
    "`set_default_dtype(float64)`: `tensor(0.1)` is float64",
    "`set_floatx('float64')`: `keras.ops.convert_to_tensor(0.1)` is still float32",
    "`keras_blitz.ops.tensor`, or name the type",
)
class _:
    def pytorch():
        torch.set_default_dtype(torch.float64)
        return torch.tensor(0.1)

    def naive():
        return keras.ops.convert_to_tensor(0.1)

    def exact():
        return blitz.ops.tensor(0.1, dtype=tf.float64)


@array_gap(
    "prec-tf32",
    "O (GPU f32)",
    "matrix products on a GPU are float32",
    "TensorFlow allows TF32, 10 bits of mantissa",
    "`enable_tensor_float_32_execution(False)`",
)
class _:
    def pytorch():
        return {"TF32": bool(torch.backends.cuda.matmul.allow_tf32)}

    def naive():
        return {"TF32": tf.config.experimental.tensor_float_32_execution_enabled()}

    def exact():
        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            return {"TF32": tf.config.experimental.tensor_float_32_execution_enabled()}
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)


def _compiled(**options):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse", **options)
    return bool(model.jit_compile)


@array_gap(
    "prec-jit-auto",
    "O T",
    "operations are not fused by a compiler",
    "`compile(jit_compile='auto')`: XLA or not by the machine; here on CPU",
    "jit_compile=False",
)
class _:
    def pytorch():
        return {"XLA": False}

    def naive():
        return {"XLA": _compiled()}

    def exact():
        return {"XLA": _compiled(jit_compile=False)}


STEPS = 20


def _batches(shape=(4, 3, 32, 32)):
    stream = np.random.RandomState(1)
    return [(stream.standard_normal(shape), stream.randint(0, 10, shape[0])) for _ in range(4)]


def _torch_cifar():
    from parity.twins.torch.cifar import Net

    torch.manual_seed(0)
    return Net().double()


def _torch_trained(model, optimizer, shape=(4, 3, 32, 32)):
    """Return the loss of each of 20 steps, and every parameter after them."""
    losses, batches = [], _batches(shape)
    for step in range(STEPS):
        x, y = batches[step % len(batches)]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"losses": np.array(losses)} | {name: p.detach().numpy() for name, p in model.named_parameters()}


def _trained(optimizer, jit_compile=False):
    """Return the same of the Keras network from the same weights."""
    net = blitz.models.CifarNet(dtype="float64")
    blitz.load_state_dict(net, {name: p.detach().numpy() for name, p in _torch_cifar().state_dict().items()})
    optimizer.build(net.trainable_variables)

    @tf.function(jit_compile=jit_compile)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = blitz.losses.CrossEntropyLoss()(y, net(x, training=True))
        variables = [v.value for v in net.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), net.trainable_variables)
        return loss

    batches = _batches()
    losses = [float(step(tf.constant(x.transpose(0, 2, 3, 1)), tf.constant(y)))
              for x, y in (batches[i % len(batches)] for i in range(STEPS))]  # fmt: skip
    return {"losses": np.array(losses)} | blitz.state_dict(net)


def _torch_cifar_run():
    model = _torch_cifar()
    return _torch_trained(model, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9))


@array_gap(
    "prec-traj-lenet-keras-sgd",
    "T",
    "20 steps of the CIFAR-10 network, SGD with momentum 0.9, in float64",
    "`keras.optimizers.SGD(0.01, momentum=0.9)`: 0.9 through float32",
    "`keras_blitz.optim.SGD`, in `tf.function`",
)
class _:
    def pytorch():
        return _torch_cifar_run()

    def naive():
        return _trained(keras.optimizers.SGD(0.01, momentum=0.9))

    def exact():
        return _trained(optim.SGD(0.01, momentum=0.9))


@array_gap(
    "prec-traj-lenet-f64",
    "T",
    "20 steps of the CIFAR-10 network, in float64",
    "the exact port in `tf.function`: the same",
    "the exact port under XLA: the same",
)
class _:
    def pytorch():
        return _torch_cifar_run()

    def naive():
        return _trained(optim.SGD(0.01, momentum=0.9))

    def exact():
        return _trained(optim.SGD(0.01, momentum=0.9), jit_compile=True)


def _norm_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 10),
    ).double()  # fmt: skip


def _norm_trained(norm, optimizer):
    model = _norm_net()
    start = {name: p.detach().numpy() for name, p in model.named_parameters()}
    conv = layers.Conv2d(8, 3, 2, 1, bias=False)
    dense = keras.layers.Dense(10)
    net = keras.Sequential(
        [keras.Input((16, 16, 3)), conv, norm, keras.layers.ReLU(), keras.layers.GlobalAveragePooling2D(), dense]
    )
    conv.kernel.assign(start["0.weight"].transpose(2, 3, 1, 0))
    dense.kernel.assign(start["5.weight"].T)
    dense.bias.assign(start["5.bias"])
    optimizer.build(net.trainable_variables)
    losses, batches = [], _batches((4, 3, 16, 16))
    for step in range(STEPS):
        x, y = batches[step % len(batches)]
        with tf.GradientTape() as tape:
            loss = blitz.losses.CrossEntropyLoss()(
                tf.constant(y), net(tf.constant(x.transpose(0, 2, 3, 1)), training=True)
            )
        optimizer.apply(tape.gradient(loss, [v.value for v in net.trainable_variables]), net.trainable_variables)
        losses.append(float(loss))
    logits = net(tf.constant(batches[0][0].transpose(0, 2, 3, 1)), training=False)
    return {"losses": np.array(losses), "eval": logits, "head": tf.transpose(dense.kernel)}


@array_gap(
    "prec-traj-bn-adam-f64",
    "T",
    "20 steps of conv, batch norm, ReLU, mean, linear, Adam, in float64; then eval mode",
    "Keras's BatchNormalization (momentum 0.9, epsilon 1e-5) and Adam (epsilon 1e-8)",
    "`keras_blitz.layers.BatchNorm`, `keras_blitz.optim.Adam`",
)
class _:
    def pytorch():
        model = _norm_net()
        run = _torch_trained(model, torch.optim.Adam(model.parameters(), 0.01), (4, 3, 16, 16))
        logits = model.eval()(torch.tensor(_batches((4, 3, 16, 16))[0][0]))
        return {"losses": run["losses"], "eval": logits, "head": run["5.weight"]}

    def naive():
        norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        return _norm_trained(norm, keras.optimizers.Adam(0.01, epsilon=1e-8))

    def exact():
        return _norm_trained(layers.BatchNorm(), optim.Adam(0.01))


@output_gap(
    "prec-abs-tolerance",
    "O G",
    "a sum of 25,088 products",
    "the same product; its absolute error, 5e-13, measures nothing",
    "the same",
    x=(4, 25088),
    w=(25088, 16),
)
class _:
    def pytorch(x, w):
        return x @ w

    def naive(x, w):
        return x @ w

    def exact(x, w):
        return x @ w


@output_gap(
    "prec-determinism",
    "O",
    "`index_add` of 2,000 rows to five",
    "`tf.math.unsorted_segment_sum`: the same, run after run",
    "the same",
    x=(2000, 8),
    i=lambda s: s.randint(0, 5, 2000).astype(np.int64),
)
class _:
    def pytorch(x, i):
        return torch.zeros(5, 8, dtype=x.dtype).index_add(0, i, x)

    def naive(x, i):
        return tf.math.unsorted_segment_sum(x, i, 5)

    def exact(x, i):
        return tf.math.unsorted_segment_sum(x, i, 5)


@array_gap(
    "prec-torch-threads",
    "O",
    "a float64 sum in one thread",
    "PyTorch's own in two threads: rounding",
    "the number of threads fixed",
    x=(512, 700),
)
class _:
    def pytorch(x):
        return torch.tensor(x).sum()

    def naive(x):
        torch.set_num_threads(2)
        return torch.tensor(x).sum()

    def exact(x):
        return tf.reduce_sum(tf.constant(x))


@output_gap(
    "prec-denormals",
    "O",
    "denormal numbers are kept: 1e-40·1",
    "TensorFlow flushes them to 0",
    "scale: 2¹⁰⁰·1e-40 is not denormal; here compared so",
    x=lambda s: np.array([1e-40, 3e-39], np.float32),
)
class _:
    def pytorch(x):
        return (x * 1.0) * 2.0**100

    def naive(x):
        return (x * 1.0) * 2.0**100

    def exact(x):
        return tf.constant(x.numpy() * np.float32(2.0**100)) * 1.0


@output_gap(
    "prec-exp-underflow",
    "O (f32)",
    "exp(−100) in float32 is 3.8e-44",
    "`tf.exp`: 0",
    "in float64, where it is not denormal; here compared as logarithms",
    x=lambda s: np.array([-100.0, -90.0], np.float32),
)
class _:
    def pytorch(x):
        return torch.exp(x).double() > 0

    def naive(x):
        return tf.exp(x) > 0

    def exact(x):
        return tf.exp(tf.cast(x, tf.float64)) > 0


@output_gap(
    "prec-graph-grappler",
    "O (1 ulp)",
    "x/3 + x·0.1 − x/7 in float32",
    "`tf.function` may multiply by 1/3",
    "operations one by one",
    x=float32(1000),
)
class _:
    def pytorch(x):
        return x / 3 + x * 0.1 - x / 7

    def naive(x):
        return tf.function(lambda x: x / 3 + x * 0.1 - x / 7)(x)

    def exact(x):
        return x / 3 + x * 0.1 - x / 7


@output_gap(
    "prec-keras-f32-detours",
    "O G T",
    "relu with a ceiling of 0.7, in float64",
    "`ReLU(max_value=0.7)`: through float32",
    "`ReLU(max_value=np.float64(0.7))`",
    x=(30,),
)
class _:
    def pytorch(x):
        return x.clamp(0, 0.7)

    def naive(x):
        return keras.layers.ReLU(max_value=0.7)(x)

    def exact(x):
        return keras.layers.ReLU(max_value=np.float64(0.7))(x)


@output_gap(
    "prec-keras-f32-relu-slope",
    "O G T",
    "leaky relu of slope 0.1, in float64",
    "`ReLU(negative_slope=0.1)`: through float32",
    "`tf.where(x > 0, x, 0.1·x)`",
    x=(30,),
)
class _:
    def pytorch(x):
        return F.leaky_relu(x, 0.1)

    def naive(x):
        return keras.layers.ReLU(negative_slope=0.1)(x)

    def exact(x):
        return tf.where(x > 0, x, 0.1 * x)


@array_gap(
    "prec-keras-f32-constant",
    "T",
    "`init.constant_(0.1)` in float64",
    "`Constant(0.1)`: through float32",
    "`Constant(np.float64(0.1))`",
)
class _:
    def pytorch():
        return nn.init.constant_(torch.empty(3, dtype=torch.float64), 0.1)

    def naive():
        return keras.initializers.Constant(0.1)((3,), dtype="float64")

    def exact():
        return keras.initializers.Constant(np.float64(0.1))((3,), dtype="float64")


@array_gap(
    "prec-keras-f32-metric",
    "report",
    "the mean of 0.1 and 0.2",
    "`keras.metrics.Mean`: through float32",
    "float64 tensors in",
)
class _:
    def pytorch():
        return torch.tensor([0.1, 0.2], dtype=torch.float64).mean()

    def naive():
        return _mean(0.1, 0.2)

    def exact():
        return _mean(np.float64(0.1), np.float64(0.2))


def _mean(*values):
    metric = keras.metrics.Mean()
    for value in values:
        metric.update_state(value)
    return metric.result()


@array_gap(
    "prec-fit-cast",
    "O",
    "a float64 model takes float64 arrays as they are",
    "`predict` rounds them to floatx first",
    "`keras_blitz.precision('float64')`",
    x=(4, 3),
)
class _:
    def pytorch(x):
        return torch.tensor(x) @ torch.ones(3, 2, dtype=torch.float64)

    def naive(x):
        with precision("float32"):
            return _predicted(x)

    def exact(x):
        with precision("float64"):
            return _predicted(x)


def _predicted(x):
    dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones", dtype="float64")
    return keras.Sequential([keras.Input((3,), dtype="float64"), dense]).predict(x, verbose=0)


@output_gap(
    "prec-f64-ops-missing",
    "O G",
    "every operation has float64 on CPU, here batch norm",
    "`fused_batch_norm` has not",
    "`keras_blitz.layers.BatchNorm`",
    x=(2, 3, 4, 4),
)
class _:
    def pytorch(x):
        return F.batch_norm(x, None, None, training=True)

    def naive(x):
        return tf.compat.v1.nn.fused_batch_norm(x, [1.0] * 4, [0.0] * 4)[0]

    def exact(x):
        return on_images(layers.BatchNorm(), x, training=True)


@output_gap(
    "prec-f64-resize",
    "O",
    "`interpolate` of float64 is float64",
    "`tf.image.resize` of float64 is float32",
    "`keras_blitz.layers.AdaptiveAvgPool2d`, here by two",
    x=(1, 2, 4, 4),
)
class _:
    def pytorch(x):
        return F.interpolate(x, scale_factor=0.5, mode="area")

    def naive(x):
        return tf.transpose(tf.image.resize(tf.transpose(x, [0, 2, 3, 1]), (2, 2), "area"), [0, 3, 1, 2])

    def exact(x):
        return on_images(layers.AdaptiveAvgPool2d(2), x)


@array_gap(
    "prec-mixed-default-dtype",
    "T",
    "NAdam's product of momenta in double precision, after `set_default_dtype(float64)`",
    "`keras.optimizers.Nadam(2e-3, epsilon=1e-8)`",
    "`keras_blitz.optim.NAdam`, which keeps the product in float32, as PyTorch does by default",
)
class _:
    def pytorch():
        torch.set_default_dtype(torch.float64)
        p = nn.Parameter(torch.tensor([0.5, -1.2]))
        optimizer = torch.optim.NAdam([p])
        for _ in range(STEPS):
            p.grad = 0.3 * p.detach()
            optimizer.step()
        return p

    def naive():
        return _stepped(keras.optimizers.Nadam(2e-3, epsilon=1e-8))

    def exact():
        return _stepped(optim.NAdam())


def _stepped(optimizer):
    p = keras.Variable([0.5, -1.2], dtype="float64")
    optimizer.build([p])
    for _ in range(STEPS):
        optimizer.apply([0.3 * p.value], [p])
    return p.numpy()
