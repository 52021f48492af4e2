"""Normalization, activations, dropout, embedding, recurrent layers, attention."""

import numpy as np

from keras_blitz.random import Generator
from parity.gaps.gap import array_gap, gap, output_gap
from parity.gaps.helpers import channels_first, channels_last, numbers, on_images, with_weights
from parity.gaps.lazy import F, keras, layers, nn, tf, torch


def _batches(*shape):
    """Return five batches, as one array."""
    return lambda stream: stream.standard_normal((5, *shape))


def _keras_norm(**options):
    return keras.layers.BatchNormalization(**{"momentum": 0.9, "epsilon": 1e-5, **options})


def _trained(layer, batches):
    """Train a Keras batch norm on batches (N, C, H, W); return what it has become."""
    for x in batches:
        layer(channels_last(tf.constant(x)), training=True)
    return {"running_mean": layer.moving_mean.numpy(), "running_var": layer.moving_variance.numpy(),
            "eval": channels_first(layer(channels_last(tf.constant(batches[0])), training=False))}  # fmt: skip


def _torch_trained(layer, batches):
    layer.double().train()
    for x in batches:
        layer(torch.tensor(x))
    layer.eval()
    return {"running_mean": layer.running_mean, "running_var": layer.running_var,
            "eval": layer(torch.tensor(batches[0]))}  # fmt: skip


@gap(
    "bn-eps-default",
    "O G T",
    "eps = 1e-5",
    "`BatchNormalization()`: epsilon = 1e-3",
    "`keras_blitz.layers.BatchNorm`",
    x=(4, 3, 5, 5),
)
class _:
    def pytorch(x):
        return F.batch_norm(x, None, None, training=True)

    def naive(x):
        return on_images(keras.layers.BatchNormalization(), x, training=True)

    def exact(x):
        return on_images(layers.BatchNorm(), x, training=True)


@array_gap(
    "bn-momentum",
    "T (eval O)",
    "momentum = 0.1 is the weight of the new batch",
    "`BatchNormalization(momentum=0.1)`: there it is the weight of the old value",
    "`keras_blitz.layers.BatchNorm`; Keras's momentum is 1 − PyTorch's",
    batches=_batches(4, 3, 5, 5),
)
class _:
    def pytorch(batches):
        return {"mean": _torch_trained(nn.BatchNorm2d(3), batches)["running_mean"]}

    def naive(batches):
        return {"mean": _trained(_keras_norm(momentum=0.1), batches)["running_mean"]}

    def exact(batches):
        return {"mean": _trained(layers.BatchNorm(momentum=0.1), batches)["running_mean"]}


@array_gap(
    "bn-unbiased-running-var",
    "T (eval O)",
    "running_var takes in the unbiased variance, n/(n − 1); the output uses the biased one",
    "`BatchNormalization` takes in the biased one, and has no option",
    "`keras_blitz.layers.BatchNorm`",
    batches=_batches(2, 3, 2, 2),
)
class _:
    def pytorch(batches):
        return _torch_trained(nn.BatchNorm2d(3), batches)

    def naive(batches):
        return _trained(_keras_norm(), batches)

    def exact(batches):
        return _trained(layers.BatchNorm(), batches)


@gap(
    "bn-train-grad",
    "O G",
    "train mode where |mean| ≫ std, 100 and 1",
    "`tf.nn.batch_normalization` takes x·s + (β − mean·s), which cancels",
    "`keras_blitz.layers.BatchNorm`: (x − mean)·s + β",
    x=lambda s: s.standard_normal((4, 3, 5, 5)) + 1e4,
    gamma=(3,),
    beta=(3,),
)
class _:
    def pytorch(x, gamma, beta):
        return F.batch_norm(x, None, None, gamma, beta, training=True)

    def naive(x, gamma, beta):
        images = channels_last(x)
        mean, variance = tf.nn.moments(images, [0, 1, 2])
        return channels_first(tf.nn.batch_normalization(images, mean, variance, beta, gamma, 1e-5))

    def exact(x, gamma, beta):
        return on_images(layers.BatchNorm(), x, gamma, beta, training=True)


@output_gap(
    "bn-f32-cancel",
    "O (f32)",
    "float32, mean 100 and std 1",
    "`tf.nn.batch_normalization`: the digits of the mean are lost",
    "statistics and x − mean in float64, as PyTorch accumulates in double",
    x=lambda s: (s.standard_normal((4, 3, 5, 5)) + 100).astype(np.float32),
)
class _:
    def pytorch(x):
        return F.batch_norm(x, None, None, training=True)

    def naive(x):
        images = channels_last(x)
        mean, variance = tf.nn.moments(images, [0, 1, 2])
        return channels_first(tf.nn.batch_normalization(images, mean, variance, None, None, 1e-5))

    def exact(x):
        return tf.cast(on_images(layers.BatchNorm(dtype="float64"), tf.cast(x, tf.float64), training=True), x.dtype)


def _frozen_torch(batches):
    layer = nn.BatchNorm2d(3)
    layer.requires_grad_(False)
    return _torch_trained(layer, batches)


@array_gap(
    "bn-frozen",
    "O G T",
    "`requires_grad=False` in train mode: batch statistics, and the running ones still move",
    "`layer.trainable = False` switches to the running statistics even with training=True",
    "`keras_blitz.layers.BatchNorm`: `training=` alone decides; freeze by leaving γ, β out of the update",
    batches=_batches(4, 3, 5, 5),
)
class _:
    def pytorch(batches):
        return _frozen_torch(batches)

    def naive(batches):
        return _trained(_keras_norm(trainable=False), batches)

    def exact(batches):
        return _trained(layers.BatchNorm(trainable=False), batches)


