"""What the tests of single layers share: a layer beside PyTorch's module, outputs and all gradients."""

import inspect

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings

from keras_blitz.weights.flow import parameters

BOUND = 1e-12  # of the largest magnitude, or of 1, the size of the terms that cancel in a small one


def over(few=6, many=100, **strategies):
    """Run a test over what hypothesis thinks up: over a few examples by default, over many among the slow tests."""

    def decorate(test):
        runs = [settings(deadline=None, max_examples=count)(given(**strategies)(test)) for count in (few, many)]
        slow = pytest.param(runs[1], marks=pytest.mark.slow)

        @pytest.mark.parametrize("check", [runs[0], slow], ids=["few", "many"])
        def run(check):
            check()

        return run

    return decorate


def images(seed, *shape, integers=False):
    """Values in PyTorch's layout (N, C, …); whole numbers make ties, where gradients part ways."""
    rng = np.random.RandomState(seed)
    return rng.randint(-2, 3, shape).astype("float64") if integers else rng.randn(*shape)


def last(array):
    """Return (N, C, …) as (N, …, C)."""
    return np.moveaxis(array, 1, -1)


def first(array):
    """Return (N, …, C) as (N, C, …)."""
    return np.moveaxis(array, -1, 1)


def same(array):
    return array


def assert_close(actual, expected, exact=False):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=0 if exact else BOUND * max(scale, 1))


def copy_weights(module, layer, seed=None):
    """Give a built layer the module's weights, by the table of kinds; with a seed both get other values first."""
    state = module.state_dict()
    if seed is not None:
        rng = np.random.RandomState(seed)
        for name, tensor in state.items():
            if tensor.is_floating_point():
                values = rng.randn(*tensor.shape)
                tensor.copy_(tensor.new_tensor(np.abs(values) + 0.5 if name == "running_var" else values))
    declared = parameters(layer)
    names = {declared[variable.name][0] for variable in layer.weights}
    assert names == set(state)
    for variable in layer.weights:
        name, layout = declared[variable.name]
        variable.assign(layout.to_keras(state[name].numpy()))


def in_train_mode(layer, training=True):
    """Return the argument for a layer that has two modes, none for another."""
    return {"training": training} if "training" in inspect.signature(layer.call).parameters else {}


def assert_weights_are_equal(module, layer):
    """Buffers and parameters are PyTorch's, whatever has changed them."""
    state, declared = module.state_dict(), parameters(layer)
    for variable in layer.weights:
        name, layout = declared[variable.name]
        assert_close(layout.to_torch(np.asarray(variable.numpy())), state[name].numpy())


def assert_same(module, layer, *arrays, seed=0, training=False, exact=False, there=last, back=first, **options):
    """The layer gives the module's outputs and its gradients of the inputs and of every weight.

    Args:
        arrays: the inputs in PyTorch's layout.
        seed: of the weights.
        exact: the outputs are equal to the bit.
        there, back: PyTorch's layout to Keras's and back.
        options: of both calls.
    """
    import torch

    module = module.double().train(training)
    inputs = [torch.tensor(array, requires_grad=True) for array in arrays]
    ours = [tf.constant(there(array)) for array in arrays]
    if not layer.built:
        layer.build(ours[0].shape)
    copy_weights(module, layer, seed)
    expected = module(*inputs, **options)
    direction = np.random.RandomState(1).randn(*expected.shape)
    expected.backward(torch.tensor(direction))
    with tf.GradientTape() as tape:
        tape.watch(ours)
        actual = layer(*ours, **options, **in_train_mode(layer, training))
    variables = list(layer.trainable_variables)
    gradients = tape.gradient(actual, [*ours, *variables], there(direction), tf.UnconnectedGradients.ZERO)
    assert actual.dtype == "float64"
    assert tuple(layer.compute_output_shape(ours[0].shape)) == tuple(actual.shape)
    assert_close(back(actual.numpy()), expected.detach().numpy(), exact)
    for tensor, gradient in zip(inputs, gradients, strict=False):
        assert_close(back(gradient.numpy()), tensor.grad.numpy())
    of, declared = dict(module.named_parameters()), parameters(layer)
    for variable, gradient in zip(variables, gradients[len(ours) :], strict=True):
        name, layout = declared[variable.name]
        assert_close(layout.to_torch(tf.convert_to_tensor(gradient).numpy()), of[name].grad.numpy())
    assert_weights_are_equal(module, layer)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
