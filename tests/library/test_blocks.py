"""Weights filled and read some rows at a time: the same bits as all at once, for every kind of layout."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_blitz.errors import CheckpointError
from keras_blitz.initializers import all_zero
from keras_blitz.weights import blocks, load_state_dict, read_state, state_dict, tensors, write_model
from keras_blitz.weights.layout import SAME, Layout, dense_kernel, feature_vector
from keras_blitz.weights.tensors import tensor_of

pytestmark = pytest.mark.covers("W1")


@pytest.fixture
def small(monkeypatch):
    """Blocks of 1,000 bytes."""
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    monkeypatch.setattr(tensors, "BLOCK", 1000)


def images(dtype="float32"):
    given = keras.Input((6, 5, 4))
    x = layers.Conv2D(30, 3, name="conv", dtype=dtype)(given)
    x = layers.Conv2DTranspose(20, 3, name="up", dtype=dtype)(x)
    return keras.Model(given, layers.Dense(50, name="fc", dtype=dtype)(layers.Flatten(dtype=dtype)(x)))


def words(dtype="float32"):
    options = {"dtype": dtype}
    inner = [layers.Embedding(500, 7, name="embed", **options), layers.Dense(300, name="fc", **options)]
    lstm = layers.LSTM(9, recurrent_initializer="zeros", name="lstm", **options)  # the default has no bfloat16
    return keras.Sequential([keras.Input((4,)), *inner, lstm])


def drawn(model):
    rng = np.random.RandomState(0)
    return {name: rng.standard_normal(value.shape).astype(value.dtype) for name, value in state_dict(model).items()}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("make", [images, words])
def test_blocks_are_the_whole(small, tmp_path, make, dtype):
    model, state = make(dtype), drawn(make(dtype))
    for name in state:
        if name.startswith("lstm.bias_hh"):
            state[name] = np.zeros_like(state[name])
    load_state_dict(model, {name: np.asarray(value, "float64") for name, value in state.items()})
    assert sum(len(list(blocks.rows(w))) for w in blocks_of(model)) > len(state)
    write_model(model, tmp_path / "a.safetensors")
    for read in (state_dict(model), read_state(tmp_path / "a.safetensors")):
        assert set(read) == set(state)
        assert all(np.array_equal(read[name].astype("float64"), state[name].astype("float64")) for name in state)


def blocks_of(model):
    from keras_blitz.weights import weights

    return weights(model)


def test_a_variable_that_was_filled_in_blocks_is_read_without_a_copy(small):
    model = words()
    load_state_dict(model, drawn(model))
    kernel = model.get_layer("fc").kernel
    assert blocks.view(kernel).ctypes.data == blocks.view(kernel).ctypes.data


def test_the_axis_of_rows():
    assert blocks.row_axis(SAME) == 0
    assert blocks.row_axis(Layout((3, 2, 0, 1))) == 3
    assert blocks.row_axis(dense_kernel((2, 3, 4))) == 1
    assert blocks.row_axis(feature_vector((2, 3, 4))) is None


def test_a_value_in_the_last_block_that_would_be_rounded_is_found(small):
    model = words()
    state = {name: value.astype("float64") for name, value in drawn(model).items()}
    before = [value.copy() for value in model.get_weights()]
    state["embed.weight"][-1, -1] = 0.1
    with pytest.raises(CheckpointError, match=r"embed\.weight float64 to float32"):
        load_state_dict(model, state)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_blocks_of_a_tensor(small):
    array = np.arange(700, dtype="float32").reshape(100, 7)
    starts, parts = zip(*tensor_of("a", array).blocks(), strict=True)
    assert starts == (0, 35, 70)
    assert np.array_equal(np.concatenate(parts), array)
    assert [part.shape for _, part in tensor_of("a", np.float32(3)).blocks()] == [()]
    assert list(tensor_of("a", np.zeros((0, 3))).blocks()) == []


def test_weights_of_zeros_last_for_the_block():
    before = keras.layers.Layer.add_weight
    with pytest.raises(ZeroDivisionError), all_zero():
        dense = layers.Dense(3, kernel_initializer="ones")
        dense.build((None, 2))
        assert not dense.kernel.numpy().any()
        _ = 1 / 0
    assert keras.layers.Layer.add_weight is before