@array_gap(
    "bn-momentum-none",
    "T",
    "`momentum=None`: the mean over all batches",
    "Keras has no such option; its default averages exponentially",
    "`keras_blitz.layers.BatchNorm(momentum=None)`",
    batches=_batches(2, 3, 3, 3),
)
class _:
    def pytorch(batches):
        return _torch_trained(nn.BatchNorm2d(3, momentum=None), batches)

    def naive(batches):
        return _trained(_keras_norm(), batches)

    def exact(batches):
        return _trained(layers.BatchNorm(momentum=None), batches)


@gap(
    "bn-track-false",
    "O",
    "`track_running_stats=False`: the batch's statistics even in eval mode",
    "`BatchNormalization` has moving statistics at inference",
    "`keras_blitz.layers.BatchNorm(track_running_stats=False)`",
    x=(4, 3, 5, 5),
)
class _:
    def pytorch(x):
        return nn.BatchNorm2d(3, track_running_stats=False).double().eval()(x)

    def naive(x):
        return on_images(_keras_norm(), x, training=False)

    def exact(x):
        return on_images(layers.BatchNorm(track_running_stats=False), x, training=False)


@gap(
    "bn1d-ncl",
    "O G",
    "`BatchNorm1d` of (N, C, L): the channel is axis 1",
    "`BatchNormalization()` normalizes the last axis",
    "channels last, (N, L, C)",
    x=(4, 5, 5),
)
class _:
    def pytorch(x):
        return F.batch_norm(x, None, None, training=True)

    def naive(x):
        return _keras_norm()(x, training=True)

    def exact(x):
        return tf.transpose(layers.BatchNorm()(tf.transpose(x, [0, 2, 1]), training=True), [0, 2, 1])


@array_gap(
    "default-train-mode",
    "O",
    "a new module is in train mode: `model(x)` drops values",
    "Keras's `model(x)` is in inference mode",
    "pass `training=` always",
    x=lambda s: np.ones((1, 1000)),
)
class _:
    def pytorch(x):
        return {"drops": bool((nn.Dropout(0.5)(torch.tensor(x)) == 0).any())}

    def naive(x):
        return {"drops": bool(np.any(keras.layers.Dropout(0.5)(x) == 0))}

    def exact(x):
        return {"drops": bool(np.any(layers.Dropout(0.5)(x, training=True) == 0))}


@array_gap(
    "f-dropout-functional",
    "O",
    "`F.dropout(x)` drops also in eval mode, unless told `training=self.training`",
    "a `Dropout` layer follows the model's mode",
    "`layer(x, training=True)` where the source has a bare F.dropout",
    x=lambda s: np.ones((1, 1000)),
)
class _:
    def pytorch(x):
        return {"drops": bool((F.dropout(torch.tensor(x)) == 0).any())}

    def naive(x):
        return {"drops": bool(np.any(keras.layers.Dropout(0.5)(x, training=False) == 0))}

    def exact(x):
        return {"drops": bool(np.any(layers.Dropout(0.5)(x, training=True) == 0))}


def _torch_dropout(x, function, p):
    torch.manual_seed(0)
    return function(torch.tensor(x), p)


@array_gap(
    "dropout-rng",
    "O G T",
    "`manual_seed(0)`, `F.dropout(x, 0.3)`",
    "`Dropout(0.3, seed=0)`: no seed of Keras draws PyTorch's mask",
    "`keras_blitz.layers.Dropout` with `keras_blitz.random`'s mask",
    x=(5, 40),
)
class _:
    def pytorch(x):
        return _torch_dropout(x, F.dropout, 0.3)

    def naive(x):
        return keras.layers.Dropout(0.3, seed=0)(tf.constant(x), training=True)

    def exact(x):
        layer = layers.Dropout(0.3)
        layer.mask = lambda shape: Generator().manual_seed(0).dropout_mask(shape, 0.3, "float64")
        return layer(tf.constant(x), training=True)


@array_gap(
    "dropout2d",
    "O",
    "`Dropout2d` drops whole channels",
    "`Dropout` drops single values",
    "`keras_blitz.layers.Dropout2d`",
    x=lambda s: np.ones((2, 8, 3, 3)),
)
class _:
    def pytorch(x):
        return {"whole channels": _whole(_torch_dropout(x, F.dropout2d, 0.5).numpy())}

    def naive(x):
        return {
            "whole channels": _whole(channels_first(keras.layers.Dropout(0.5, seed=1)(channels_last(x), training=True)))
        }

    def exact(x):
        return {
            "whole channels": _whole(channels_first(layers.Dropout2d(0.5, seed=1)(channels_last(x), training=True)))
        }


def _whole(images):
    planes = np.asarray(images).reshape(16, 9)
    return bool((planes == planes[:, :1]).all())


def _kept(values):
    values = np.asarray(values)
    return values[values != 0][:1]


@array_gap(
    "dropout-scale-f32",
    "O (f32)",
    "a kept value is x·(1/(1 − p)) in float32",
    "`Dropout`: the same",
    "the same",
    x=lambda s: np.full(200, 1.3, np.float32),
)
class _:
    def pytorch(x):
        return _kept(F.dropout(torch.tensor(x), 0.3))

    def naive(x):
        return _kept(keras.layers.Dropout(0.3, dtype="float32")(x, training=True))

    def exact(x):
        return _kept(layers.Dropout(0.3, dtype="float32")(x, training=True))


