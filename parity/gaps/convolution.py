"""Convolution, pooling, linear layers, layout."""

import numpy as np

from parity.gaps.gap import gap, output_gap
from parity.gaps.helpers import channels_first, channels_last, hwio, on_images, padded, positive, rounded, with_weights
from parity.gaps.lazy import F, keras, layers, tf, torch


@gap(
    "conv-same-stride2",
    "O G T",
    "`Conv2d(k3, s2, p1)` pads 1 on every side",
    "`Conv2D(3, strides=2, padding='same')` pads 0 before and 1 after on even sizes: the same shape, silently",
    "`keras_blitz.layers.Conv2d`, or pad explicitly and convolve 'valid'",
    x=(2, 3, 8, 8),
    w=(4, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, stride=2, padding=1)

    def naive(x, w):
        return on_images(keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 3, stride=2, padding=1, bias=False), x, hwio(w))


@gap(
    "conv-same-stem7",
    "O G T",
    "ResNet's stem, `Conv2d(k7, s2, p3)`, pads 3 on every side",
    "`Conv2D(7, strides=2, padding='same')` pads 2 before and 3 after",
    "`keras_blitz.layers.Conv2d`",
    x=(1, 3, 16, 16),
    w=(4, 3, 7, 7),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, stride=2, padding=3)

    def naive(x, w):
        return on_images(keras.layers.Conv2D(4, 7, strides=2, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 7, stride=2, padding=3, bias=False), x, hwio(w))


@gap(
    "conv-same-odd-input",
    "(hides)",
    "the same layer on an odd size, 9×9",
    "'same' pads 1 and 1 there and coincides: a test on odd sizes hides the gap",
    "pad explicitly; test even and odd sizes",
    x=(1, 3, 9, 9),
    w=(4, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, stride=2, padding=1)

    def naive(x, w):
        return on_images(keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 3, stride=2, padding=1, bias=False), x, hwio(w))


@gap(
    "conv-1x1-s2",
    "none",
    "the shortcut's `Conv2d(k1, s2, p0)`",
    "`Conv2D(1, strides=2, padding='same')` samples 0, 2, 4 …: coincides",
    "either",
    x=(1, 3, 8, 8),
    w=(4, 3, 1, 1),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, stride=2)

    def naive(x, w):
        return on_images(keras.layers.Conv2D(4, 1, strides=2, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 1, stride=2, bias=False), x, hwio(w))


@gap(
    "conv-even-kernel-same",
    "O G T",
    "`Conv2d(k4, p2)` grows the image by one pixel",
    "`Conv2D(4, padding='same')` keeps its size; only PyTorch's own padding='same' is that",
    "`keras_blitz.layers.Conv2d`",
    x=(1, 3, 8, 8),
    w=(4, 3, 4, 4),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, padding=2)

    def naive(x, w):
        return on_images(keras.layers.Conv2D(4, 4, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 4, padding=2, bias=False), x, hwio(w))


@gap(
    "conv-dilation-stride",
    "O G",
    "`Conv2d(k3, s2, p2, dilation=2)` is legal",
    "`Conv2D(strides=2, dilation_rate=2)` is refused",
    "`keras_blitz.layers.Conv2d`: dilated at stride 1, then every second value",
    x=(1, 3, 9, 9),
    w=(4, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, stride=2, padding=2, dilation=2)

    def naive(x, w):
        layer = keras.layers.Conv2D(4, 3, strides=2, dilation_rate=2, padding="same", use_bias=False)
        return on_images(layer, x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 3, stride=2, padding=2, dilation=2, bias=False), x, hwio(w))


