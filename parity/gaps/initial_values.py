"""Initial values, random numbers, resizing, regularisers."""

import math

import numpy as np

from parity.gaps.gap import array_gap, gap, output_gap
from parity.gaps.helpers import channels_first, channels_last, on_images
from parity.gaps.lazy import F, blitz, keras, layers, nn, random, tf, torch


def _largest(values, digits=3):
    """Return max|values| to some digits: what a bound can be told by."""
    return round(float(np.abs(np.asarray(values)).max()), digits)


def _drawn(initializer, *shape):
    return initializer(shape, dtype="float32").numpy()


def _seeded(function):
    torch.manual_seed(0)
    return function()


@array_gap(
    "init-conv-linear-default",
    "T",
    "`Linear(400, 120)`: weight and bias U(±1/√400)",
    "`Dense(120)`: weight U(±√(6/520)), bias 0",
    "`keras_blitz.initializers.fan_in_uniform`, as all networks of keras_blitz have it",
)
class _:
    def pytorch():
        layer = _seeded(lambda: nn.Linear(400, 120))
        return {"weight": _largest(layer.weight.detach()), "bias": _largest(layer.bias.detach(), 2)}

    def naive():
        layer = keras.layers.Dense(120)
        layer.build((None, 400))
        return {"weight": _largest(layer.kernel), "bias": _largest(layer.bias, 2)}

    def exact():
        uniform = blitz.initializers.fan_in_uniform(400)
        return {"weight": _largest(_drawn(uniform, 400, 120)), "bias": _largest(_drawn(uniform, 120), 2)}


@array_gap(
    "init-rng",
    "T",
    "`manual_seed(0)`, `rand(4)`",
    "`set_random_seed(0)`, `keras.random.uniform`: no seed coincides",
    "`keras_blitz.manual_seed(0)`, `keras_blitz.random.rand`",
)
class _:
    def pytorch():
        return _seeded(lambda: torch.rand(4))

    def naive():
        keras.utils.set_random_seed(0)
        return keras.random.uniform((4,), dtype="float32")

    def exact():
        return random.Generator().manual_seed(0).rand(4)


@array_gap(
    "rng-linear-init",
    "T",
    "`manual_seed(0)`, the network's first weights",
    "`set_random_seed(0)`",
    "`keras_blitz.manual_seed(0)`: the same bits",
)
class _:
    def pytorch():
        return _seeded(lambda: nn.Conv2d(1, 6, 5).weight)

    def naive():
        keras.utils.set_random_seed(0)
        return tf.transpose(_drawn(keras.initializers.GlorotUniform(), 5, 5, 1, 6), [3, 2, 0, 1])

    def exact():
        with random.fork_rng():
            blitz.manual_seed(0)
            net = blitz.models.LeNet(dtype="float32")
        return tf.transpose(net.conv1.kernel, [3, 2, 0, 1])


@array_gap(
    "rng-randn",
    "T",
    "`manual_seed(0)`, `randn(32)`",
    "NumPy's `RandomState(0).randn`, from the same Mersenne Twister",
    "`keras_blitz.random.randn`",
)
class _:
    def pytorch():
        return _seeded(lambda: torch.randn(32))

    def naive():
        return np.random.RandomState(0).randn(32).astype(np.float32)

    def exact():
        return random.Generator().manual_seed(0).randn(32)


@array_gap(
    "rng-randn-f64",
    "T",
    "`randn(5, dtype=float64)`, fewer than 16",
    "NumPy's `RandomState(0).randn`",
    "`keras_blitz.random.randn`",
)
class _:
    def pytorch():
        return _seeded(lambda: torch.randn(5, dtype=torch.float64))

    def naive():
        return np.random.RandomState(0).randn(5)

    def exact():
        return random.Generator().manual_seed(0).randn(5, dtype="float64")


@array_gap(
    "rng-dropout",
    "O G T",
    "`manual_seed(0)`, the mask of `F.dropout(x, 0.3)`",
    "a seeded Keras Dropout",
    "`keras_blitz.random.dropout_mask`",
)
class _:
    def pytorch():
        return _seeded(lambda: F.dropout(torch.ones(2, 3, 5, 5), 0.3))

    def naive():
        return keras.layers.Dropout(0.3, seed=0, dtype="float32")(np.ones((2, 3, 5, 5), np.float32), training=True)

    def exact():
        return random.Generator().manual_seed(0).dropout_mask((2, 3, 5, 5), 0.3)


@array_gap(
    "rng-randint",
    "O T",
    "`manual_seed(0)`, `randint(0, 37, (20,))`",
    "NumPy's `RandomState(0).randint`",
    "`keras_blitz.random.randint`",
)
class _:
    def pytorch():
        return _seeded(lambda: torch.randint(0, 37, (20,)))

    def naive():
        return np.random.RandomState(0).randint(0, 37, 20)

    def exact():
        return random.Generator().manual_seed(0).randint(0, 37, (20,))