@array_gap(
    "dropout-scale-f64",
    "O",
    "a kept value is x/(1 − p) in float64",
    "`Dropout`: the same",
    "the same",
    x=lambda s: np.ones(200),
)
class _:
    def pytorch(x):
        return _kept(F.dropout(torch.tensor(x), 0.3))

    def naive(x):
        return _kept(keras.layers.Dropout(0.3)(x, training=True))

    def exact(x):
        return _kept(layers.Dropout(0.3)(x, training=True))


@output_gap("dropout-p1", "O", "`Dropout(1.0)` returns zeros", "`Dropout(1.0)`: the same", "the same", x=(4,))
class _:
    def pytorch(x):
        return F.dropout(x, 1.0)

    def naive(x):
        return keras.layers.Dropout(1.0)(x, training=True)

    def exact(x):
        return layers.Dropout(1.0)(x, training=True)


@gap("relu-grad-0", "G", "relu'(0) = 0", "`tf.maximum(x, 0)`: 1", "`tf.nn.relu`", x=numbers(-1, 0, -0.0, 1))
class _:
    def pytorch(x):
        return F.relu(x)

    def naive(x):
        return tf.maximum(x, 0.0)

    def exact(x):
        return tf.nn.relu(x)


@gap(
    "relu-nan",
    "G at NaN",
    "relu(NaN) = NaN, and the gradient passes",
    "`tf.nn.relu`: NaN, and the gradient is 0",
    "`tf.where(x <= 0, 0, x)`",
    x=numbers(-1, np.nan, 1),
)
class _:
    def pytorch(x):
        return F.relu(x)

    def naive(x):
        return tf.nn.relu(x)

    def exact(x):
        return tf.where(x <= 0, tf.zeros_like(x), x)


@gap(
    "relu6-edges",
    "G",
    "relu6' = 0 at 0 and 6",
    "`tf.clip_by_value(x, 0, 6)`: 1 at both",
    "`tf.nn.relu6`",
    x=numbers(-1, 0, 3, 6, 7),
)
class _:
    def pytorch(x):
        return F.relu6(x)

    def naive(x):
        return tf.clip_by_value(x, 0.0, 6.0)

    def exact(x):
        return tf.nn.relu6(x)


@gap(
    "hardtanh-edges",
    "G",
    "hardtanh' = 0 at −1 and 1",
    "`keras.ops.hard_tanh`: 1 at both",
    "`tf.where((x > −1) & (x < 1), x, stop_gradient(clip(x)))`",
    x=numbers(-2, -1, 0, 1, 2),
)
class _:
    def pytorch(x):
        return F.hardtanh(x)

    def naive(x):
        return keras.ops.hard_tanh(x)

    def exact(x):
        return tf.where((x > -1) & (x < 1), x, tf.stop_gradient(tf.clip_by_value(x, -1.0, 1.0)))


@gap(
    "leaky-relu-slope",
    "O G T",
    "`LeakyReLU(0.01)`",
    "`LeakyReLU(negative_slope=0.01)`: the op's slope is a float32 attribute, also in float64",
    "`tf.where(x > 0, x, 0.01·x)`",
    x=(9,),
)
class _:
    def pytorch(x):
        return F.leaky_relu(x)

    def naive(x):
        return keras.layers.LeakyReLU(negative_slope=0.01)(x)

    def exact(x):
        return tf.where(x > 0, x, 0.01 * x)


@gap(
    "leaky-relu-0",
    "G",
    "leaky_relu'(0) is the slope",
    "`tf.maximum(x, 0.01·x)`: 1",
    "`tf.where(x > 0, x, 0.01·x)`",
    x=numbers(-1, 0, 1),
)
class _:
    def pytorch(x):
        return F.leaky_relu(x)

    def naive(x):
        return tf.maximum(x, 0.01 * x)

    def exact(x):
        return tf.where(x > 0, x, 0.01 * x)


@output_gap(
    "prelu",
    "O T",
    "`PReLU()`: one slope, 0.25 at first",
    "`PReLU()`: a slope for every value, 0 at first",
    "`PReLU(shared_axes=[1, 2, 3], alpha_initializer=Constant(0.25))`",
    x=(2, 3, 4, 4),
)
class _:
    def pytorch(x):
        return nn.PReLU().double()(x)

    def naive(x):
        return on_images(keras.layers.PReLU(), x)

    def exact(x):
        return on_images(
            keras.layers.PReLU(shared_axes=[1, 2, 3], alpha_initializer=keras.initializers.Constant(0.25)), x
        )


@gap(
    "gelu",
    "O G T",
    "`F.gelu`: the erf form",
    "`keras.activations.gelu`: its constants pass through float32",
    "0.5·x·(1 + erf(x·√½)), written out",
    x=(50,),
)
class _:
    def pytorch(x):
        return F.gelu(x)

    def naive(x):
        return keras.activations.gelu(x, approximate=False)

    def exact(x):
        return 0.5 * x * (1 + tf.math.erf(x * np.sqrt(0.5)))


