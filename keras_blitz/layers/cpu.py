"""What makes convolution, BatchNorm and pooling fast on a CPU.

Each function gives what its layer's plain rule gives, to rounding, by other operations. `keras_blitz.speed` has a
switch for each. The figures are of two cores with AVX-512, in float32; `scripts/bench.py` measures such steps.
"""

from math import prod
from typing import Any

import numpy as np
import tensorflow as tf

from keras_blitz import speed
from keras_blitz.layers.padding import pad_images

# The most outputs (H' · W') of a small map.
FEW = 16

# The fewest weights of a product that is cut in halves.
MANY = 100_000


def convolve(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    size: tuple[int | None, int | None],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    banded: bool,
) -> tf.Tensor | None:
    """Return a convolution by the shortcut that is fastest for it; None where that is the plain rule.

    Args:
        inputs: (N, H, W, C), without the padding.
        kernel: (kh, kw, C, C').
        size: (H', W'), of the outputs; None where it is not known.
        stride: of both axes.
        padding: zeros on each side of both axes.
        dilation: of both axes.
        banded: the layer asks for `convolve_by_rows`.
    """
    chosen, (height, width) = speed.choice(), size
    if dilation != (1, 1):
        return None
    if chosen.gradient_by_rows and banded and height and width:
        return convolve_by_rows(pad_images(inputs, padding), kernel)
    if chosen.small_maps and height and width and min(height, width) > 0 and height * width <= FEW:
        return convolve_small_map(pad_images(inputs, padding), kernel, (height, width), stride)
    keeps_size = stride == (1, 1) and all(k == 2 * p + 1 for k, p in zip(kernel.shape[:2], padding, strict=True))
    return convolve_same_size(inputs, kernel) if chosen.same_padding and keeps_size else None


