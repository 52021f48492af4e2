"""`torch.nn.Upsample` and `torch.nn.functional.interpolate` on channels-last tensors."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.taps import Taps, find_taps

Scale = float | tuple[float, ...] | None

# The modes, by the number of axes that they are for; None: any.
MODES = {
    "nearest": None, "nearest-exact": None, "area": None, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3,
}  # fmt: skip


def interpolate(
    inputs: tf.Tensor,
    size: int | tuple[int, ...] | None = None,
    scale_factor: Scale = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> tf.Tensor:
    """Resize the axes between examples and channels, as `torch.nn.functional.interpolate` does.

    output i is at (i + ½)·n/o − ½ of the n inputs; with `align_corners` at i·(n − 1)/(o − 1)

    `keras.layers.UpSampling2D` has neither `align_corners` nor antialiasing nor another factor than whole numbers, and
    its "bicubic" has a = −½ where PyTorch has −¾ (gap upsample-bicubic).

    An axis whose size stays is copied in the linear modes, with antialiasing and in "nearest" of images, whatever the
    factor, as PyTorch does. In "nearest" of sequences and volumes, and in "bicubic" where all sizes stay, it copies the
    gradient alone, with antialiasing all but the gradient: there that is not the gradient of what it returns; ours is.

    Args:
        inputs: (N, …, C) with one to three axes, whose sizes are known.
        size: of the outputs, a number or one for each axis.
        scale_factor: in its place, outputs ÷ inputs. It is taken as it is, not as ⌊n·factor⌋/n, where they differ.
        mode: "nearest", "nearest-exact", "area"; "linear" for one axis, "bilinear", "bicubic" for two, "trilinear".
        align_corners: the first and last values of both grids are at the same place; not for the first three modes.
        recompute_scale_factor: take ⌊n·factor⌋/n for the factor.
        antialias: widen the filter where the result is smaller; "bilinear" and "bicubic".

    Raises:
        ValueError: an argument out of range, or the size of an axis is not known.

    Source: torch/nn/functional.py, ATen's UpSampleKernel.cpp.
    """
    shape = inputs.shape[1:-1]
    check(mode, align_corners, antialias, len(shape))
    if None in tuple(shape):
        raise ValueError(f"interpolate: the sizes of the inputs must be known, not {inputs.shape}")
    outputs, factors = output_sizes(tuple(shape), size, scale_factor)
    if recompute_scale_factor:
        factors = (None,) * len(shape)
    for axis, (before, after, factor) in enumerate(zip(shape, outputs, factors, strict=True), 1):
        if before == after and _copies(mode, len(shape), antialias):
            continue
        dtype = "float64" if inputs.dtype == tf.float64 else "float32"
        taps = find_taps(before, after, factor, mode, bool(align_corners), antialias, dtype)
        inputs = _resample(inputs, axis, taps)
    return inputs


def _copies(mode: str, rank: int, antialias: bool) -> bool:
    """Return whether PyTorch copies an axis whose size stays, though the factor that was given is not 1."""
    return antialias or mode.endswith("linear") or (mode == "nearest" and rank == 2)


def check(mode: str, align_corners: bool | None, antialias: bool, rank: int) -> None:
    """Raise a ValueError where the arguments do not fit each other, or a tensor of this many axes."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if MODES[mode] not in (None, rank):
        raise ValueError(f"mode {mode!r} is for {MODES[mode]} axes between examples and channels, not {rank}")
    if align_corners is not None and MODES[mode] is None:
        raise ValueError(f"align_corners is for the linear and cubic modes, not for {mode!r}; leave it out")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"antialias is for bilinear and bicubic, not {mode!r}")


def output_sizes(
    shape: tuple[int, ...], size: int | tuple[int, ...] | None, scale_factor: Scale
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Return the outputs' sizes, and the factors where they were given.

    Raises:
        ValueError: not exactly one of `size` and `scale_factor`, or not one for each axis.
    """
    if (size is None) == (scale_factor is None):
        raise ValueError(f"give one of size and scale_factor, not {size} and {scale_factor}")
    given = scale_factor if size is None else size
    each: tuple = tuple(given) if isinstance(given, tuple | list) else (given,) * len(shape)
    if len(each) != len(shape):
        raise ValueError(f"size or scale_factor must be one number or {len(shape)}, not {given!r}")
    if size is not None:
        return each, (None,) * len(shape)
    return tuple(int(np.floor(n * factor)) for n, factor in zip(shape, each, strict=True)), tuple(map(float, each))


def _resample(inputs: tf.Tensor, axis: int, taps: Taps) -> tf.Tensor:
    shape = [1] * len(inputs.shape)
    shape[axis] = -1
    total = None
    for indices, weights in zip(taps.indices.T, taps.weights.T, strict=True):
        part = tf.gather(inputs, indices, axis=axis)
        if np.any(weights != 1):
            part *= tf.constant(weights.reshape(shape), inputs.dtype)
        total = part if total is None else total + part
    return total


@keras.saving.register_keras_serializable("keras_blitz")
class Upsample(keras.layers.Layer):
    """`interpolate` as a layer, also for `torch.nn.UpsamplingNearest2d` and `UpsamplingBilinear2d`.

    `UpsamplingBilinear2d` is `Upsample(…, mode="bilinear", align_corners=True)`.

    Args:
        size, scale_factor, mode, align_corners, recompute_scale_factor, antialias: as for `interpolate`.

    Shapes:
        input (N, …, C) with known sizes, output (N, …, C).

    Source: torch/nn/modules/upsampling.py.
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: Scale = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        antialias: bool = False,
        **options,
    ):
        super().__init__(**options)
        self.size: Any = tuple(size) if isinstance(size, list) else size
        self.scale_factor: Any = tuple(scale_factor) if isinstance(scale_factor, list) else scale_factor
        self.mode = mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor
        self.antialias = antialias

    def call(self, inputs):
        """Resize."""
        options = self.mode, self.align_corners, self.recompute_scale_factor, self.antialias
        return interpolate(inputs, self.size, self.scale_factor, *options)

    def compute_output_shape(self, input_shape):
        """Return (N, …, C)."""
        outputs, _ = output_sizes(tuple(input_shape[1:-1]), self.size, self.scale_factor)
        return (input_shape[0], *outputs, input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "scale_factor": self.scale_factor,
            "mode": self.mode,
            "align_corners": self.align_corners,
            "recompute_scale_factor": self.recompute_scale_factor,
            "antialias": self.antialias,
        }