@gap(
    "gelu-tanh",
    "O G T",
    "`F.gelu(approximate='tanh')`",
    "`keras.ops.gelu(approximate=True)`: its constants pass through float32",
    "0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), written out",
    x=(50,),
)
class _:
    def pytorch(x):
        return F.gelu(x, approximate="tanh")

    def naive(x):
        return keras.ops.gelu(x, approximate=True)

    def exact(x):
        return 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@gap(
    "softplus-threshold",
    "O G",
    "`F.softplus` is x itself above 20",
    "`tf.nn.softplus` has no threshold",
    "`tf.where(x > 20, x, softplus(x))`",
    x=lambda s: np.linspace(-5, 40, 200),
)
class _:
    def pytorch(x):
        return F.softplus(x)

    def naive(x):
        return tf.nn.softplus(x)

    def exact(x):
        return tf.where(x > 20, x, tf.nn.softplus(tf.where(x > 20, tf.zeros_like(x), x)))


@gap(
    "mish-silu-etc",
    "O G",
    "mish, silu, logsigmoid, tanhshrink, softsign, elu, celu, selu, softshrink, hardshrink",
    "`keras.ops` of the same names",
    "the same",
    x=lambda s: s.standard_normal(400) * 6,
)
class _:
    def pytorch(x):
        return (
            F.mish(x),
            F.silu(x),
            F.logsigmoid(x),
            F.tanhshrink(x),
            F.softsign(x),
            F.softshrink(x),
            F.hardshrink(x),
            F.elu(x, 1.5),
            F.celu(x, 1.5),
            F.selu(x),
        )

    def naive(x):
        return (
            x * tf.tanh(tf.nn.softplus(x)),
            keras.ops.silu(x),
            keras.ops.log_sigmoid(x),
            keras.ops.tanh_shrink(x),
            keras.ops.softsign(x),
            keras.ops.soft_shrink(x),
            keras.ops.hard_shrink(x),
            keras.ops.elu(x, 1.5),
            keras.ops.celu(x, 1.5),
            keras.ops.selu(x),
        )

    def exact(x):
        return (
            x * tf.tanh(tf.nn.softplus(x)),
            keras.ops.silu(x),
            keras.ops.log_sigmoid(x),
            keras.ops.tanh_shrink(x),
            keras.ops.softsign(x),
            keras.ops.soft_shrink(x),
            keras.ops.hard_shrink(x),
            keras.ops.elu(x, 1.5),
            keras.ops.celu(x, 1.5),
            keras.ops.selu(x),
        )


@gap(
    "hardsigmoid-grad-f64",
    "G T",
    "hardsigmoid' is float32's 1/6, also in float64",
    "`keras.ops.hard_sigmoid`: 1/6",
    "a custom gradient of float64(float32(1/6)) within (−3, 3)",
    x=numbers(-4, -3, -1, 0, 2, 3, 5),
)
class _:
    def pytorch(x):
        return F.hardsigmoid(x)

    def naive(x):
        return keras.ops.hard_sigmoid(x)

    def exact(x):
        @tf.custom_gradient
        def hardsigmoid(x):
            sixth = float(np.float32(1) / np.float32(6))
            return tf.nn.relu6(x + 3.0) / 6.0, lambda dy: tf.where((x > -3) & (x < 3), dy * sixth, tf.zeros_like(dy))

        return hardsigmoid(x)


@gap(
    "hardswish-edges",
    "G",
    "hardswish' is 0 at −3 and 1 at 3",
    "`keras.ops.hard_silu`",
    "a custom gradient: 0 for x ≤ −3, x/3 + ½ below 3, then 1",
    x=numbers(-4, -3, -1, 0, 2, 3, 5),
)
class _:
    def pytorch(x):
        return F.hardswish(x)

    def naive(x):
        return keras.ops.hard_silu(x)

    def exact(x):
        @tf.custom_gradient
        def hardswish(x):
            slope = tf.where(x <= -3, tf.zeros_like(x), tf.where(x < 3, x / 3 + 0.5, tf.ones_like(x)))
            return x * tf.nn.relu6(x + 3.0) / 6.0, lambda dy: dy * slope

        return hardswish(x)


@gap(
    "shrink-edges",
    "G",
    "softshrink, hardshrink and threshold where |x| = ½",
    "`keras.ops` of the same names",
    "the same",
    x=numbers(-0.6, -0.5, -0.1, 0, 0.5, 0.7),
)
class _:
    def pytorch(x):
        return F.softshrink(x), F.hardshrink(x), F.threshold(x, 0.5, 20.0)

    def naive(x):
        return keras.ops.soft_shrink(x), keras.ops.hard_shrink(x), keras.ops.threshold(x, 0.5, 20.0)

    def exact(x):
        return keras.ops.soft_shrink(x), keras.ops.hard_shrink(x), keras.ops.threshold(x, 0.5, 20.0)


@gap(
    "celu-selu-grad-0",
    "G (exact zeros)",
    "celu'(0) = 1, selu'(0) = scale·α",
    "`keras.ops.celu`: 2 at 0; `tf.nn.selu`: scale",
    "`tf.where(x > 0, x, α·expm1(min(x, 0)))`",
    x=numbers(0, -0.0, 1, -1),
)
class _:
    def pytorch(x):
        return F.celu(x), F.selu(x)

    def naive(x):
        return keras.ops.celu(x), keras.ops.selu(x)

    def exact(x):
        below = tf.math.expm1(tf.where(x > 0, tf.zeros_like(x), x))
        alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
        return tf.where(x > 0, x, below), scale * tf.where(x > 0, x, alpha * below)


@output_gap(
    "elu-small-x",
    "O (relative)",
    "elu uses expm1",
    "`tf.nn.elu` uses exp(x) − 1, which cancels near 0",
    "`tf.where(x > 0, x, expm1(min(x, 0)))`",
    x=lambda s: -np.logspace(-8, -4, 50),
)
class _:
    def pytorch(x):
        return F.elu(x) / x

    def naive(x):
        return tf.nn.elu(x) / x

    def exact(x):
        return tf.where(x > 0, x, tf.math.expm1(tf.minimum(x, 0.0))) / x


