"""torch.nn's layers that move values: PixelShuffle, PixelUnshuffle, ChannelShuffle, Unfold, Fold; channels last."""

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.layers.padding import pad_images
from keras_blitz.layers.pairs import Pair, pair


@keras.saving.register_keras_serializable("keras_blitz")
class PixelShuffle(keras.layers.Layer):
    """Channels into pixels: channel c·r² + i·r + j is pixel (i, j) of a block of channel c.

    `tf.nn.depth_to_space` takes channel (i·r + j)·C + c: the same shape, another picture (gap pixelshuffle: 1.6).

    Args:
        upscale_factor: r, ≥ 1.

    Shapes:
        input (N, H, W, C·r²), output (N, H·r, W·r, C).

    Source: torch/nn/modules/pixelshuffle.py.
    """

    def __init__(self, upscale_factor: int, **options):
        super().__init__(**options)
        self.upscale_factor = upscale_factor

    def call(self, inputs):
        """Shuffle."""
        shape, r = self.compute_output_shape(inputs.shape), self.upscale_factor
        _, height, width, channels = tf.unstack(tf.shape(inputs))
        blocks = tf.reshape(inputs, (-1, height, width, channels // r**2, r, r))
        pixels = tf.transpose(blocks, (0, 1, 4, 2, 5, 3))  # (N, H, r, W, r, C)
        return tf.ensure_shape(tf.reshape(pixels, (-1, height * r, width * r, channels // r**2)), shape)

    def compute_output_shape(self, input_shape):
        """Return (N, H·r, W·r, C)."""
        count, height, width, channels = input_shape
        r = self.upscale_factor
        if channels % r**2:
            raise ValueError(f"{self.name}: {channels} channels are not a multiple of upscale_factor², {r**2}")
        return (count, height and height * r, width and width * r, channels // r**2)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "upscale_factor": self.upscale_factor}


@keras.saving.register_keras_serializable("keras_blitz")
class PixelUnshuffle(keras.layers.Layer):
    """Pixels into channels, the reverse of `PixelShuffle`.

    Args:
        downscale_factor: r, ≥ 1.

    Shapes:
        input (N, H·r, W·r, C), output (N, H, W, C·r²).

    Source: torch/nn/modules/pixelshuffle.py.
    """

    def __init__(self, downscale_factor: int, **options):
        super().__init__(**options)
        self.downscale_factor = downscale_factor

    def call(self, inputs):
        """Unshuffle."""
        shape, r = self.compute_output_shape(inputs.shape), self.downscale_factor
        _, height, width, channels = tf.unstack(tf.shape(inputs))
        blocks = tf.reshape(inputs, (-1, height // r, r, width // r, r, channels))
        pixels = tf.transpose(blocks, (0, 1, 3, 5, 2, 4))  # (N, H, W, C, r, r)
        return tf.ensure_shape(tf.reshape(pixels, (-1, height // r, width // r, channels * r**2)), shape)

    def compute_output_shape(self, input_shape):
        """Return (N, H, W, C·r²)."""
        count, height, width, channels = input_shape
        r = self.downscale_factor
        if (height or 0) % r or (width or 0) % r:
            raise ValueError(f"{self.name}: height and width {input_shape[1:3]} are not multiples of {r}")
        return (count, height and height // r, width and width // r, channels * r**2)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "downscale_factor": self.downscale_factor}


@keras.saving.register_keras_serializable("keras_blitz")
class ChannelShuffle(keras.layers.Layer):
    """Deal the channels of g groups out in turn: channel i·C/g + j goes to j·g + i.

    Args:
        groups: g, ≥ 1, a divisor of the channels.

    Shapes:
        input and output (N, …, C).

    Source: torch/nn/modules/channelshuffle.py.
    """

    def __init__(self, groups: int, **options):
        super().__init__(**options)
        self.groups = groups

    def call(self, inputs):
        """Shuffle."""
        channels = inputs.shape[-1]
        if channels % self.groups:
            raise ValueError(f"{self.name}: {channels} channels are not a multiple of groups={self.groups}")
        return tf.gather(inputs, np.arange(channels).reshape(self.groups, -1).T.ravel(), axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "groups": self.groups}


class _Windows(keras.layers.Layer):
    """What Unfold and Fold share: the places of the windows' values in a padded image."""

    def __init__(self, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair, **options):
        super().__init__(**options)
        self.kernel_size, self.dilation = pair(kernel_size, "kernel_size", 1), pair(dilation, "dilation", 1)
        self.padding, self.stride = pair(padding, "padding", 0), pair(stride, "stride", 1)

    def _padded(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[0] + 2 * self.padding[0], size[1] + 2 * self.padding[1]

    def _places(self, size: tuple[int, int]) -> np.ndarray:
        """Return (L, kh·kw): the place of each window's values in the padded image, row by row."""
        axes = []
        for length, kernel, dilation, stride in zip(
            self._padded(size), self.kernel_size, self.dilation, self.stride, strict=True
        ):
            count = (length - dilation * (kernel - 1) - 1) // stride + 1
            axes.append(np.arange(count)[:, np.newaxis] * stride + np.arange(kernel) * dilation)
        rows, columns = axes
        places = rows[:, np.newaxis, :, np.newaxis] * self._padded(size)[1] + columns[np.newaxis, :, np.newaxis, :]
        return places.reshape(len(rows) * len(columns), -1)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "dilation": self.dilation,
            "padding": self.padding,
            "stride": self.stride,
        }


@keras.saving.register_keras_serializable("keras_blitz")
class Unfold(_Windows):
    """The values of each window of an image in a row: channel by channel, within each row by row.

    `tf.image.extract_patches` has the channels innermost (gap unfold-order: differs by 1.5), and pads by name only.

    Args:
        kernel_size: ≥ 1, or (height, width), as all that follows.
        dilation: ≥ 1.
        padding: zeros on each side, ≥ 0.
        stride: ≥ 1.

    Shapes:
        input (N, H, W, C) with H and W known, output (N, L, C·kh·kw), L windows; PyTorch's is (N, C·kh·kw, L).

    Source: torch/nn/modules/fold.py.
    """

    def __init__(self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1, **options):
        super().__init__(kernel_size, dilation, padding, stride, **options)

    def call(self, inputs):
        """Gather the windows."""
        places, channels = self._places(inputs.shape[1:3]), inputs.shape[-1]
        flat = tf.reshape(pad_images(inputs, self.padding), (-1, np.prod(self._padded(inputs.shape[1:3])), channels))
        windows = tf.transpose(tf.gather(flat, places, axis=1), (0, 1, 3, 2))  # (N, L, C, kh·kw)
        return tf.reshape(windows, (-1, places.shape[0], channels * places.shape[1]))

    def compute_output_shape(self, input_shape):
        """Return (N, L, C·kh·kw)."""
        count, taps = self._places(input_shape[1:3]).shape
        return (input_shape[0], count, input_shape[-1] * taps)


@keras.saving.register_keras_serializable("keras_blitz")
class Fold(_Windows):
    """The reverse of `Unfold`: windows back into an image, summed where they overlap.

    Args:
        output_size: (height, width) of the image.
        kernel_size, dilation, padding, stride: as for `Unfold`.

    Shapes:
        input (N, L, C·kh·kw), output (N, H, W, C).

    Raises:
        ValueError: another number of windows, or of values in each, than output_size has.

    Source: torch/nn/modules/fold.py.
    """

    def __init__(
        self,
        output_size: Pair,
        kernel_size: Pair,
        dilation: Pair = 1,
        padding: Pair = 0,
        stride: Pair = 1,
        **options,
    ):
        super().__init__(kernel_size, dilation, padding, stride, **options)
        self.output_size = pair(output_size, "output_size", 1)

    def call(self, inputs):
        """Sum the windows."""
        places, (height, width) = self._places(self.output_size), self._padded(self.output_size)
        channels = self.compute_output_shape(inputs.shape)[-1]
        windows = tf.reshape(inputs, (-1, places.shape[0], channels, places.shape[1]))
        values = tf.reshape(tf.transpose(windows, (1, 3, 0, 2)), (places.size, -1))
        sums = tf.math.unsorted_segment_sum(values, places.ravel(), height * width)
        images = tf.transpose(tf.reshape(sums, (height, width, -1, channels)), (2, 0, 1, 3))
        (top, left), (rows, columns) = self.padding, self.output_size
        return images[:, top : top + rows, left : left + columns]

    def compute_output_shape(self, input_shape):
        """Return (N, H, W, C)."""
        count, taps = self._places(self.output_size).shape
        if input_shape[1] != count or input_shape[2] % taps:
            raise ValueError(f"{self.name}: needs {count} windows of C·{taps} values, not {tuple(input_shape[1:])}")
        return (input_shape[0], *self.output_size, input_shape[2] // taps)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "output_size": self.output_size}