@gap(
    "conv-dilation-pad",
    "O G T",
    "`Conv2d(k3, p1, dilation=2)` shrinks the image by 2",
    "`Conv2D(3, dilation_rate=2, padding='same')` keeps its size",
    "`keras_blitz.layers.Conv2d`",
    x=(1, 3, 9, 9),
    w=(4, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, padding=1, dilation=2)

    def naive(x, w):
        return on_images(keras.layers.Conv2D(4, 3, dilation_rate=2, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        return on_images(layers.Conv2d(4, 3, padding=1, dilation=2, bias=False), x, hwio(w))


@gap(
    "conv-weight-layout",
    "O G T",
    "a kernel is (out, in, h, w)",
    "reshaped to (h, w, in, out): silent, because the number of values agrees",
    "`w.transpose(2, 3, 1, 0)`; Conv1d `(2, 1, 0)`, Conv3d `(2, 3, 4, 1, 0)`",
    x=(1, 3, 6, 6),
    w=(3, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w)

    def naive(x, w):
        return channels_first(tf.nn.conv2d(channels_last(x), tf.reshape(w, [3, 3, 3, 3]), 1, "VALID"))

    def exact(x, w):
        return channels_first(tf.nn.conv2d(channels_last(x), tf.transpose(w, [2, 3, 1, 0]), 1, "VALID"))


@gap(
    "conv-groups",
    "O G",
    "`Conv2d(4, 6, 3, groups=2)`, weight (6, 2, 3, 3)",
    "`tf.nn.conv2d` with the smaller kernel: its float64 gradient has no CPU kernel (float32 has)",
    "`keras_blitz.layers.Conv2d(groups=2)` computes each group on its own",
    x=(1, 4, 6, 6),
    w=(6, 2, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, groups=2)

    def naive(x, w):
        return channels_first(tf.nn.conv2d(channels_last(x), hwio(w), 1, "VALID"))

    def exact(x, w):
        return on_images(layers.Conv2d(6, 3, groups=2, bias=False), x, hwio(w))


@gap(
    "conv-depthwise-layout",
    "O G",
    "a depthwise kernel is (C·m, 1, h, w), the m outputs of a channel next to each other",
    "`DepthwiseConv2D`'s (h, w, C, m) filled as if the m blocks were next to each other",
    "`w.reshape(C, m, h, w).transpose(2, 3, 0, 1)`",
    x=(1, 4, 6, 6),
    w=(8, 1, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w, groups=4)

    def naive(x, w):
        kernel = tf.transpose(tf.reshape(w, [2, 4, 3, 3]), [2, 3, 1, 0])
        return on_images(keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), x, kernel)

    def exact(x, w):
        kernel = tf.transpose(tf.reshape(w, [4, 2, 3, 3]), [2, 3, 0, 1])
        return on_images(keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), x, kernel)


@gap(
    "convtranspose-same",
    "O G T",
    "`ConvTranspose2d(k3, s2, p1, output_padding=1)` crops 1 before and 0 after",
    "`Conv2DTranspose(3, strides=2, padding='same')` crops 0 before and 1 after: the same shape",
    "'valid', then crop `[p : size − p + output_padding]`",
    x=(1, 3, 5, 5),
    w=(3, 4, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1)

    def naive(x, w):
        return on_images(keras.layers.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False), x, hwio(w))

    def exact(x, w):
        full = tf.nn.conv2d_transpose(channels_last(x), hwio(w), [1, 11, 11, 4], 2, "VALID")
        return channels_first(full[:, 1:11, 1:11])


@gap(
    "convtranspose-k4s2p1",
    "O G",
    "DCGAN's `ConvTranspose2d(k4, s2, p1)`, weight (in, out, h, w)",
    "the kernel taken for (out, in, h, w): silent where in = out",
    "the same layer, `w.transpose(2, 3, 1, 0)`; 'same' crops 1 and 1 here",
    x=(1, 3, 5, 5),
    w=(3, 3, 4, 4),
)
class _:
    def pytorch(x, w):
        return F.conv_transpose2d(x, w, stride=2, padding=1)

    def naive(x, w):
        layer = keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False)
        return on_images(layer, x, tf.transpose(w, [2, 3, 0, 1]))

    def exact(x, w):
        layer = keras.layers.Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False)
        return on_images(layer, x, tf.transpose(w, [2, 3, 1, 0]))


@gap(
    "conv-padding-mode",
    "O G",
    "`padding_mode='circular'` (also 'reflect', 'replicate')",
    "`Conv2D(padding='same')`: Keras has zeros only",
    "gather rows and columns `i mod n`, then 'valid'; 'replicate' is a clipped index, 'reflect' `tf.pad`'s mode",
    x=(1, 2, 6, 6),
    w=(2, 2, 5, 5),
)
class _:
    def pytorch(x, w):
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="circular"), w)

    def naive(x, w):
        return channels_first(tf.nn.conv2d(channels_last(x), hwio(w), 1, "SAME"))

    def exact(x, w):
        around = np.arange(-2, 8) % 6
        x = tf.gather(tf.gather(channels_last(x), around, axis=1), around, axis=2)
        return channels_first(tf.nn.conv2d(x, hwio(w), 1, "VALID"))


@gap(
    "pad-symmetric-vs-reflect",
    "O",
    "`F.pad(mode='reflect')` leaves the edge out",
    "`tf.pad(mode='SYMMETRIC')` repeats the edge",
    "`tf.pad(mode='REFLECT')`",
    x=(1, 1, 5, 5),
)
class _:
    def pytorch(x):
        return F.pad(x, (2, 2, 2, 2), mode="reflect")

    def naive(x):
        return tf.pad(x, [[0, 0], [0, 0], [2, 2], [2, 2]], "SYMMETRIC")

    def exact(x):
        return tf.pad(x, [[0, 0], [0, 0], [2, 2], [2, 2]], "REFLECT")