@gap(
    "rrelu",
    "O",
    "`RReLU` in eval mode has the slope (1/8 + 1/3)/2",
    "Keras has none; `LeakyReLU()` has 0.3",
    "`tf.where(x > 0, x, (1/8 + 1/3)/2·x)`",
    x=(20,),
)
class _:
    def pytorch(x):
        return F.rrelu(x, training=False)

    def naive(x):
        return keras.layers.LeakyReLU()(x)

    def exact(x):
        return tf.where(x > 0, x, (1 / 8 + 1 / 3) / 2 * x)


@gap(
    "softmax-implicit-dim",
    "O G",
    "`F.softmax(x)` of three axes takes axis 0 (of two and four, 1)",
    "Keras takes the last",
    "name the axis",
    x=(4, 5, 6),
)
class _:
    def pytorch(x):
        return F.softmax(x)

    def naive(x):
        return tf.nn.softmax(x)

    def exact(x):
        return tf.nn.softmax(x, axis=0)


@gap(
    "log-softmax-stable",
    "O G",
    "`F.log_softmax` of logits 800 apart",
    "`log(softmax(x))`: −∞ and a NaN gradient",
    "`tf.nn.log_softmax`",
    x=lambda s: np.array([[0.0, 800.0, 1.0]]),
)
class _:
    def pytorch(x):
        return F.log_softmax(x, 1)

    def naive(x):
        return tf.math.log(tf.nn.softmax(x))

    def exact(x):
        return tf.nn.log_softmax(x)


@output_gap(
    "softmax-all-neginf",
    "O",
    "softmax of a row of −∞ (all masked): NaN",
    "`tf.nn.softmax`: the same",
    "the same",
    x=lambda s: np.array([[-np.inf, -np.inf], [0.0, 1.0]]),
)
class _:
    def pytorch(x):
        return F.softmax(x, -1)

    def naive(x):
        return tf.nn.softmax(x)

    def exact(x):
        return tf.nn.softmax(x)


@array_gap(
    "embedding-init",
    "T",
    "`Embedding`: N(0, 1), here its standard deviation to two digits",
    "`Embedding`: U(−0.05, 0.05)",
    "`embeddings_initializer=RandomNormal(0, 1)`",
)
class _:
    def pytorch():
        torch.manual_seed(0)
        return {"std": round(float(nn.Embedding(50000, 4).weight.std()), 2)}

    def naive():
        return {"std": _embedding_std("uniform")}

    def exact():
        return {"std": _embedding_std(keras.initializers.RandomNormal(0.0, 1.0, seed=0))}


def _embedding_std(initializer):
    layer = keras.layers.Embedding(50000, 4, embeddings_initializer=initializer)
    layer.build(None)
    return round(float(np.std(layer.embeddings.numpy())), 2)


@gap(
    "embedding-padding-idx",
    "G T",
    "`padding_idx`: no gradient, but the row's value is used",
    "`Embedding(mask_zero=True)`: the row still learns",
    "`w·m + stop_gradient(w·(1 − m))`, then gather",
    i=lambda s: np.array([[0, 1, 2, 0, 2]]),
    w=(4, 3),
)
class _:
    def pytorch(i, w):
        return F.embedding(i, w, padding_idx=0)

    def naive(i, w):
        return with_weights(keras.layers.Embedding(4, 3, mask_zero=True), i, w)

    def exact(i, w):
        learns = tf.constant([[0.0], [1.0], [1.0], [1.0]], w.dtype)
        return tf.gather(w * learns + tf.stop_gradient(w * (1 - learns)), i)


def _there_and_back(table, i, w):
    """Look up, and multiply by the transposed table, with a tensor in the place of the layer's weights."""
    table.build(i.shape)
    with keras.StatelessScope([(table.embeddings, w)]):
        return table(table(i), reverse=True)


@gap(
    "embedding-tied",
    "G T",
    "logits h·wᵀ of an Embedding(padding_idx=0): its row learns from the logits, and not from where it is looked up",
    "`ReversibleEmbedding(mask_zero=True)`: it learns from both",
    "`keras_blitz.layers.Embedding(padding_idx=0)`, called with `reverse=True`",
    i=lambda s: np.array([[0, 1, 2, 0, 2]]),
    w=(4, 3),
)
class _:
    def pytorch(i, w):
        return F.linear(F.embedding(i, w, padding_idx=0), w)

    def naive(i, w):
        return _there_and_back(keras.layers.ReversibleEmbedding(4, 3, mask_zero=True), i, w)

    def exact(i, w):
        return _there_and_back(layers.Embedding(4, 3, padding_idx=0), i, w)


@array_gap(
    "embedding-max-norm",
    "O T",
    "`max_norm=1`: the rows looked up are scaled in place, w·(1/(‖w‖ + 1e-7))",
    "`constraints.MaxNorm(1)` scales every row",
    "`scatter_update` of the rows looked up",
    i=lambda s: np.array([0, 2, 2]),
    w=lambda s: 3 * s.standard_normal((4, 3)),
)
class _:
    def pytorch(i, w):
        weight = torch.tensor(w)
        return {"y": F.embedding(torch.tensor(i), weight, max_norm=1.0), "w": weight}

    def naive(i, w):
        weight = keras.constraints.MaxNorm(1.0, axis=1)(tf.constant(w))
        return {"y": tf.gather(weight, i), "w": weight}

    def exact(i, w):
        weight, rows = tf.Variable(w), np.unique(i)
        looked_up = tf.gather(weight, rows)
        norm = tf.norm(looked_up, axis=1, keepdims=True)
        scaled = tf.where(norm > 1, looked_up * (1 / (norm + 1e-7)), looked_up)
        weight.scatter_update(tf.IndexedSlices(scaled, rows))
        return {"y": tf.gather(weight, i), "w": weight}


