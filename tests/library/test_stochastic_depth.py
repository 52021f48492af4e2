"""keras_blitz's StochasticDepth: whole examples, or the whole batch."""

import keras
import numpy as np
import pytest

from keras_blitz.errors import BlitzError
from keras_blitz.layers import StochasticDepth


@pytest.mark.parametrize(("mode", "kinds"), [("row", {0.0, 1.25}), ("batch", {1.25})])
@pytest.mark.parametrize("rank", [2, 4])
def test_examples_are_kept_whole_and_scaled(mode, kinds, rank):
    ones = np.ones((40, *[3] * (rank - 1)), "f")
    layer = StochasticDepth(0.2, mode, seed=1)
    kept = np.asarray(layer(ones, training=True)).reshape(40, -1)
    assert (kept == kept[:, :1]).all()
    assert set(np.unique(kept).round(6)) == kinds
    np.testing.assert_array_equal(layer(ones), ones)


def test_a_mask_that_is_given_is_taken():
    layer = StochasticDepth(0.5)
    layer.mask = lambda shape: np.array([[0.0], [2.0]], "f")
    np.testing.assert_array_equal(layer(np.ones((2, 3), "f"), training=True), [[0, 0, 0], [2, 2, 2]])


def test_it_survives_a_file_and_takes_another_batch(tmp_path):
    model = keras.Sequential([keras.Input((3,)), StochasticDepth(0.3, "batch", name="drop"), keras.layers.Dense(3)])
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras").get_layer("drop")
    assert (again.rate, again.mode, again.name) == (0.3, "batch", "drop")
    model.compile("sgd", "mse")
    model.fit(np.ones((5, 3), "f"), np.ones((5, 3), "f"), batch_size=2, verbose=0)


def test_another_mode_is_one_line():
    with pytest.raises(BlitzError, match='mode must be "row" or "batch", not \'column\''):
        StochasticDepth(0.5, "column")