@gap(
    "maxpool-pad-zero",
    "O G T",
    "`MaxPool2d(3, 2, 1)` pads with −∞",
    "`ZeroPadding2D(1)` and `MaxPooling2D(3, 2)`: zero wins over negative values",
    "`keras_blitz.layers.MaxPool2d`",
    x=lambda stream: stream.standard_normal((2, 3, 8, 8)) - 1,
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 3, 2, 1)

    def naive(x):
        return channels_first(keras.layers.MaxPooling2D(3, 2)(padded(channels_last(x), 1, 1)))

    def exact(x):
        return on_images(layers.MaxPool2d(3, 2, 1), x)


@gap(
    "maxpool-same",
    "O G T",
    "`MaxPool2d(3, 2, 1)` on an even size",
    "`MaxPooling2D(3, 2, padding='same')`: the windows start one pixel further",
    "`keras_blitz.layers.MaxPool2d`",
    x=(2, 3, 8, 8),
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 3, 2, 1)

    def naive(x):
        return on_images(keras.layers.MaxPooling2D(3, 2, padding="same"), x)

    def exact(x):
        return on_images(layers.MaxPool2d(3, 2, 1), x)


@gap(
    "maxpool-zero-after-relu",
    "G (masked)",
    "`MaxPool2d(3, 2, 1)` of values ≥ 0",
    "zero padding gives the same output; at dead windows the gradient goes to the padding instead of a zero",
    "`keras_blitz.layers.MaxPool2d`",
    x=lambda stream: np.maximum(stream.standard_normal((1, 2, 8, 8)) - 1, 0),
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 3, 2, 1)

    def naive(x):
        return channels_first(keras.layers.MaxPooling2D(3, 2)(padded(channels_last(x), 1, 1)))

    def exact(x):
        return on_images(layers.MaxPool2d(3, 2, 1), x)