@array_gap(
    "embedding-dup-grad",
    "G T",
    "the gradient is dense, rows looked up twice summed",
    "TensorFlow's is `IndexedSlices`: three rows of values for a matrix of four",
    "`tf.convert_to_tensor(gradient)`",
    w=(4, 3),
)
class _:
    def pytorch(w):
        weight = torch.tensor(w, requires_grad=True)
        F.embedding(torch.tensor([1, 1, 2]), weight).sum().backward()
        return weight.grad

    def naive(w):
        return _embedding_gradient(w).values

    def exact(w):
        return tf.convert_to_tensor(_embedding_gradient(w))


def _embedding_gradient(w):
    weight = tf.Variable(w)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.gather(weight, [1, 1, 2]))
    return tape.gradient(y, weight)


@gap(
    "layernorm-eps",
    "O G",
    "`LayerNorm((5, 6))`: eps = 1e-5, over both axes",
    "`LayerNormalization()`: 1e-3, over the last",
    "`keras_blitz.layers.LayerNorm((5, 6))`, or `LayerNormalization(epsilon=1e-5, axis=[−2, −1])`",
    x=(4, 5, 6),
)
class _:
    def pytorch(x):
        return F.layer_norm(x, (5, 6))

    def naive(x):
        return keras.layers.LayerNormalization()(x)

    def exact(x):
        return layers.LayerNorm((5, 6))(x)


@gap(
    "groupnorm",
    "O G",
    "`GroupNorm(3)`: eps = 1e-5",
    "`GroupNormalization(3)`: 1e-3",
    "`keras_blitz.layers.GroupNorm(3)`; `GroupNormalization(3, epsilon=1e-5)`, but for its float32 (docs/layers.md)",
    x=(2, 6, 4, 4),
)
class _:
    def pytorch(x):
        return F.group_norm(x, 3)

    def naive(x):
        return on_images(keras.layers.GroupNormalization(3), x)

    def exact(x):
        return on_images(layers.GroupNorm(3), x)


@gap(
    "rmsnorm",
    "O",
    "`RMSNorm`: eps is the dtype's epsilon",
    "`RMSNormalization()`: 1e-6",
    "`keras_blitz.layers.RMSNorm`, or `RMSNormalization(epsilon=np.finfo(dtype).eps)`",
    x=lambda s: s.standard_normal((4, 6)) * 1e-2,
)
class _:
    def pytorch(x):
        return F.rms_norm(x, (6,))

    def naive(x):
        return keras.layers.RMSNormalization()(x)

    def exact(x):
        return layers.RMSNorm(6)(x)


@gap(
    "local-response-norm",
    "O G",
    "`LocalResponseNorm(5)`: α is divided by the size",
    "`tf.nn.local_response_normalization`: α is not; no float64 kernel",
    "`keras_blitz.layers.LocalResponseNorm`",
    x=(2, 7, 4, 4),
)
class _:
    def pytorch(x):
        return F.local_response_norm(x, 5, alpha=0.1, beta=0.75, k=2.0)

    def naive(x):
        return channels_first(tf.nn.local_response_normalization(channels_last(x), 2, 2.0, 0.1, 0.75))

    def exact(x):
        return on_images(layers.LocalResponseNorm(5, 0.1, 0.75, 2.0), x)


@output_gap(
    "normalize-eps",
    "O",
    "`F.normalize`: x/max(‖x‖, 1e-12)",
    "`tf.math.l2_normalize`: the floor is 1e-12 of ‖x‖²",
    "`x/tf.maximum(norm, 1e-12)`",
    x=lambda s: s.standard_normal((3, 4)) * 1e-8,
)
class _:
    def pytorch(x):
        return F.normalize(x, dim=1)

    def naive(x):
        return tf.math.l2_normalize(x, 1)

    def exact(x):
        return x / tf.maximum(tf.sqrt(tf.reduce_sum(x * x, 1, keepdims=True)), 1e-12)


@gap(
    "cosine-similarity",
    "O G",
    "`F.cosine_similarity`",
    "`keras.losses.cosine_similarity`: negated",
    "x·y/(max(‖x‖, 1e-8)·max(‖y‖, 1e-8))",
    x=(3, 4),
    y=(3, 4),
)
class _:
    def pytorch(x, y):
        return F.cosine_similarity(x, y)

    def naive(x, y):
        return keras.losses.cosine_similarity(x, y)

    def exact(x, y):
        nx, ny = (tf.maximum(tf.sqrt(tf.reduce_sum(z * z, 1)), 1e-8) for z in (x, y))
        return tf.reduce_sum(x * y, 1) / (nx * ny)


def _torch_recurrent(kind, x, gates, **options):
    """Return PyTorch's layer of four units after a seed, its weights as arrays, and what x gives."""
    torch.manual_seed(0)
    layer = kind(3, 4, batch_first=True, **options).double()
    return layer, [p.detach().numpy() for p in layer.parameters()], layer(torch.tensor(x))[0]


