import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_blitz.errors import BlitzError
from keras_blitz.weights import layout
from keras_blitz.weights.flow import flow, parameters
from keras_blitz.weights.layout import Layout

sizes = st.integers(1, 5)


def named(name):
    """A layer of a class of this name, all that the table of kinds looks at."""
    return type(name, (), {})()


@given(st.tuples(sizes, sizes, sizes, sizes))
def test_conv_kernel_is_oihw(shape):
    kernel = np.arange(np.prod(shape)).reshape(shape)
    _, layout_ = parameters(named("Conv2D"))["kernel"]
    torch = layout_.to_torch(kernel)
    height, width, inputs, outputs = shape
    assert torch.shape == layout_.torch_shape(shape) == (outputs, inputs, height, width)
    assert torch[outputs - 1, 0, height - 1, 0] == kernel[height - 1, 0, 0, outputs - 1]
    np.testing.assert_array_equal(layout_.to_keras(torch), kernel)


@pytest.mark.covers("W4")
@given(st.tuples(sizes, sizes, sizes), sizes)
def test_dense_kernel_behind_a_flatten_undoes_the_flatten(hwc, outputs):
    height, width, channels = hwc
    kernel = np.arange(np.prod(hwc) * outputs).reshape(-1, outputs)
    lies = layout.dense_kernel(hwc)
    torch = lies.to_torch(kernel)
    expected = kernel.reshape(height, width, channels, outputs).transpose(3, 2, 0, 1).reshape(outputs, -1)
    np.testing.assert_array_equal(torch, expected)
    assert lies.torch_shape(kernel.shape) == torch.shape
    np.testing.assert_array_equal(lies.to_keras(torch), kernel)


@given(sizes, st.tuples(sizes, sizes, sizes))
def test_flattened_activation_is_in_channel_height_width_order(batch, hwc):
    images = np.arange(batch * np.prod(hwc)).reshape(batch, *hwc)
    lies = layout.flattened(hwc)
    torch = lies.to_torch(images.reshape(batch, -1))
    np.testing.assert_array_equal(torch, images.transpose(0, 3, 1, 2).reshape(batch, -1))
    np.testing.assert_array_equal(lies.to_keras(torch), images.reshape(batch, -1))


def test_flatten_of_unlike_axes_by_hand():
    # H=1, W=2, C=2: Keras's order is (w0c0, w0c1, w1c0, w1c1), PyTorch's (c0w0, c0w1, c1w0, c1w1).
    np.testing.assert_array_equal(layout.flattened((1, 2, 2)).to_torch(np.array([[1, 2, 3, 4]])), [[1, 3, 2, 4]])


def test_same_layout_changes_nothing():
    array = np.arange(6).reshape(2, 3)
    assert Layout().to_torch(array) is array
    assert Layout().to_keras(array) is array
    assert Layout().torch_shape((2, 3)) == (2, 3)


def by_name(found):
    return {layer.name: sizes for layer, sizes in found.flattened_inputs.items()}


def test_flow_follows_the_flatten_through_relu_and_dropout():
    import keras
    from keras import layers

    inputs = keras.Input((2, 3, 4))
    x = layers.Flatten(name="flatten")(inputs)
    x = layers.Dropout(0.5, name="dropout")(layers.ReLU(name="relu")(x))
    x = layers.Dense(5, name="first")(x)
    model = keras.Model(inputs, layers.Dense(6, name="second")(x))
    found = flow(model)
    assert by_name(found) == {"dropout": (2, 3, 4), "relu": (2, 3, 4), "first": (2, 3, 4)}
    assert found.outputs["relu", 0] == layout.flattened((2, 3, 4))
    assert found.outputs["first", 0] == layout.SAME


def test_layer_without_a_declared_layout_is_named():
    import keras

    layer = keras.layers.EinsumDense("ab,bc->ac", 2, name="norm")
    layer.build((None, 3))
    with pytest.raises(BlitzError, match=r"layer 'norm': no weight layout is declared for EinsumDense"):
        parameters(layer)


def flattened_model(*behind):
    import keras

    inputs = keras.Input((2, 3, 4))
    x = inputs
    for layer in behind:
        x = layer(x)
    return keras.Model(inputs, x)


def test_a_dense_layer_as_wide_as_its_input_ends_the_flattened_order():
    from keras import layers

    model = flattened_model(layers.Flatten(), layers.Dense(24, name="a"), layers.Dense(5, name="b"))
    assert by_name(flow(model)) == {"a": (2, 3, 4)}
    assert flow(model).outputs["a", 0] == layout.SAME


def test_a_reshape_to_one_axis_is_a_flatten():
    from keras import layers

    model = flattened_model(layers.Reshape((-1,)), layers.Dense(5, name="a"))
    assert by_name(flow(model)) == {"a": (2, 3, 4)}


def test_batch_norm_behind_a_flatten_has_its_features_reordered():
    from keras import layers

    from keras_blitz.layers import BatchNorm
    from keras_blitz.weights import load_state_dict

    model = flattened_model(layers.Flatten(), BatchNorm(name="bn"), layers.Dense(5, name="a"))
    assert by_name(flow(model)) == {"bn": (2, 3, 4), "a": (2, 3, 4)}
    rng = np.random.RandomState(0)
    state = {f"bn.{name}": rng.rand(24).astype("float32") for name in ("weight", "bias", "running_mean", "running_var")}
    state |= {"bn.num_batches_tracked": np.array(7), "a.weight": rng.randn(5, 24).astype("float32")}
    state["a.bias"] = np.zeros(5, "float32")
    load_state_dict(model, state)
    images = rng.randn(3, 4, 2, 3).astype("float32")  # N, C, H, W
    flat = images.reshape(3, -1)
    scaled = (flat - state["bn.running_mean"]) / np.sqrt(state["bn.running_var"] + 1e-5)
    expected = (scaled * state["bn.weight"] + state["bn.bias"]) @ state["a.weight"].T
    np.testing.assert_allclose(model(images.transpose(0, 2, 3, 1)), expected, rtol=1e-4, atol=1e-4)


def test_an_undeclared_layer_behind_a_flatten_is_named():
    import keras

    from keras_blitz.weights.held import of_place
    from keras_blitz.weights.paths import Place

    class Mine(keras.layers.Conv2D):
        pass

    layer = Mine(2, 1, name="mine")
    layer.build((None, 4, 4, 3))
    with pytest.raises(BlitzError, match="layer 'mine': no weight layout is declared for Mine after a Flatten"):
        of_place(Place("mine", layer, tuple(layer.weights)), (2, 3, 4))