@array_gap(
    "rng-randperm",
    "T (batch order)",
    "`manual_seed(0)`, `randperm(20)`",
    "NumPy's `RandomState(0).permutation`",
    "`keras_blitz.random.randperm`",
)
class _:
    def pytorch():
        return _seeded(lambda: torch.randperm(20))

    def naive():
        return np.random.RandomState(0).permutation(20)

    def exact():
        return random.Generator().manual_seed(0).randperm(20)


@array_gap(
    "init-kaiming-normal",
    "T (distribution)",
    "`kaiming_normal_`: a normal without bounds; here whether values are beyond 2.5 σ",
    "`HeNormal`: truncated at 2 σ/0.88",
    "`VarianceScaling(2, 'fan_in', 'untruncated_normal')`",
)
class _:
    def pytorch():
        w = torch.empty(300, 300)
        _seeded(lambda: nn.init.kaiming_normal_(w))
        return _beyond(w, math.sqrt(2 / 300))

    def naive():
        return _beyond(_drawn(keras.initializers.HeNormal(seed=0), 300, 300), math.sqrt(2 / 300))

    def exact():
        initializer = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=0)
        return _beyond(_drawn(initializer, 300, 300), math.sqrt(2 / 300))


def _beyond(values, std):
    return {"beyond 2.5 σ": bool(np.abs(np.asarray(values)).max() > 2.5 * std)}


@array_gap(
    "init-trunc-normal",
    "T",
    "`trunc_normal_(std=0.5)` cuts at ±2, not at 2 σ; here whether values are beyond ±1",
    "`TruncatedNormal(stddev=0.5)` cuts at 2 σ",
    "a normal drawn again where it is beyond ±2",
)
class _:
    def pytorch():
        w = torch.empty(300, 300)
        _seeded(lambda: nn.init.trunc_normal_(w, std=0.5))
        return _beyond(w, 0.5)

    def naive():
        return _beyond(_drawn(keras.initializers.TruncatedNormal(stddev=0.5, seed=0), 300, 300), 0.5)

    def exact():
        drawn = _drawn(keras.initializers.RandomNormal(stddev=0.5, seed=0), 300, 300)
        return _beyond(drawn[np.abs(drawn) <= 2], 0.5)


@array_gap(
    "init-xavier-gain",
    "T",
    "`xavier_uniform_(gain=5/3)`: the bound has the gain",
    "`GlorotUniform()` has none",
    "`VarianceScaling(gain², 'fan_avg', 'uniform')`",
)
class _:
    def pytorch():
        w = torch.empty(300, 200)
        _seeded(lambda: nn.init.xavier_uniform_(w, gain=5 / 3))
        return {"bound": _largest(w)}

    def naive():
        return {"bound": _largest(_drawn(keras.initializers.GlorotUniform(seed=0), 200, 300))}

    def exact():
        scaled = keras.initializers.VarianceScaling((5 / 3) ** 2, "fan_avg", "uniform", seed=0)
        return {"bound": _largest(_drawn(scaled, 200, 300))}


@array_gap(
    "init-rnn",
    "T",
    "an LSTM's bias: the sum of two U(±1/√H); here whether it holds a 1",
    "`LSTM`: 0, and 1 for the forget gate",
    "`bias_initializer`, unit_forget_bias=False",
)
class _:
    def pytorch():
        layer = _seeded(lambda: nn.LSTM(3, 64))
        return {"1": bool(((layer.bias_ih_l0 + layer.bias_hh_l0) == 1).any())}

    def naive():
        return {"1": _forget_bias()}

    def exact():
        return {"1": _forget_bias(unit_forget_bias=False)}


def _forget_bias(**options):
    layer = keras.layers.LSTM(64, **options)
    layer.build((None, 5, 3))
    return bool(np.any(layer.cell.bias.numpy() == 1))


@array_gap(
    "init-convtranspose-fan",
    "T",
    "`ConvTranspose2d(3, 10, 5)` counts the outputs as fan-in: bound 1/√250",
    "1/√(3·25), by the inputs",
    "`VarianceScaling(1/3, 'fan_in')` of Keras's kernel (h, w, out, in) counts the outputs too",
)
class _:
    def pytorch():
        return {"bound": _largest(_seeded(lambda: nn.ConvTranspose2d(3, 10, 5).weight.detach()), 3)}

    def naive():
        return {"bound": _largest(_drawn(blitz.initializers.fan_in_uniform(75), 5, 5, 10, 3), 3)}

    def exact():
        scaled = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=0)
        return {"bound": _largest(_drawn(scaled, 5, 5, 10, 3), 3)}