def _recurrent(kind, x, weights, **options):
    layer = kind(4, return_sequences=True, **options)
    layer.build((None, *x.shape[1:]))
    layer.set_weights(weights)
    return layer(tf.constant(x))


@array_gap(
    "lstm-map",
    "O G",
    "gates i, f, g, o; two biases, which add up",
    "`LSTM` with one of the biases",
    "`W_ih.T`, `W_hh.T`, `b_ih + b_hh`; the gates stand in the same order",
    x=(2, 5, 3),
)
class _:
    def pytorch(x):
        return _torch_recurrent(nn.LSTM, x, 4)[2]

    def naive(x):
        _, (w, u, b, _), _ = _torch_recurrent(nn.LSTM, x, 4)
        return _recurrent(keras.layers.LSTM, x, [w.T, u.T, b])

    def exact(x):
        _, (w, u, b, c), _ = _torch_recurrent(nn.LSTM, x, 4)
        return _recurrent(keras.layers.LSTM, x, [w.T, u.T, b + c])


def _update_first(w):
    """Return the rows of PyTorch's gates r, z, n as Keras's z, r, n."""
    r, z, n = np.split(w, 3)
    return np.concatenate([z, r, n])


@array_gap(
    "gru-map",
    "O G",
    "gates r, z, n; the second bias stands inside r ⊙ (…)",
    "`GRU` filled in PyTorch's order: Keras has z, r, n",
    "the rows of r and z changed; both biases stacked",
    x=(2, 5, 3),
)
class _:
    def pytorch(x):
        return _torch_recurrent(nn.GRU, x, 3)[2]

    def naive(x):
        _, (w, u, b, c), _ = _torch_recurrent(nn.GRU, x, 3)
        return _recurrent(keras.layers.GRU, x, [w.T, u.T, np.stack([b, c])])

    def exact(x):
        w, u, b, c = map(_update_first, _torch_recurrent(nn.GRU, x, 3)[1])
        return _recurrent(keras.layers.GRU, x, [w.T, u.T, np.stack([b, c])])


@array_gap(
    "rnn-map",
    "O",
    "`RNN`: tanh, two biases",
    "`SimpleRNN` with one of them",
    "`W_ih.T`, `W_hh.T`, `b_ih + b_hh`",
    x=(2, 5, 3),
)
class _:
    def pytorch(x):
        return _torch_recurrent(nn.RNN, x, 1)[2]

    def naive(x):
        _, (w, u, b, _), _ = _torch_recurrent(nn.RNN, x, 1)
        return _recurrent(keras.layers.SimpleRNN, x, [w.T, u.T, b])

    def exact(x):
        _, (w, u, b, c), _ = _torch_recurrent(nn.RNN, x, 1)
        return _recurrent(keras.layers.SimpleRNN, x, [w.T, u.T, b + c])


@array_gap(
    "rnn-gradients",
    "G",
    "an LSTM has two biases, each with the whole gradient: an update moves their sum twice",
    "Keras's one bias moves once",
    "step it with twice the learning rate, or keep both",
    x=(2, 5, 3),
)
class _:
    def pytorch(x):
        layer, (_, _, b, c), y = _torch_recurrent(nn.LSTM, x, 4)
        y.sum().backward()
        return b + c - 0.1 * (layer.bias_ih_l0.grad + layer.bias_hh_l0.grad).numpy()

    def naive(x):
        bias, gradient = _lstm_bias(x)
        return bias - 0.1 * gradient

    def exact(x):
        bias, gradient = _lstm_bias(x)
        return bias - 2 * 0.1 * gradient


def _lstm_bias(x):
    _, (w, u, b, c), _ = _torch_recurrent(nn.LSTM, x, 4)
    layer = keras.layers.LSTM(4, return_sequences=True)
    layer.build((None, *x.shape[1:]))
    layer.set_weights([w.T, u.T, b + c])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(tf.constant(x)))
    return b + c, tape.gradient(y, layer.trainable_variables)[2].numpy()


@array_gap(
    "birnn-last",
    "O",
    "`out[:, −1]` of a bidirectional LSTM: its backward half has seen the last step only",
    "`Bidirectional(LSTM)` returns the backward state after the whole sequence",
    "return_sequences=True, then `[:, −1]`",
    x=(2, 5, 3),
)
class _:
    def pytorch(x):
        return _torch_recurrent(nn.LSTM, x, 4, bidirectional=True)[2][:, -1]

    def naive(x):
        return _bidirectional(x, return_sequences=False)

    def exact(x):
        return _bidirectional(x, return_sequences=True)[:, -1]


def _bidirectional(x, return_sequences):
    w, u, b, c, rw, ru, rb, rc = _torch_recurrent(nn.LSTM, x, 4, bidirectional=True)[1]
    layer = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=return_sequences))
    layer.build((None, *x.shape[1:]))
    layer.set_weights([w.T, u.T, b + c, rw.T, ru.T, rb + rc])
    return layer(tf.constant(x))


@gap(
    "mha-map",
    "O",
    "attention scales by 1/√d, here d = 3",
    "`keras.ops.dot_product_attention` casts 1/√d through float32: exact only where d is a power of 4",
    "`keras_blitz.layers.scaled_dot_product_attention`",
    q=(2, 3, 2, 3),
    k=(2, 5, 2, 3),
    v=(2, 5, 2, 3),
)
class _:
    def pytorch(q, k, v):
        heads_first = (z.transpose(1, 2) for z in (q, k, v))
        return F.scaled_dot_product_attention(*heads_first).transpose(1, 2)

    def naive(q, k, v):
        return keras.ops.dot_product_attention(q, k, v)

    def exact(q, k, v):
        heads_first = (tf.transpose(z, [0, 2, 1, 3]) for z in (q, k, v))
        return tf.transpose(layers.scaled_dot_product_attention(*heads_first), [0, 2, 1, 3])


