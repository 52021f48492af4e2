"""Adafactor in PyTorch's layout, SparseAdam on the rows of an embedding, and the norm clipped in `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_blitz
from keras_blitz import optim
from keras_blitz.errors import BlitzError
from keras_blitz.optim.groups import parameter_name
from keras_blitz.weights.mapping import load_state_dict, state_dict

pytestmark = pytest.mark.covers("O5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")


@pytest.fixture(scope="module", autouse=True)
def float64():
    with keras_blitz.precision("float64"):
        yield


def convnet():
    """Return a convolution and a dense layer in PyTorch, and the same in Keras."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, (3, 4)), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 3)
    ).double()
    model = keras.Sequential([
        keras.Input((6, 7, 2)), keras.layers.Conv2D(5, (3, 4), name="0"), keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, name="3"),
    ])  # fmt: skip
    load_state_dict(model, {name: value.numpy() for name, value in module.state_dict().items()})
    return module, model


IMAGES, TARGETS = np.random.RandomState(0).randn(8, 6, 7, 2), np.random.RandomState(1).randn(8, 3)


def train_torch(module, optimizer, steps, clip=None):
    inputs, targets = torch.tensor(IMAGES).permute(0, 3, 1, 2), torch.tensor(TARGETS)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(module(inputs), targets).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()


def largest_difference(module, model):
    ours = state_dict(model)
    return max(
        np.abs(ours[name] - value.numpy()).max() / np.abs(value.numpy()).max()
        for name, value in module.state_dict().items()
    )


def fitted(model, optimizer, steps):
    model.compile(optimizer, "mse")
    model.fit(IMAGES, TARGETS, batch_size=8, epochs=steps, shuffle=False, verbose=0)


def test_adafactor_takes_rows_and_columns_as_pytorch_has_them():
    module, model = convnet()
    train_torch(module, torch.optim.Adafactor(module.parameters(), lr=0.1, weight_decay=0.01), 5)
    optimizer = optim.Adafactor(0.1, weight_decay=0.01)
    fitted(model, optimizer, 5)
    assert largest_difference(module, model) < 1e-12
    shapes = {(slot.key, parameter_name(slot.parameter)): slot.variable.shape for slot in optimizer.slots()}
    assert shapes["row_var", "0.weight"] == (3, 1, 2, 5), "PyTorch's (5, 2, 3, 1)"
    assert shapes["col_var", "3.weight"] == (5, 1), "PyTorch's (1, 5)"


def test_kerass_adafactor_is_another():
    module, model = convnet()
    train_torch(module, torch.optim.Adafactor(module.parameters(), lr=0.1), 5)
    fitted(model, keras.optimizers.Adafactor(0.1, epsilon_1=2.2e-16), 5)
    assert largest_difference(module, model) > 1e-3


@pytest.mark.parametrize("most", [0.05, 100.0], ids=["clips", "does not clip"])
def test_fit_clips_the_norm_of_all_gradients(most):
    module, model = convnet()
    train_torch(module, torch.optim.SGD(module.parameters(), 0.1, momentum=0.9), 4, clip=most)
    fitted(model, optim.SGD(0.1, momentum=0.9, clip_grad_norm=most), 4)
    assert largest_difference(module, model) < 1e-12


def test_a_norm_below_0_is_refused():
    with pytest.raises(BlitzError, match="clip_grad_norm must be ≥ 0, not -1"):
        optim.Adam(clip_grad_norm=-1)


@pytest.mark.parametrize("options", [{}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "maximize": True}])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_sparse_adam_moves_the_rows_that_took_part(options, compiled):
    table = np.random.RandomState(0).randn(6, 3)
    embedding = torch.nn.Embedding.from_pretrained(torch.tensor(table), freeze=False, sparse=True)
    reference = torch.optim.SparseAdam(embedding.parameters(), **options)
    ours = keras.Variable(table, dtype="float64", name="table")
    optimizer = optim.SparseAdam(**options)
    optimizer.build([ours])

    def update(indices):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(ours.value, indices) ** 3)
        optimizer.apply([tape.gradient(loss, ours.value)], [ours])

    update = tf.function(update, reduce_retracing=True) if compiled else update
    for indices in ([1, 3, 1], [3, 3, 4], [1, 0, 4], [2, 2, 2]):
        reference.zero_grad()
        (embedding(torch.tensor(indices)) ** 3).sum().backward()
        reference.step()
        update(tf.constant(indices))
    np.testing.assert_allclose(ours.numpy(), embedding.weight.detach().numpy(), rtol=1e-13)
    assert np.array_equal(ours.numpy()[5], table[5]), "a row that never took part"
    state = reference.state[embedding.weight]
    for slot in optimizer.slots():
        np.testing.assert_allclose(slot.variable.numpy(), state[slot.key], rtol=1e-13, err_msg=slot.key)


def test_sparse_adam_refuses_a_dense_gradient():
    variable = keras.Variable([1.0, 2.0], name="x")
    with pytest.raises(BlitzError, match="the gradient of x is dense; use Adam for it"):
        optim.SparseAdam().apply([tf.constant([1.0, 1.0])], [variable])
