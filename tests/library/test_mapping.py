import keras
import numpy as np
import pytest

from keras_blitz.errors import CheckpointError
from keras_blitz.models import LeNet
from keras_blitz.weights import load_state_dict, state_dict
from keras_blitz.weights.mapping import weights


def random_state(model, dtype="float32"):
    rng = np.random.RandomState(3)
    return {weight.name: rng.randn(*weight.shape).astype(dtype) for weight in weights(model)}


@pytest.fixture
def state(lenet):
    return random_state(lenet)


def assert_equal_bits(actual, expected):
    assert list(actual) == list(expected)
    for name in expected:
        assert actual[name].tobytes() == expected[name].tobytes(), name


@pytest.mark.covers("W1", "H15")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_bit_exact(dtype):
    model = LeNet(dtype=dtype)
    state = random_state(model, dtype)
    load_state_dict(model, state)
    assert_equal_bits(state_dict(model), state)


def test_arrays_are_contiguous(lenet):
    """`safetensors.torch.save_file` refuses a tensor made of an array that is a transposed view."""
    assert all(array.flags.c_contiguous for array in state_dict(lenet).values())


@pytest.mark.covers("W4", "H15")
def test_the_first_dense_kernel_is_permuted_not_copied(lenet, state):
    load_state_dict(lenet, state)
    # PyTorch's column c·25 + h·5 + w is Keras's row h·80 + w·16 + c.
    c, h, w = 7, 2, 4
    assert lenet.fc1.kernel.numpy()[h * 80 + w * 16 + c, 11] == state["fc1.weight"][11, c * 25 + h * 5 + w]


@pytest.mark.covers("W3")
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "model.", "module._orig_mod."])
def test_known_prefixes_are_dropped(lenet, state, prefix):
    load_state_dict(lenet, {prefix + name: value for name, value in state.items()})
    assert_equal_bits(state_dict(lenet), state)


@pytest.mark.covers("W3")
def test_wrapped_dictionary_is_unwrapped(lenet, state):
    load_state_dict(lenet, {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 7})
    assert_equal_bits(state_dict(lenet), state)


def test_prefix_takes_only_what_is_under_it(lenet, state):
    load_state_dict(lenet, {**{f"net.{k}": v for k, v in state.items()}, "other.weight": np.zeros(3)}, prefix="net.")
    assert_equal_bits(state_dict(lenet), state)


def test_prefix_that_no_key_has(lenet, state):
    with pytest.raises(CheckpointError, match=r"no key starts with the prefix 'net\.'"):
        load_state_dict(lenet, state, prefix="net.")


@pytest.mark.covers("W3")
def test_replaced_head_is_left_as_it_is(lenet, state):
    state["fc3.weight"], state["fc3.bias"] = np.zeros((1000, 84), "float32"), np.zeros(1000, "float32")
    head = lenet.fc3.kernel.numpy()
    load_state_dict(lenet, state, skip=["fc3"])
    np.testing.assert_array_equal(lenet.fc3.kernel.numpy(), head)
    np.testing.assert_array_equal(state_dict(lenet)["fc2.weight"], state["fc2.weight"])


def test_skip_that_names_nothing(lenet, state):
    with pytest.raises(CheckpointError, match=r"skip='fc' names no module"):
        load_state_dict(lenet, state, skip=["fc"])


@pytest.mark.covers("W3")
def test_everything_that_does_not_fit_is_in_one_error_and_nothing_is_changed(lenet, state):
    before = state_dict(lenet)
    del state["conv2.bias"], state["fc2.weight"]
    state |= {"extra.weight": np.zeros(3, "float32"), "fc1.weight": np.zeros((400, 120), "float32")}
    state["conv1.bias"] = np.full(6, 0.1)
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(lenet, state)
    message = str(caught.value)
    assert "missing: conv2.bias, fc2.weight" in message
    assert "surplus: extra.weight" in message
    assert "fc1.weight is (400, 120), the model has (120, 400)" in message
    assert "conv1.bias float64 to float32" in message
    assert_equal_bits(state_dict(lenet), before)


def test_a_transposed_kernel_of_the_right_size_is_refused(lenet, state):
    state["fc3.weight"] = np.ascontiguousarray(state["fc3.weight"].T)
    with pytest.raises(CheckpointError, match=r"fc3\.weight is \(84, 10\), the model has \(10, 84\)"):
        load_state_dict(lenet, state)


