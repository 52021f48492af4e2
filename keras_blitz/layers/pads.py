"""torch.nn's padding layers on channels-last tensors."""

import keras

from keras_blitz.layers.padding import pad_axes


class _Pad(keras.layers.Layer):
    """Put values around the axes between examples and channels.

    Args:
        padding: on each side, or (before, after) of the last axis, then of the one before it, and so on: for images
            (left, right, top, bottom), as in PyTorch.

    Shapes:
        input and output (N, …, C).

    Raises:
        ValueError: another number of values, or more than the axis has for its mode.

    Source: torch/nn/modules/padding.py.
    """

    rank = 1
    mode = "zeros"
    value = 0.0

    def __init__(self, padding: int | tuple[int, ...], **options):
        super().__init__(**options)
        given = (padding,) * 2 * self.rank if isinstance(padding, int) else tuple(padding)
        if len(given) != 2 * self.rank:
            raise ValueError(f"padding must be a whole number or {2 * self.rank} of them, not {padding!r}")
        self.padding = given

    @property
    def _pads(self) -> tuple[tuple[int, int], ...]:
        pairs = zip(self.padding[::2], self.padding[1::2], strict=True)
        return tuple(pairs)[::-1]

    def call(self, inputs):
        """Pad."""
        return pad_axes(inputs, self._pads, self.mode, self.value)

    def compute_output_shape(self, input_shape):
        """Return (N, …, C)."""
        places = zip(input_shape[1:-1], self._pads, strict=True)
        return (input_shape[0], *(None if n is None else n + sum(sides) for n, sides in places), input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "padding": self.padding}


class _ConstantPad(_Pad):
    def __init__(self, padding: int | tuple[int, ...], value: float, **options):
        super().__init__(padding, **options)
        self.value = value

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "value": self.value}


@keras.saving.register_keras_serializable("keras_blitz")
class ConstantPad1d(_ConstantPad):
    """Put a value around sequences (N, L, C); a negative padding takes values away. Arguments in `ReflectionPad2d`."""


@keras.saving.register_keras_serializable("keras_blitz")
class ConstantPad2d(_ConstantPad):
    """Put a value around images (N, H, W, C); a negative padding takes values away. Arguments in `ReflectionPad2d`."""

    rank = 2


@keras.saving.register_keras_serializable("keras_blitz")
class ConstantPad3d(_ConstantPad):
    """Put a value around volumes (N, D, H, W, C); a negative padding takes values away."""

    rank = 3


@keras.saving.register_keras_serializable("keras_blitz")
class ZeroPad1d(_Pad):
    """Put zeros around sequences (N, L, C); `keras.layers.ZeroPadding1D` takes no negative padding."""


@keras.saving.register_keras_serializable("keras_blitz")
class ZeroPad2d(_Pad):
    """Put zeros around images (N, H, W, C).

    `keras.layers.ZeroPadding2D` takes ((top, bottom), (left, right)), not (left, right, top, bottom), and no negative
    padding.
    """

    rank = 2


@keras.saving.register_keras_serializable("keras_blitz")
class ZeroPad3d(_Pad):
    """Put zeros around volumes (N, D, H, W, C)."""

    rank = 3


@keras.saving.register_keras_serializable("keras_blitz")
class ReflectionPad1d(_Pad):
    """Reflect sequences (N, L, C) at their edges, which are not repeated."""

    mode = "reflect"


@keras.saving.register_keras_serializable("keras_blitz")
class ReflectionPad2d(_Pad):
    """Reflect images (N, H, W, C) at their edges, which are not repeated.

    Keras has no such layer; `tf.pad(…, "SYMMETRIC")` repeats the edge (gap pad-symmetric-vs-reflect: differs by 1.6).

    Args:
        padding: on each side, or (left, right, top, bottom), less than the image's size.

    Source: torch/nn/modules/padding.py.
    """

    rank, mode = 2, "reflect"


@keras.saving.register_keras_serializable("keras_blitz")
class ReflectionPad3d(_Pad):
    """Reflect volumes (N, D, H, W, C) at their edges, which are not repeated."""

    rank, mode = 3, "reflect"


@keras.saving.register_keras_serializable("keras_blitz")
class ReplicationPad1d(_Pad):
    """Repeat the first and last values of sequences (N, L, C)."""

    mode = "replicate"


@keras.saving.register_keras_serializable("keras_blitz")
class ReplicationPad2d(_Pad):
    """Repeat the edges of images (N, H, W, C). Keras has no such layer."""

    rank, mode = 2, "replicate"


@keras.saving.register_keras_serializable("keras_blitz")
class ReplicationPad3d(_Pad):
    """Repeat the edges of volumes (N, D, H, W, C)."""

    rank, mode = 3, "replicate"


@keras.saving.register_keras_serializable("keras_blitz")
class CircularPad1d(_Pad):
    """Continue sequences (N, L, C) with their other end."""

    mode = "circular"


@keras.saving.register_keras_serializable("keras_blitz")
class CircularPad2d(_Pad):
    """Continue images (N, H, W, C) with their other side. Keras has no such layer."""

    rank, mode = 2, "circular"


@keras.saving.register_keras_serializable("keras_blitz")
class CircularPad3d(_Pad):
    """Continue volumes (N, D, H, W, C) with their other side."""

    rank, mode = 3, "circular"