@array_gap(
    "autocast-input-f32",
    "O",
    "a float64 input to a float32 layer is refused",
    "`Dense(dtype='float32')` casts it, silently",
    "assert the type of the input",
    x=(3, 4),
)
class _:
    def pytorch(x):
        try:
            nn.Linear(4, 2)(torch.tensor(x))
        except RuntimeError:
            return {"refused": True}
        return {"refused": False}

    def naive(x):
        return {"refused": keras.layers.Dense(2, dtype="float32")(x).dtype != "float32"}

    def exact(x):
        try:
            tf.debugging.assert_type(tf.constant(x), tf.float32)
        except TypeError:
            return {"refused": True}
        return {"refused": False}


@gap(
    "upsample-nearest",
    "O G",
    "`interpolate(size=(8, 3))`, nearest: ⌊i·n/o⌋",
    "`tf.image.resize(method='nearest')` in 5 → (8, 3)",
    "gather the rows and columns ⌊i·n/o⌋",
    x=(1, 2, 5, 5),
)
class _:
    def pytorch(x):
        return F.interpolate(x, size=(8, 3))

    def naive(x):
        return channels_first(tf.image.resize(channels_last(x), (8, 3), "nearest"))

    def exact(x):
        rows, columns = (np.arange(o) * 5 // o for o in (8, 3))
        return tf.gather(tf.gather(x, rows, axis=2), columns, axis=3)


def _linear(n, o, align_corners=False, step=None):
    """Return the matrix (o, n) of PyTorch's linear interpolation."""
    matrix = np.zeros((o, n))
    for i in range(o):
        place = i * (n - 1) / (o - 1) if align_corners else max((i + 0.5) * (step or n / o) - 0.5, 0)
        left = min(int(place), n - 1)
        matrix[i, left] += 1 - (place - left)
        matrix[i, min(left + 1, n - 1)] += place - left
    return matrix


def _resized(x, rows, columns):
    return tf.einsum("oh,bchw,pw->bcop", tf.constant(rows, x.dtype), x, tf.constant(columns, x.dtype))


@gap(
    "upsample-bilinear",
    "O G T",
    "`interpolate(mode='bilinear')` in float64",
    "`tf.image.resize`: float32, whatever it is given",
    "two matrices of weights and einsum",
    x=(1, 2, 5, 6),
)
class _:
    def pytorch(x):
        return F.interpolate(x, size=(9, 7), mode="bilinear")

    def naive(x):
        return channels_first(tf.cast(tf.image.resize(channels_last(x), (9, 7)), x.dtype))

    def exact(x):
        return _resized(x, _linear(5, 9), _linear(6, 7))


@gap(
    "upsample-align-corners",
    "O G",
    "`align_corners=True`",
    "`tf.image.resize` has no such option",
    "two matrices and einsum",
    x=(1, 2, 5, 6),
)
class _:
    def pytorch(x):
        return F.interpolate(x, size=(9, 7), mode="bilinear", align_corners=True)

    def naive(x):
        return channels_first(tf.cast(tf.image.resize(channels_last(x), (9, 7)), x.dtype))

    def exact(x):
        return _resized(x, _linear(5, 9, align_corners=True), _linear(6, 7, align_corners=True))


@gap(
    "upsample-scale-factor",
    "O G",
    "`scale_factor=1.7` steps by 1/1.7, not by n/o",
    "resize to ⌊1.7·n⌋",
    "the matrices with a step of 1/1.7",
    x=(1, 2, 5, 6),
)
class _:
    def pytorch(x):
        return F.interpolate(x, scale_factor=1.7, mode="bilinear")

    def naive(x):
        return _resized(x, _linear(5, 8), _linear(6, 10))

    def exact(x):
        return _resized(x, _linear(5, 8, step=1 / 1.7), _linear(6, 10, step=1 / 1.7))


@gap(
    "upsample-bicubic",
    "O",
    "bicubic, a = −0.75",
    "`tf.image.resize('bicubic')`: a = −0.5, float32",
    "the matrices of the cubic kernel, indices clamped",
    x=(1, 2, 5, 6),
)
class _:
    def pytorch(x):
        return F.interpolate(x, size=(9, 7), mode="bicubic")

    def naive(x):
        return channels_first(tf.cast(tf.image.resize(channels_last(x), (9, 7), "bicubic"), x.dtype))

    def exact(x):
        return _resized(x, _cubic(5, 9), _cubic(6, 7))


def _cubic(n, o, a=-0.75):
    def weight(t):
        if t <= 1:
            return ((a + 2) * t - (a + 3)) * t * t + 1
        return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0

    matrix = np.zeros((o, n))
    for i in range(o):
        place = (i + 0.5) * n / o - 0.5
        for j in range(math.floor(place) - 1, math.floor(place) + 3):
            matrix[i, min(max(j, 0), n - 1)] += weight(abs(place - j))
    return matrix


@gap(
    "upsample-area",
    "O",
    "`mode='area'` is an adaptive average",
    "`tf.image.resize('area')` weighs parts of pixels, in float32",
    "`keras_blitz.layers.AdaptiveAvgPool2d`",
    x=(1, 2, 7, 7),
)
class _:
    def pytorch(x):
        return F.interpolate(x, size=(3, 3), mode="area")

    def naive(x):
        return channels_first(tf.cast(tf.image.resize(channels_last(x), (3, 3), "area"), x.dtype))

    def exact(x):
        return on_images(layers.AdaptiveAvgPool2d(3), x)


@gap(
    "grid-sample",
    "O G",
    "`affine_grid` and `grid_sample`, align_corners=False",
    "the older convention, align_corners=True",
    "`keras_blitz.layers.affine_grid` and `grid_sample`",
    x=(2, 3, 6, 7),
    theta=lambda s: np.array([[[0.8, 0.3, 0.1], [-0.2, 1.1, -0.3]]] * 2) + 0.01 * s.standard_normal((2, 2, 3)),
)
class _:
    def pytorch(x, theta):
        grid = F.affine_grid(theta, (2, 3, 5, 4), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    def naive(x, theta):
        grid = layers.affine_grid(theta, (2, 5, 4, 3), align_corners=True)
        return channels_first(layers.grid_sample(channels_last(x), grid, align_corners=True))

    def exact(x, theta):
        grid = layers.affine_grid(theta, (2, 5, 4, 3))
        return channels_first(layers.grid_sample(channels_last(x), grid))


@gap(
    "weight-norm",
    "O G",
    "`weight_norm`: g·v/‖v‖, a norm for each output",
    "one norm for the whole",
    "the norm over all axes but the output's",
    v=(4, 3),
    g=(4, 1),
)
class _:
    def pytorch(v, g):
        return torch._weight_norm(v, g, 0)

    def naive(v, g):
        return g * v / tf.norm(v)

    def exact(v, g):
        return v * (g / tf.sqrt(tf.reduce_sum(v * v, 1, keepdims=True)))


@gap(
    "l2-regularizer-factor",
    "G T",
    "`weight_decay=0.1` adds 0.1·w to the gradient",
    "`L2(0.1)`: the gradient is 2·0.1·w",
    "0.05·Σw² in the loss, for every parameter",
    w=(3,),
)
class _:
    def pytorch(w):
        return 0.05 * (w * w).sum()

    def naive(w):
        return keras.regularizers.L2(0.1)(w)

    def exact(w):
        return 0.05 * tf.reduce_sum(w * w)


@gap(
    "l2-regularizer-f64",
    "G T",
    "0.05·Σw² in float64",
    "`L2(0.05)` passes its factor through float32",
    "0.05·Σw² in the loss",
    w=(3,),
)
class _:
    def pytorch(w):
        return 0.05 * (w * w).sum()

    def naive(w):
        return keras.regularizers.L2(0.05)(w)

    def exact(w):
        return 0.05 * tf.reduce_sum(w * w)


@gap("l1-regularizer", "G", "0.1·Σ|w|", "`L1(0.1)` passes its factor through float32", "0.1·Σ|w| in the loss", w=(3,))
class _:
    def pytorch(w):
        return 0.1 * w.abs().sum()

    def naive(w):
        return keras.regularizers.L1(0.1)(w)

    def exact(w):
        return 0.1 * tf.reduce_sum(tf.abs(w))


@output_gap(
    "rescaling-f64",
    "O",
    "x/255",
    "`Rescaling(1/255)` multiplies by a float32 factor",
    "x/255",
    x=lambda s: np.arange(256.0),
)
class _:
    def pytorch(x):
        return x / 255

    def naive(x):
        return keras.layers.Rescaling(1 / 255)(x)

    def exact(x):
        return x / 255


@output_gap(
    "normalization-layer",
    "O",
    "`Normalize(mean, std)`",
    "`Normalization(mean, variance)` given the standard deviation",
    "(x − mean)/std",
    x=(5, 3),
)
class _:
    def pytorch(x):
        return (x - torch.tensor([0.485, 0.456, 0.406], dtype=x.dtype)) / torch.tensor(
            [0.229, 0.224, 0.225], dtype=x.dtype
        )

    def naive(x):
        return keras.layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.229, 0.224, 0.225])(x)

    def exact(x):
        return (x - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