@gap(
    "maxpool-ceil-mode",
    "O G",
    "`MaxPool2d(3, 2, ceil_mode=True)` keeps the last, incomplete window",
    "`MaxPooling2D(3, 2)` drops it",
    "`keras_blitz.layers.MaxPool2d(ceil_mode=True)`",
    x=(1, 2, 8, 6),
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def naive(x):
        return on_images(keras.layers.MaxPooling2D(3, 2), x)

    def exact(x):
        return on_images(layers.MaxPool2d(3, 2, ceil_mode=True), x)


@gap(
    "maxpool-tie-grad",
    "G",
    "of equal values the first in row-major order has the whole gradient",
    "`tf.reduce_max` over the windows splits it evenly",
    "`tf.nn.max_pool2d`, never reshape and reduce_max",
    x=rounded(2, 3, 8, 8),
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 2)

    def naive(x):
        return tf.reduce_max(tf.reshape(x, [2, 3, 4, 2, 4, 2]), axis=[3, 5])

    def exact(x):
        return on_images(layers.MaxPool2d(2), x)


def _one_nan(stream):
    x = stream.standard_normal((1, 3, 4, 4))
    x[0, :, 1, 1] = np.nan
    return x


@output_gap(
    "maxpool-nan",
    "O",
    "NaN reaches every window that holds it",
    "`tf.nn.max_pool2d` drops it silently on x86 (tensorflow#125965)",
    "`where(the window has a NaN, NaN, pool)`",
    x=_one_nan,
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 2)

    def naive(x):
        return on_images(keras.layers.MaxPooling2D(2), x)

    def exact(x):
        x = channels_last(x)
        bad = tf.nn.max_pool2d(tf.cast(tf.math.is_nan(x), x.dtype), 2, 2, "VALID") > 0
        finite = tf.nn.max_pool2d(tf.where(tf.math.is_nan(x), tf.cast(-np.inf, x.dtype), x), 2, 2, "VALID")
        return channels_first(tf.where(bad, tf.cast(np.nan, x.dtype), finite))


@output_gap(
    "maxpool-indices",
    "O (MaxUnpool)",
    "`return_indices=True`: h·W + w within a channel",
    "`tf.nn.max_pool_with_argmax`: (h·W + w)·C + c",
    "its index divided by C",
    x=(1, 3, 6, 6),
)
class _:
    def pytorch(x):
        return F.max_pool2d(x, 2, return_indices=True)[1]

    def naive(x):
        return channels_first(tf.nn.max_pool_with_argmax(channels_last(x), 2, 2, "VALID")[1])

    def exact(x):
        return channels_first(tf.nn.max_pool_with_argmax(channels_last(x), 2, 2, "VALID")[1] // 3)


@gap(
    "avgpool-count-include-pad",
    "O G T",
    "`AvgPool2d(3, 2, 1)` counts the padding's zeros: it divides by 9",
    "`AveragePooling2D(3, 2, padding='same')` leaves them out, and its windows are elsewhere",
    "`keras_blitz.layers.AvgPool2d`",
    x=(2, 3, 8, 8),
)
class _:
    def pytorch(x):
        return F.avg_pool2d(x, 3, 2, 1)

    def naive(x):
        return on_images(keras.layers.AveragePooling2D(3, 2, padding="same"), x)

    def exact(x):
        return on_images(layers.AvgPool2d(3, 2, 1), x)


@gap(
    "avgpool-ceil",
    "O G",
    "`AvgPool2d(3, 2, 1, ceil_mode=True)`: the last windows divide by what is within image and padding",
    "zeros to the right, divided by 9",
    "`keras_blitz.layers.AvgPool2d(ceil_mode=True)`",
    x=(1, 2, 8, 8),
)
class _:
    def pytorch(x):
        return F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)

    def naive(x):
        return channels_first(keras.layers.AveragePooling2D(3, 2)(padded(channels_last(x), 1, 2)))

    def exact(x):
        return on_images(layers.AvgPool2d(3, 2, 1, ceil_mode=True), x)


@gap(
    "adaptive-avgpool",
    "O G T",
    "`AdaptiveAvgPool2d((5, 3))` on 7×10: windows ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉, which overlap",
    "`AveragePooling2D` of n // o: another shape, equal only where o divides n",
    "`keras_blitz.layers.AdaptiveAvgPool2d`",
    x=(2, 3, 7, 10),
)
class _:
    def pytorch(x):
        return F.adaptive_avg_pool2d(x, (5, 3))

    def naive(x):
        return on_images(keras.layers.AveragePooling2D((7 // 5, 10 // 3)), x)

    def exact(x):
        return on_images(layers.AdaptiveAvgPool2d((5, 3)), x)


@gap(
    "adaptive-maxpool",
    "O G",
    "`AdaptiveMaxPool2d((5, 3))` on 7×10 with equal values: the first in row-major order has the gradient",
    "`keras.layers.AdaptiveMaxPooling2D`: the first in column-major order",
    "`keras_blitz.layers.AdaptiveMaxPool2d`",
    x=rounded(2, 3, 7, 10),
)
class _:
    def pytorch(x):
        return F.adaptive_max_pool2d(x, (5, 3))

    def naive(x):
        return on_images(keras.layers.AdaptiveMaxPooling2D((5, 3)), x)

    def exact(x):
        return on_images(layers.AdaptiveMaxPool2d((5, 3)), x)


@gap(
    "lppool",
    "O G",
    "`LPPool2d(3, 2)`: the root of the sum",
    "the root of the mean: Keras has no such layer, average pooling of the powers is the usual port",
    "the mean of the powers, times the window's size, and its root",
    x=positive(1, 2, 6, 6),
)
class _:
    def pytorch(x):
        return F.lp_pool2d(x, 3.0, 2)

    def naive(x):
        return on_images(keras.layers.AveragePooling2D(2), x**3) ** (1 / 3)

    def exact(x):
        return (on_images(keras.layers.AveragePooling2D(2), x**3) * 4) ** (1 / 3)


@gap(
    "maxpool3d-f64",
    "O G",
    "`MaxPool3d` in float64",
    "`MaxPooling3D`: no float64 kernel on CPU",
    "max is separable: over height and width, then over depth",
    x=(1, 2, 4, 4, 4),
)
class _:
    def pytorch(x):
        return F.max_pool3d(x, 2)

    def naive(x):
        pooled = keras.layers.MaxPooling3D(2)(tf.transpose(x, [0, 2, 3, 4, 1]))
        return tf.transpose(pooled, [0, 4, 1, 2, 3])

    def exact(x):
        planes = tf.nn.max_pool2d(tf.reshape(x, [8, 4, 4, 1]), 2, 2, "VALID")
        pooled = tf.nn.max_pool2d(tf.reshape(planes, [2, 4, 4, 1]), (2, 1), (2, 1), "VALID")
        return tf.reshape(pooled, [1, 2, 2, 2, 2])


@gap(
    "avgpool3d-f64",
    "O G",
    "`AvgPool3d` in float64",
    "`AveragePooling3D`: no float64 kernel on CPU",
    "the mean over height and width, then over depth",
    x=(1, 2, 4, 4, 4),
)
class _:
    def pytorch(x):
        return F.avg_pool3d(x, 2)

    def naive(x):
        pooled = keras.layers.AveragePooling3D(2)(tf.transpose(x, [0, 2, 3, 4, 1]))
        return tf.transpose(pooled, [0, 4, 1, 2, 3])

    def exact(x):
        planes = tf.nn.avg_pool2d(tf.reshape(x, [8, 4, 4, 1]), 2, 2, "VALID")
        pooled = tf.nn.avg_pool2d(tf.reshape(planes, [2, 4, 4, 1]), (2, 1), (2, 1), "VALID")
        return tf.reshape(pooled, [1, 2, 2, 2, 2])


@gap(
    "conv3d-f64",
    "O G",
    "`Conv3d` in float64",
    "`tf.nn.conv3d`, (N, D, H, W, C): the same",
    "the same",
    x=(1, 2, 5, 5, 5),
    w=(3, 2, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv3d(x, w)

    def naive(x, w):
        y = tf.nn.conv3d(tf.transpose(x, [0, 2, 3, 4, 1]), tf.transpose(w, [2, 3, 4, 1, 0]), [1] * 5, "VALID")
        return tf.transpose(y, [0, 4, 1, 2, 3])

    def exact(x, w):
        y = tf.nn.conv3d(tf.transpose(x, [0, 2, 3, 4, 1]), tf.transpose(w, [2, 3, 4, 1, 0]), [1] * 5, "VALID")
        return tf.transpose(y, [0, 4, 1, 2, 3])


@gap(
    "conv1d",
    "O G",
    "a Conv1d kernel is (out, in, k)",
    "reshaped to `Conv1D`'s (k, in, out): silent",
    "`w.transpose(2, 1, 0)`, the input (N, L, C)",
    x=(2, 3, 9),
    w=(4, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv1d(x, w)

    def naive(x, w):
        return tf.transpose(tf.nn.conv1d(tf.transpose(x, [0, 2, 1]), tf.reshape(w, [3, 3, 4]), 1, "VALID"), [0, 2, 1])

    def exact(x, w):
        kernel = tf.transpose(w, [2, 1, 0])
        return tf.transpose(tf.nn.conv1d(tf.transpose(x, [0, 2, 1]), kernel, 1, "VALID"), [0, 2, 1])


@gap(
    "linear-transpose",
    "O G T",
    "`Linear.weight` is (out, in)",
    "taken for `Dense.kernel`, (in, out): silent where the layer is square",
    "`kernel = weight.T`",
    x=(3, 4),
    w=(4, 4),
)
class _:
    def pytorch(x, w):
        return F.linear(x, w)

    def naive(x, w):
        return with_weights(keras.layers.Dense(4, use_bias=False), x, w)

    def exact(x, w):
        return with_weights(keras.layers.Dense(4, use_bias=False), x, tf.transpose(w))


@gap(
    "flatten-order",
    "O G T",
    "`flatten` takes C, H, W in this order",
    "`Flatten()` of (N, H, W, C): another order in the same shape, silently",
    "the first dense kernel's rows permuted once, at weight transfer; as `keras_blitz.load_state_dict` does",
    x=(2, 3, 4, 4),
    w=(5, 48),
)
class _:
    def pytorch(x, w):
        return F.linear(torch.flatten(x, 1), w)

    def naive(x, w):
        return keras.layers.Flatten()(channels_last(x)) @ tf.transpose(w)

    def exact(x, w):
        kernel = tf.reshape(tf.transpose(tf.reshape(w, [5, 3, 4, 4]), [2, 3, 1, 0]), [48, 5])
        return keras.layers.Flatten()(channels_last(x)) @ kernel


@gap(
    "channels-first-cpu",
    "O",
    "channels first everywhere",
    "`Conv2D(data_format='channels_first')` in float64: no CPU kernel (float32 has one)",
    "channels last inside, transposed at the borders",
    x=(1, 3, 6, 6),
    w=(4, 3, 3, 3),
)
class _:
    def pytorch(x, w):
        return F.conv2d(x, w)

    def naive(x, w):
        layer = keras.layers.Conv2D(4, 3, use_bias=False, data_format="channels_first")
        return with_weights(layer, x, hwio(w))

    def exact(x, w):
        return on_images(keras.layers.Conv2D(4, 3, use_bias=False), x, hwio(w))