@gap(
    "mha-argument-order",
    "O",
    "`attention(query, key, value)`",
    "`MultiHeadAttention()(query, value, key)`: the other order",
    "name the arguments",
    q=(2, 3, 4),
    k=(2, 3, 4),
    v=(2, 3, 4),
)
class _:
    def pytorch(q, k, v):
        return F.scaled_dot_product_attention(q, k, v)

    def naive(q, k, v):
        return keras.layers.Attention(score_mode="dot")([q * 0.5, k, v])

    def exact(q, k, v):
        return keras.layers.Attention(score_mode="dot")([q * 0.5, v, k])


@gap(
    "pixelshuffle",
    "O G",
    "`PixelShuffle(2)`: channel c·r² + i·r + j",
    "`tf.nn.depth_to_space`: i·r·C + j·C + c, the same shape",
    "`keras_blitz.layers.PixelShuffle(2)`: the channels are transposed first, (C, r·r) to (r·r, C)",
    x=(1, 8, 3, 3),
)
class _:
    def pytorch(x):
        return F.pixel_shuffle(x, 2)

    def naive(x):
        return channels_first(tf.nn.depth_to_space(channels_last(x), 2))

    def exact(x):
        return on_images(layers.PixelShuffle(2), x)


@array_gap(
    "channel-shuffle-chunk",
    "O",
    "`chunk(3)` of seven: 3, 3, 1",
    "`tf.split(x, 3)` wants a multiple of 3",
    "`tf.split(x, [3, 3, 1])`",
    x=(7,),
)
class _:
    def pytorch(x):
        return dict(enumerate(torch.chunk(torch.tensor(x), 3)))

    def naive(x):
        return dict(enumerate(tf.split(x, 3)))

    def exact(x):
        return dict(enumerate(tf.split(x, [3, 3, 1])))


@gap(
    "unfold-order",
    "O G",
    "`Unfold((3, 2))`: a window's values channel by channel",
    "`tf.image.extract_patches`: pixel by pixel, the channels innermost; the same shape",
    "`keras_blitz.layers.Unfold`",
    x=(1, 4, 5, 6),
)
class _:
    def pytorch(x):
        return F.unfold(x, (3, 2)).transpose(1, 2)

    def naive(x):
        windows = tf.image.extract_patches(channels_last(x), [1, 3, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "VALID")
        return tf.reshape(windows, [1, -1, 24])

    def exact(x):
        return layers.Unfold((3, 2))(channels_last(x))


@array_gap(
    "mha-mask-polarity",
    "O",
    "`MultiheadAttention(…, attn_mask=m)`: True where a key does not take part",
    "`MultiHeadAttention(…, attention_mask=m)`: True where it does",
    "`keras_blitz.layers.MultiheadAttention`, or `~m`",
    x=(2, 3, 4),
)
class _:
    def pytorch(x):
        module, mask = _torch_attention()
        return module(*[torch.tensor(x)] * 3, attn_mask=torch.tensor(mask))[0]

    def naive(x):
        module, mask = _torch_attention()
        query, key, value = (w.detach().numpy().T.reshape(4, 1, 4) for w in module.in_proj_weight.chunk(3))
        layer = keras.layers.MultiHeadAttention(1, 4, use_bias=False)
        layer.build(x.shape, x.shape)
        layer.set_weights([query, key, value, module.out_proj.weight.detach().numpy().T.reshape(1, 4, 4)])
        return layer(tf.constant(x), tf.constant(x), attention_mask=mask[np.newaxis])

    def exact(x):
        module, mask = _torch_attention()
        layer = layers.MultiheadAttention(4, 1, bias=False)
        layer.build(x.shape)
        layer.set_weights([module.in_proj_weight.detach().numpy(), module.out_proj.weight.detach().numpy()])
        return layer(tf.constant(x), attn_mask=mask)[0]


def _torch_attention():
    """Return PyTorch's layer after a seed, and a mask with True in every row, and False."""
    torch.manual_seed(0)
    return nn.MultiheadAttention(4, 1, bias=False, batch_first=True).double(), np.eye(3, dtype=bool)


@array_gap(
    "rnn-padded-steps",
    "O",
    "`pack_padded_sequence`, then `pad_packed_sequence`: zeros after a sequence's end",
    "`GRU(return_sequences=True)` with a mask: the last output again",
    "`keras_blitz.layers.GRU`, lengths=",
    x=(2, 5, 3),
)
class _:
    def pytorch(x):
        layer, _, _ = _torch_recurrent(nn.GRU, x, 3)
        packed = nn.utils.rnn.pack_padded_sequence(torch.tensor(x), torch.tensor([5, 2]), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)[0]

    def naive(x):
        w, u, b, c = map(_update_first, _torch_recurrent(nn.GRU, x, 3)[1])
        layer = keras.layers.GRU(4, return_sequences=True)
        layer.build(x.shape)
        layer.set_weights([w.T, u.T, np.stack([b, c])])
        return layer(tf.constant(x), mask=np.arange(5) < np.array([[5], [2]]))

    def exact(x):
        layer = layers.GRU(4)
        layer.build(x.shape)
        layer.set_weights(_torch_recurrent(nn.GRU, x, 3)[1])
        return layer(tf.constant(x), lengths=np.array([5, 2]))[0]