def convolve_same_size(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Return the convolution whose outputs have the inputs' size, stride 1: "SAME" then has PyTorch's zeros.

    It saves the copy that `tf.pad` makes: 3 to 4 % of the CPU time of ResNet18's training on 16 images of 64×64 pixels,
    nothing for its inference.
    """
    return tf.nn.conv2d(inputs, kernel, 1, "SAME")


def convolve_small_map(
    padded: tf.Tensor, kernel: tf.Tensor, size: tuple[int, int], stride: tuple[int, int]
) -> tf.Tensor:
    """Return the convolution as one product of matrices: the windows' values (N · H' · W', kh · kw · C) by the kernel.

    oneDNN's convolutions are slow to start, which shows where there are few outputs. ResNet18 on 64×64 pixels: training
    on 16 images 8.1 → 9.5 steps a second with maps up to 2×2; inference of one image 230 → 275 a second with maps up
    to 4×4 (`FEW`). Up to 8×8 it is slower again. A 1×1 convolution in place of the product brings nothing.
    """
    (height, width), (down, across), (rows, columns) = size, stride, kernel.shape[:2]
    positions = np.arange(prod(padded.shape[1:3])).reshape(padded.shape[1:3])
    windows = np.lib.stride_tricks.sliding_window_view(positions, (rows, columns))
    windows = windows[: down * height : down, : across * width : across]  # (H', W', kh, kw)
    channels = padded.shape[-1]
    taps = tf.gather(tf.reshape(padded, (-1, positions.size, channels)), windows.ravel(), axis=1)
    taps = tf.reshape(taps, (-1, rows * columns * channels))
    matrix = tf.reshape(kernel, (-1, kernel.shape[-1]))
    one_image = padded.shape[0] == 1
    in_halves = speed.choice().halved_products and one_image and matrix.shape.num_elements() >= MANY
    outputs = multiply_in_halves(taps, matrix) if in_halves else tf.matmul(taps, matrix)
    return tf.reshape(outputs, (-1, height, width, kernel.shape[-1]))


@tf.custom_gradient
def multiply_in_halves(rows: tf.Tensor, matrix: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Return rows · matrix as two products that can run at the same time; the gradient is the whole product's.

    rows[:, :h] · matrix[:h] + rows[:, h:] · matrix[h:]

    For one image and many weights (`MANY`) a product takes as long as reading the weights from memory, which two
    threads do twice as fast. With one thread inside an operation and two operations at a time, ResNet18 on one image of
    64×64 pixels does 114 → 135 images a second, on a machine where PyTorch does 114. With two threads inside an
    operation the halves wait for each other's: 8 to 17 % slower than the whole product.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.matmul(upstream, matrix, transpose_b=True), tf.matmul(rows, upstream, transpose_a=True)

    sizes = [matrix.shape[0] // 2, -(-matrix.shape[0] // 2)]
    (left, right), (upper, lower) = tf.split(rows, sizes, 1), tf.split(matrix, sizes)
    return tf.matmul(left, upper) + tf.matmul(right, lower), gradient


@tf.custom_gradient
def convolve_by_rows(padded: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Return the convolution of stride 1; its inputs' gradient is that of a convolution of whole rows.

    B[h, (v, c), (w, k)] = K[h, v − w, c, k], 0 outside of K: a kernel (kh, 1, W·C, W'·C') for images (N, H, 1, W·C)

    with h a row of the kernel, v a column of the inputs, w one of the outputs, c and k their channels. AVX-512's
    registers hold 16 float32 values. Few channels fill a part of them, a row fills them; that outweighs the zeros
    beside the band. The gradient of MNIST's second convolution (6 channels, 50 images) takes 350 µs for 530; the tape
    loop on MNIST is 6 to 18 % faster in four runs, `fit` 9 % in one. With a batch of 4 (CIFAR-10) it is 16 % slower,
    because writing the banded kernel costs more than it brings.
    """
    (height, width, channels), (rows, columns, _, features) = padded.shape[1:], kernel.shape
    out_height, out_width = height - rows + 1, width - columns + 1

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        h, v, c, w = np.indices((rows, width, channels, out_width))
        taps = (h * columns + v - w) * channels + c
        zeros = rows * columns * channels  # the index of a row of zeros after the kernel's
        taps = np.where((v - w >= 0) & (v - w < columns), taps, zeros)
        band = tf.gather(tf.pad(tf.reshape(kernel, (-1, features)), [[0, 1], [0, 0]]), taps.ravel())
        of_inputs = tf.nn.conv2d_transpose(
            tf.reshape(upstream, (-1, out_height, 1, out_width * features)),
            tf.reshape(band, (rows, 1, width * channels, out_width * features)),
            tf.stack([tf.shape(padded)[0], height, 1, width * channels]), 1, "VALID",
        )  # fmt: skip
        of_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=padded, filter_sizes=kernel.shape, out_backprop=upstream, strides=[1, 1, 1, 1], padding="VALID"
        )
        return tf.reshape(of_inputs, (-1, height, width, channels)), of_kernel

    return tf.nn.conv2d(padded, kernel, 1, "VALID"), gradient


def normalize(
    inputs: tf.Tensor, gamma: Any, beta: Any, mean: tf.Tensor, variance: tf.Tensor, eps: float
) -> tf.Tensor | None:
    """Return (inputs − mean) / √(variance + eps) · γ + β in one operation; None where it would not be faster.

    TensorFlow fuses it with the convolution before it and the ReLU after it: ResNet18's inference of 16 images of 64×64
    pixels, 26 → 42 a second. By itself it is slow to start, as it would be after a small map, whose convolution is a
    product of matrices. It has float32 kernels for images, and no float64 ones.
    """
    if not speed.choice().fused_batch_norm or len(inputs.shape) != 4 or inputs.dtype != tf.float32:
        return None
    height, width = inputs.shape[1:3]
    if height and width and height * width <= FEW:
        return None
    return tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=eps, is_training=False
    ).y


def average_equal_windows(inputs: tf.Tensor, output_size: tuple[int, int]) -> tf.Tensor | None:
    """Return the means of windows of one size, by ordinary pooling; None where the windows differ in size.

    From 14×14×512 to 7×7×512 it takes 52 µs, where the plain rule's product with two matrices takes 263; from 7×7×512,
    VGG16's map, 40 where that takes 173. One window, the whole map, is a reduction in the layer itself: 10 µs, where
    pooling takes 100 for ResNet18's 2×2×512.
    """
    axes = list(zip(inputs.shape[1:3], output_size, strict=True))
    if not speed.choice().equal_windows or any(size % outputs for size, outputs in axes):
        return None
    window = [size // outputs for size, outputs in axes]
    return tf.nn.avg_pool2d(inputs, window, window, "VALID")
