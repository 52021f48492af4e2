"""L5: grid_sample and affine_grid against torch.nn.functional, every mode, outputs and both gradients."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, first, images, last, over  # noqa: E402

F = torch.nn.functional
MODES = ("bilinear", "nearest", "bicubic")
PADDING = ("zeros", "border", "reflection")
seeds = st.integers(0, 2**16)


def gives_the_same(x, grid, mode, padding, aligned):
    """Compare outputs and the gradients of inputs and grid."""
    given, places = (torch.tensor(each, requires_grad=True) for each in (x, grid))
    expected = F.grid_sample(given, places, mode, padding, aligned)
    upstream = np.random.RandomState(1).randn(*expected.shape)
    expected.backward(torch.tensor(upstream))
    ours, ours_at = tf.constant(last(x)), tf.constant(grid)
    with tf.GradientTape() as tape:
        tape.watch([ours, ours_at])
        actual = layers.grid_sample(ours, ours_at, mode, padding, aligned)
    to_inputs, to_grid = tape.gradient(actual, [ours, ours_at], tf.constant(last(upstream)))
    assert_close(first(actual.numpy()), expected.detach().numpy())
    assert_close(first(to_inputs.numpy()), given.grad.numpy())
    assert_close(to_grid.numpy(), places.grad.numpy())


@over(
    few=2, many=120, seed=seeds, mode=st.sampled_from(MODES), padding=st.sampled_from(PADDING), aligned=st.booleans(),
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=3), spread=st.sampled_from([0.5, 1.0, 3.0]),
)  # fmt: skip
def test_grid_sample(seed, mode, padding, aligned, sizes, spread):
    if len(sizes) == 3 and mode == "bicubic":
        sizes = sizes[:2]
    grid = spread * images(seed + 1, 2, *(n + 1 for n in sizes), len(sizes))
    gives_the_same(images(seed, 2, 3, *sizes), grid, mode, padding, aligned)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("aligned", [False, True])
def test_places_on_the_edges_and_halfway(mode, padding, aligned):
    """Where clipping, rounding and reflection decide: ±1, the centers, between two, far outside."""
    axis = np.array([-7.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 7.0])
    grid = np.stack(np.meshgrid(axis, axis[::2]), -1)[np.newaxis]
    gives_the_same(images(0, 1, 2, 4, 8), grid, mode, padding, aligned)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior")  # of PyTorch, where a size is 1
@over(few=5, many=50, seed=seeds, sizes=st.lists(st.integers(1, 5), min_size=2, max_size=3), aligned=st.booleans())
def test_affine_grid(seed, sizes, aligned):
    theta = images(seed, 2, len(sizes), len(sizes) + 1)
    expected = F.affine_grid(torch.tensor(theta), (2, 3, *sizes), aligned)
    assert_close(layers.affine_grid(tf.constant(theta), (2, *sizes, 3), aligned).numpy(), expected.numpy())


def test_values_that_are_not_finite_outside_of_the_window_do_not_spread():
    x = images(0, 1, 1, 3, 4)
    x[0, 0, 2, 3] = np.inf
    grid = np.array([[[[-0.5, -0.5], [-4.0, 0.0]]]])
    gives_the_same(x, grid, "bilinear", "zeros", False)


@pytest.mark.parametrize(
    ("inputs", "grid", "options", "message"),
    [
        ((1, 2, 3, 4), (1, 5, 6, 2), {"mode": "cubic"}, "mode must be one of bilinear, nearest, bicubic, not 'cubic'"),
        ((1, 2, 3, 4), (1, 5, 6, 2), {"padding_mode": "same"}, "padding_mode must be one of zeros, border, reflection"),
        ((1, 2, 3, 4), (1, 5, 6, 3), {}, r"grid \(1, 5, 6, 3\) must be"),
        ((1, 2, 3, 4), (2, 5, 6, 2), {}, "different batch sizes"),
        ((1, 2, 3, 4, 5), (1, 5, 6, 2, 3), {"mode": "bicubic"}, "'bicubic' is for images"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, grid, options, message):
    with pytest.raises(ValueError, match=message):
        layers.grid_sample(tf.zeros(inputs), tf.zeros(grid), **options)


def test_an_affine_map_of_another_rank_is_refused():
    with pytest.raises(ValueError, match=r"theta \(2, 3, 4\) and size \(2, 5, 6, 1\) must be"):
        layers.affine_grid(tf.zeros((2, 3, 4)), (2, 5, 6, 1))