def test_exact_widening_is_taken(state):
    model = LeNet(dtype="float64")
    load_state_dict(model, state)
    np.testing.assert_array_equal(state_dict(model)["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize(
    ("state", "message"),
    [({"epoch": 3}, "holds no tensors; its keys are 'epoch'"), ([1, 2], "holds a list, not a state_dict")],
)
def test_what_is_no_state_dict(lenet, state, message):
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(lenet, state)


@pytest.mark.torch
def test_takes_torch_tensors_of_bfloat16(lenet, state):
    import torch

    rounded = {name: torch.from_numpy(value).bfloat16() for name, value in state.items()}
    load_state_dict(lenet, rounded)
    np.testing.assert_array_equal(state_dict(lenet)["fc1.weight"], rounded["fc1.weight"].float().numpy())


@pytest.mark.torch
def test_outputs_equal_pytorch_after_loading(lenet):
    import torch

    from parity.twins.torch.lenet import Net

    net = Net().eval()
    load_state_dict(lenet, net.state_dict())
    images = np.random.RandomState(5).randn(2, 1, 32, 32).astype("float32")
    with torch.no_grad():
        expected = net(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(lenet(images.transpose(0, 2, 3, 1)).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_wrapped_dictionary_with_other_tensors_beside(lenet, state, key):
    load_state_dict(lenet, {key: state, "best_accuracy": np.float32(0.7), "loss": np.zeros(3)})
    assert_equal_bits(state_dict(lenet), state)


def test_a_frozen_parameter_is_a_parameter_still(lenet):
    from keras_blitz.weights import named_parameters

    lenet.conv1.trainable = False
    assert [name for name, _ in named_parameters(lenet)][:2] == ["conv1.weight", "conv1.bias"]


def test_values_beyond_float32_would_be_rounded(lenet, state, recwarn):
    state["conv1.bias"] = np.full(6, 1e300)
    with pytest.raises(CheckpointError, match=r"conv1\.bias float64 to float32"):
        load_state_dict(lenet, state)
    assert len(recwarn) == 0


def test_complex_weights_are_refused(lenet, state):
    state["conv1.bias"] = np.zeros(6, "complex64")
    with pytest.raises(CheckpointError, match=r"conv1\.bias has dtype complex64; .*real numbers"):
        load_state_dict(lenet, state)


@pytest.mark.torch
def test_tensors_that_are_no_plain_arrays_are_named(lenet, state):
    import torch

    for odd in (torch.zeros(6).to_sparse(), torch.zeros(6, device="meta"), torch.zeros(6).to(torch.float8_e4m3fn)):
        with pytest.raises(CheckpointError, match=r"conv1.bias is a torch\.float.* cannot be read as a plain array"):
            load_state_dict(lenet, {**state, "conv1.bias": odd})


@pytest.mark.parametrize("name", ["linear_relu_stack"])
def test_submodules_can_be_walked(name):
    from keras_blitz.models import NeuralNetwork

    assert [layer.name for layer in getattr(NeuralNetwork(), name)] == [f"{name}.{n}" for n in range(5)]


def test_a_tensor_that_is_tied_to_another_is_said_to_be(lenet, state):
    again = {**state, "head.weight": state["fc2.weight"].copy(), "other.weight": state["fc2.weight"] + 1}
    with pytest.raises(CheckpointError, match=r"head\.weight \(the same values as fc2\.weight; .*\), other\.weight$"):
        load_state_dict(lenet, again)
    load_state_dict(lenet, again, skip=["head", "other"])
    assert_equal_bits(state_dict(lenet), state)


@pytest.mark.covers("W1")
def test_a_count_of_batches_that_keras_does_not_have_is_left_out():
    layers = keras.layers
    norm = layers.BatchNormalization(epsilon=1e-5, name="1")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="0"), norm])
    state = {**random_state(model), "1.num_batches_tracked": np.array(7)}
    load_state_dict(model, state)
    assert np.array_equal(norm.moving_mean, state["1.running_mean"])
    with pytest.raises(CheckpointError, match=r"surplus: 0\.num_batches_tracked"):
        load_state_dict(model, {**state, "0.num_batches_tracked": np.array(7)})
