"""Convolutions whose kernel is an input, as those of `torch.nn.functional` have it; channels last."""

import keras
import tensorflow as tf

from keras_blitz.layers.convolution import Conv1d, Conv3d, _Convolution, _convolve_images
from keras_blitz.layers.padding import pad_images
from keras_blitz.layers.pairs import Sizes
from keras_blitz.layers.transposed import _ConvTranspose


class _Dynamic(_Convolution):
    """What those with a kernel that is an input share."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        **options,
    ):
        super().__init__(out_channels, kernel_size, stride, padding, dilation, groups, bias=False, **options)

    def build(self, inputs_shape, kernel_shape, bias_shape=None):
        """Make nothing."""

    def call(self, inputs, kernel, bias=None):
        """Convolve each group and add the bias."""
        outputs = self._in_groups(inputs, kernel)
        return outputs if bias is None else tf.nn.bias_add(outputs, bias)

    def compute_output_spec(self, inputs, kernel, bias=None):
        """Return (N, …, out_channels)."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("bias", "padding_mode")}


@keras.saving.register_keras_serializable("keras_blitz")
class DynamicConv1d(_Dynamic):
    """Convolution of sequences with a kernel that is an input, see `DynamicConv2d`.

    Shapes:
        inputs (N, L, C), kernel (k, C/groups, out_channels) and, if there is one, bias (out_channels,); output
        (N, L', out_channels).

    Source: torch/nn/functional.py.
    """

    rank = 1
    _convolve = Conv1d._convolve


@keras.saving.register_keras_serializable("keras_blitz")
class DynamicConv2d(_Dynamic):
    """Convolution with a kernel that is an input, as `torch.nn.functional.conv2d` has it: one that was computed.

    `keras.ops.conv` pads as `Conv2d`'s docstring says, and its float64 gradients with groups or dilation have no CPU
    kernel.

    Args:
        out_channels, kernel_size: of the kernel that will be given.
        stride, padding, dilation, groups: as for `Conv2d`.

    Shapes:
        inputs (N, H, W, C), kernel (kh, kw, C/groups, out_channels) and, if there is one, bias (out_channels,);
        output (N, H', W', out_channels).

    Source: torch/nn/functional.py.
    """

    def _convolve(self, inputs, kernel, padding):
        return _convolve_images(pad_images(inputs, padding), kernel, self.stride, self.dilation)


@keras.saving.register_keras_serializable("keras_blitz")
class DynamicConv3d(_Dynamic):
    """Convolution of volumes with a kernel that is an input, see `DynamicConv2d`.

    Shapes:
        inputs (N, D, H, W, C), kernel (kd, kh, kw, C/groups, out_channels) and, if there is one, bias (out_channels,);
        output (N, D', H', W', out_channels).

    Source: torch/nn/functional.py.
    """

    rank = 3
    _convolve = Conv3d._convolve


class _DynamicTranspose(_ConvTranspose):
    """What the transposed ones share."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        dilation: Sizes = 1,
        **options,
    ):
        super().__init__(
            out_channels, kernel_size, stride, padding, output_padding, groups, bias=False, dilation=dilation, **options
        )

    def build(self, inputs_shape, kernel_shape, bias_shape=None):  # type: ignore[override]
        """Make nothing."""

    def call(self, inputs, kernel, bias=None):  # type: ignore[override]
        """Spread each input over its taps, group by group, and add the bias."""
        return self._spread(inputs, kernel, bias)

    def compute_output_spec(self, inputs, kernel, bias=None):
        """Return (N, …, out_channels)."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {name: value for name, value in super().get_config().items() if name != "bias"}


@keras.saving.register_keras_serializable("keras_blitz")
class DynamicConvTranspose1d(_DynamicTranspose):
    """Transposed convolution of sequences with a kernel that is an input, see `DynamicConvTranspose2d`.

    Shapes:
        inputs (N, L, C), kernel (k, out_channels/groups, C) and, if there is one, bias (out_channels,); output
        (N, L', out_channels).

    Source: torch/nn/functional.py.
    """

    rank = 1


@keras.saving.register_keras_serializable("keras_blitz")
class DynamicConvTranspose2d(_DynamicTranspose):
    """Transposed convolution with a kernel that is an input, as `torch.nn.functional.conv_transpose2d` has it.

    Args:
        out_channels, kernel_size: of the kernel that will be given.
        stride, padding, output_padding, groups, dilation: as for `ConvTranspose2d`.

    Shapes:
        inputs (N, H, W, C), kernel (kh, kw, out_channels/groups, C) and, if there is one, bias (out_channels,);
        output (N, H', W', out_channels).

    Source: torch/nn/functional.py.
    """


@keras.saving.register_keras_serializable("keras_blitz")
class DynamicConvTranspose3d(_DynamicTranspose):
    """Transposed convolution of volumes with a kernel that is an input, see `DynamicConvTranspose2d`.

    Shapes:
        inputs (N, D, H, W, C), kernel (kd, kh, kw, out_channels/groups, C) and, if there is one, bias
        (out_channels,); output (N, D', H', W', out_channels).

    Source: torch/nn/functional.py.
    """

    rank = 3
