"""L5: interpolate and Upsample against torch.nn in every mode, over sizes and factors."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume
from hypothesis import strategies as st

from keras_blitz import layers
from keras_blitz.layers.upsample import MODES

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, assert_same, first, images, last, over  # noqa: E402

F = torch.nn.functional
seeds = st.integers(0, 2**16)
sizes = st.lists(st.integers(1, 7), min_size=3, max_size=3)
factors = st.sampled_from([0.4, 0.5, 0.75, 1.0, 1.3, 1.5, 2.0, 2.6, 3.0])


def gives_the_same(x, **options):
    given = torch.tensor(x, requires_grad=True)
    expected = F.interpolate(given, **options)
    upstream = np.random.RandomState(1).randn(*expected.shape)
    expected.backward(torch.tensor(upstream))
    ours = tf.constant(last(x))
    with tf.GradientTape() as tape:
        tape.watch(ours)
        actual = layers.interpolate(ours, **options)
    assert_close(first(actual.numpy()), expected.detach().numpy())
    assert_close(first(tape.gradient(actual, ours, last(upstream)).numpy()), given.grad.numpy())


@pytest.mark.parametrize("factor", [1.2, 1.3])
@pytest.mark.parametrize(("mode", "size", "antialias"), [
    ("linear", (2,), False), ("bilinear", (3, 5), False), ("bilinear", (3, 5), True), ("trilinear", (2, 3, 2), False),
    ("bicubic", (3, 5), False), ("bicubic", (3, 5), True), ("nearest", (3, 5), False), ("nearest-exact", (2, 3), False),
])  # fmt: skip
def test_an_axis_whose_size_stays(mode, size, antialias, factor):
    """PyTorch copies it in the linear modes, with antialiasing and in "nearest" of images; the factor is not 1."""
    x, options = images(0, 2, 3, *size), {"mode": mode, "scale_factor": (factor,) * len(size)}
    if not antialias:
        gives_the_same(x, **options)
        return
    expected = F.interpolate(torch.tensor(x), antialias=True, **options)
    assert_close(first(layers.interpolate(tf.constant(last(x)), antialias=True, **options).numpy()), expected.numpy())


@over(
    few=40, many=400, seed=seeds, mode=st.sampled_from(sorted(MODES)), rank=st.integers(1, 3), size=sizes,
    output=st.none() | sizes, factor=st.lists(factors, min_size=3, max_size=3),
    align=st.sampled_from([None, False, True]), recompute=st.booleans(), antialias=st.booleans(),
)  # fmt: skip
def test_interpolate(seed, mode, rank, size, output, factor, align, recompute, antialias):
    rank = MODES[mode] or rank
    options = {"mode": mode} | ({"align_corners": align} if MODES[mode] else {})
    if antialias and mode in ("bilinear", "bicubic"):
        options["antialias"] = True
    if output is None:
        made = [int(np.floor(n * f)) for n, f in zip(size[:rank], factor, strict=False)]
        assume(all(made))
        # Where a size stays, PyTorch's gradient is not that of what it returns in these modes.
        stays = any(n == after and f != 1 for n, after, f in zip(size, made, factor, strict=False))
        unlike = mode == "bicubic" or options.get("antialias") or (mode == "nearest" and rank != 2)
        assume(recompute or not (stays and unlike))
        options |= {"scale_factor": tuple(factor[:rank]), "recompute_scale_factor": recompute or None}
    else:
        options["size"] = tuple(output[:rank])
    # Antialiased to a width of 1, PyTorch 2.13 repeats the first row in all others (see the test below).
    width = output[1] if output else int(np.floor(size[1] * factor[1]))
    assume(not options.get("antialias") or width > 1)
    gives_the_same(images(seed, 2, 3, *size[:rank]), **options)


def test_antialiased_to_a_width_of_1_is_pytorchs_of_the_transposed_image():
    """PyTorch 2.13 is wrong there, and right for the same image with height and width exchanged."""
    x = images(0, 2, 3, 5, 4)
    options = {"mode": "bilinear", "antialias": True}
    expected = F.interpolate(torch.tensor(x.swapaxes(2, 3).copy()), (1, 2), **options).numpy().swapaxes(2, 3)
    assert_close(first(layers.interpolate(last(x), (2, 1), **options).numpy()), expected)


def test_the_layer():
    module = torch.nn.Upsample(scale_factor=(1.5, 2), mode="bilinear", align_corners=True)
    layer = layers.Upsample(scale_factor=(1.5, 2), mode="bilinear", align_corners=True, dtype="float64")
    assert_same(module, layer, images(0, 2, 3, 5, 4))
    assert_same(torch.nn.UpsamplingNearest2d(7), layers.Upsample(7, dtype="float64"), images(0, 2, 3, 5, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of size and scale_factor, not None and None"),
        ({"size": 4, "scale_factor": 2}, "give one of size and scale_factor, not 4 and 2"),
        ({"size": (4, 4, 4)}, r"size or scale_factor must be one number or 2, not \(4, 4, 4\)"),
        ({"size": 4, "mode": "cubic"}, "mode must be one of nearest, .*, not 'cubic'"),
        ({"size": 4, "mode": "linear"}, "mode 'linear' is for 1 axes between examples and channels, not 2"),
        ({"size": 4, "align_corners": False}, "align_corners is for the linear and cubic modes, not for 'nearest'"),
        ({"size": 4, "antialias": True}, "antialias is for bilinear and bicubic, not 'nearest'"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        layers.interpolate(np.ones((1, 3, 3, 1)), **options)
