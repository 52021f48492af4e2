"""torch.nn's dropout layers, whose mask can be given."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import random
from keras_blitz.errors import BlitzError

Mask = Callable[[tuple[int, ...]], np.ndarray]

if TYPE_CHECKING:
    from keras.layers import Dropout as _Dropout  # what the class below is mixed into
else:
    _Dropout = object


class _MaskedDropout(_Dropout):
    """Multiply by a given mask in train mode; draw one where none is given.

    No seed makes Keras draw PyTorch's mask (gap dropout-rng), so two runs are compared through the same one;
    `keras_blitz.random.dropout_mask` and `dropout2d_mask` draw PyTorch's.
    """

    # shape (N, …, C) -> values 0 or 1/(1 − p); what PyTorch's mask holds, in Keras's layout
    mask: Mask | None = None

    # a mask has one value for each channel, (N, 1, …, C)
    whole_channels = False

    def call(self, inputs, training=False):
        """Drop values in train mode."""
        if not training or self.mask is None:
            return super().call(inputs, training=training)
        mask = self.mask(tuple(inputs.shape)) if inputs.shape.is_fully_defined() else self._mask_when_run(inputs)
        outputs = self._drop(inputs, mask if tf.is_tensor(mask) else tf.constant(mask, inputs.dtype))
        outputs.set_shape(inputs.shape)  # a mask that is drawn later has none yet
        return outputs

    def _drop(self, inputs, mask):
        return inputs * mask

    def _mask_when_run(self, inputs):
        """Ask for the mask when the graph runs, because only then the batch size is known."""

        def values(shape: np.ndarray) -> np.ndarray:
            mask = cast(Mask, self.mask)  # of that moment: a test may have given another since
            return np.asarray(mask(tuple(shape)), inputs.dtype.name)

        return tf.numpy_function(values, [tf.shape(inputs)], inputs.dtype)

    def draw_masks(self) -> None:
        """Draw PyTorch's mask from `keras_blitz.random` at every step, compiled or not (XLA alone cannot)."""
        drawn = random.dropout2d_mask if self.whole_channels else random.dropout_mask

        def mask(shape):
            values = partial(drawn, tuple(int(size) for size in shape), self.rate, self.compute_dtype, True)
            return values() if tf.executing_eagerly() else tf.numpy_function(values, [], self.compute_dtype)

        self.mask = mask

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        config = super().get_config()
        return {"p": config.pop("rate"), **config}


@keras.saving.register_keras_serializable("keras_blitz")
class Dropout(_MaskedDropout, keras.layers.Dropout):
    """Set values to zero with probability p in train mode, and scale the others by 1/(1 − p).

    Args:
        p: 0–1.
        options: `seed`, `name`, `dtype` … of Keras's layer.

    Source: torch/nn/modules/dropout.py.
    """

    def __init__(self, p: float = 0.5, **options):
        super().__init__(p, **options)


@keras.saving.register_keras_serializable("keras_blitz")
class Dropout1d(_MaskedDropout, keras.layers.SpatialDropout1D):
    """Set whole channels of sequences (N, L, C) to zero, see `Dropout2d`.

    Source: torch/nn/modules/dropout.py.
    """

    whole_channels = True

    def __init__(self, p: float = 0.5, **options):
        super().__init__(p, **options)


@keras.saving.register_keras_serializable("keras_blitz")
class Dropout2d(_MaskedDropout, keras.layers.SpatialDropout2D):
    """Set whole channels to zero with probability p in train mode, and scale the others by 1/(1 − p).

    Args:
        p: 0–1.
        options: `seed`, `name`, `dtype` … of Keras's layer.

    Shapes:
        input and output (N, H, W, C); a mask is (N, 1, 1, C).

    Source: torch/nn/modules/dropout.py.
    """

    whole_channels = True

    def __init__(self, p: float = 0.5, **options):
        super().__init__(p, **options)


@keras.saving.register_keras_serializable("keras_blitz")
class Dropout3d(_MaskedDropout, keras.layers.SpatialDropout3D):
    """Set whole channels of volumes (N, D, H, W, C) to zero, see `Dropout2d`.

    Source: torch/nn/modules/dropout.py.
    """

    whole_channels = True

    def __init__(self, p: float = 0.5, **options):
        super().__init__(p, **options)


@keras.saving.register_keras_serializable("keras_blitz")
class AlphaDropout(_MaskedDropout, keras.layers.AlphaDropout):
    """Set values to SELU's lower limit with probability p in train mode, and keep mean and variance.

    y = a·(x·m + α′·(1 − m)) + b, with m 0 or 1, α′ ≈ −1.758, a = ((1 − p)·(1 + p·α′²))^−½, b = −a·α′·p

    `keras.layers.AlphaDropout` computes the same; no seed makes it draw PyTorch's mask.

    Args:
        p: 0–1.
        options: `seed`, `name`, `dtype` … of Keras's layer.

    Source: torch/nn/modules/dropout.py.
    """

    def __init__(self, p: float = 0.5, **options):
        super().__init__(p, **options)

    def _drop(self, inputs, mask):
        if self.rate in (0, 1):
            return inputs * (1 - self.rate)
        lowest = -1.7580993408473766
        a = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        return tf.where(mask > 0, inputs * a, tf.constant(lowest * a, inputs.dtype)) - a * lowest * self.rate


@keras.saving.register_keras_serializable("keras_blitz")
class FeatureAlphaDropout(AlphaDropout):
    """Set whole channels to SELU's lower limit, see `AlphaDropout`; a mask is (N, 1, …, C).

    Source: torch/nn/modules/dropout.py.
    """

    whole_channels = True

    def call(self, inputs, training=False):
        """Drop channels in train mode."""
        if not training or self.mask is not None:
            return super().call(inputs, training=training)
        shape = (tf.shape(inputs)[0], *[1] * (len(inputs.shape) - 2), inputs.shape[-1])
        kept = keras.random.uniform(shape, dtype=inputs.dtype, seed=self.seed_generator) >= self.rate
        return self._drop(inputs, tf.cast(kept, inputs.dtype))


@keras.saving.register_keras_serializable("keras_blitz")
class StochasticDepth(_MaskedDropout, keras.layers.Dropout):
    """Leave out whole examples of a residual branch in train mode, and scale the others.

    y = x · m / (1 − p), m is 1 with probability 1 − p: one for each example, or one for the whole batch

    It is torchvision's StochasticDepth, and timm's DropPath, which has a row for each example. No seed makes Keras draw
    PyTorch's rows.

    Args:
        p: 0–1.
        mode: "row" or "batch".
        options: `seed`, `name`, `dtype` … of Keras's layer.

    Shapes:
        input and output (N, …); a mask is (N, 1, …) or (1, 1, …).

    Raises:
        BlitzError: another mode.

    Source: torchvision/ops/stochastic_depth.py.
    """

    def __init__(self, p: float = 0.5, mode: str = "row", **options):
        if mode not in ("row", "batch"):
            raise BlitzError(f'StochasticDepth: mode must be "row" or "batch", not {mode!r}')
        super().__init__(p, **options)
        self.mode = mode

    def call(self, inputs, training=False):
        """Leave examples out in train mode."""
        self.noise_shape = (None if self.mode == "row" else 1, *[1] * (len(inputs.shape) - 1))
        return super().call(inputs, training=training)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        config = super().get_config()
        del config["noise_shape"]
        return {**config, "mode": self.mode}
