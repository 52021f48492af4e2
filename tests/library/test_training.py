"""The trainer against PyTorch's own loop, step by step, and interrupted runs continued."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_blitz
from keras_blitz.data import Split, fit_to, load_sample
from keras_blitz.errors import BlitzError
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.models import build
from keras_blitz.optim import SGD
from keras_blitz.training import plots
from keras_blitz.training.loop import Trainer
from keras_blitz.training.metrics import Test
from keras_blitz.training.transform import Transform

COUNT, BATCH, EPOCHS = 230, 16, 2  # the last batch has 6


def sample(shape=(28, 28, 1)) -> Split:
    images, labels = load_sample()
    images = fit_to(images[:COUNT], shape)
    return Split(images, labels[:COUNT].astype(np.int64))


def trainer(loop: str, *, network="mnist", dtype="float64", seed=5, loss=None, **options) -> Trainer:
    keras_blitz.manual_seed(seed)
    settings = {"batch_size": BATCH, "shuffle": True, "normalize": (0.1307, 0.3081), "counts_correct": True,
                "steps_per_call": 4}  # fmt: skip
    model = build(network, dtype=dtype)
    data = sample(model.input_shape[1:])
    return Trainer(model, SGD(0.05, momentum=0.9), loss or CrossEntropyLoss(), data, loop=loop, **(settings | options))


def run(trainer: Trainer, epochs: int = EPOCHS) -> tuple[np.ndarray, np.ndarray]:
    losses, right = [], []
    while trainer.epoch < epochs:
        assert trainer.run_epoch()
        losses.append(trainer.losses)
        right.append(trainer.correct)
    return np.concatenate(losses), np.concatenate(right)


def pytorchs_run(seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    import torch

    from parity.twins.torch.mnist import Network2

    torch.manual_seed(seed)
    network = Network2().double()
    data = sample()
    images = (torch.from_numpy(data.images.transpose(0, 3, 1, 2)).float().div(255) - 0.1307) / 0.3081
    pairs = torch.utils.data.TensorDataset(images.double(), torch.from_numpy(data.labels))
    loader = torch.utils.data.DataLoader(pairs, BATCH, shuffle=True)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, 0.9)
    losses, right = [], []
    for _ in range(EPOCHS):
        for x, y in loader:
            logits = network(x)
            loss = torch.nn.functional.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            right.append(int((logits.argmax(1) == y).sum()))
    return np.array(losses), np.array(right)


def softmax_loss(labels, logits):
    """A loss that takes whole batches only."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


@pytest.mark.parametrize(
    ("shards", "loss"),  # of 16 images, and of the last batch's 6
    [
        (2, CrossEntropyLoss()), (5, CrossEntropyLoss()), (7, CrossEntropyLoss()), (2, softmax_loss),
        (5, CrossEntropyLoss(np.arange(10.0), ignore_index=3)),  # a batch's mean is not that of its shards' means
    ],
    ids=["2", "5", "7", "whole", "weighted"],
)  # fmt: skip
def test_a_batch_cut_into_shards_is_the_same_run(shards, loss):
    whole = trainer("tape", loss=loss)
    expected, right = run(whole)
    cut = trainer("tape", loss=loss, shards=shards)
    losses, cut_right = run(cut)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    np.testing.assert_array_equal(cut_right, right)
    # Gradients are summed in another order, so it was cut.
    assert (whole.model.get_layer("conv1").kernel.numpy() != cut.model.get_layer("conv1").kernel.numpy()).any()


def test_a_network_with_a_state_is_not_cut_and_not_compiled_by_itself():
    images = Split(np.zeros((8, 28, 28, 1), np.uint8), np.arange(8))
    inputs = keras.Input((28, 28, 1), dtype="float64")
    found = {}
    for layer in (keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), keras.layers.ReLU()):
        x = layer(keras.layers.Flatten()(inputs))
        model = keras.Model(inputs, keras.layers.Dense(10)(x))
        made = Trainer(model, SGD(0.1), CrossEntropyLoss(), images, batch_size=4, loop="tape", shards=2)
        found[type(layer).__name__] = (made.execution.shards, made.execution.jit)
    assert found == {"BatchNormalization": (1, False), "Dropout": (1, False), "ReLU": (2, True)}


@pytest.mark.parametrize("loop", ["fit", "tape"])
@pytest.mark.parametrize(("network", "compiled"), [("mlp-last-relu", True), ("mnist", False)])
def test_dense_layers_are_compiled_and_it_is_the_same_run(loop, network, compiled):
    by_itself = trainer(loop, network=network, steps_per_call=3)  # compiled in pairs and one by itself
    assert by_itself.execution.jit == compiled
    losses, _ = run(by_itself)
    np.testing.assert_allclose(losses, run(trainer(loop, network=network, jit=False))[0], rtol=1e-12)


@pytest.mark.covers("R5")
@pytest.mark.torch
@pytest.mark.parametrize("loop", ["fit", "tape"])
def test_run_is_pytorchs_from_the_same_seed(loop):
    losses, right = run(trainer(loop))
    expected, expected_right = pytorchs_run()
    np.testing.assert_allclose(losses, expected, rtol=1e-11)
    np.testing.assert_array_equal(right, expected_right)
    other, _ = run(trainer(loop, seed=6))
    assert abs(other - expected).max() > 0.1


@pytest.mark.parametrize(("loop", "network"), [("fit", "mnist"), ("tape", "mnist"), ("tape", "mlp-last-relu")])
@pytest.mark.parametrize("stop_at", [8, 15])  # in an epoch; after the last step of one
def test_continued_run_is_the_uninterrupted_one(tmp_path, loop, network, stop_at):
    whole = trainer(loop, network=network, dtype="float32")
    losses, _ = run(whole)

    first = trainer(loop, network=network, dtype="float32")
    complete = first.run_epoch(lambda *_: first.step < stop_at)
    assert complete == (stop_at == 15)
    first.save(tmp_path / "checkpoint.npz", note=[1.5])
    second = trainer(loop, network=network, dtype="float32", seed=99)
    assert second.restore(tmp_path / "checkpoint.npz")["note"] == [1.5]
    rest, _ = run(second)
    np.testing.assert_array_equal(rest, losses if stop_at == 8 else losses[15:])
    for variable, expected in zip(second.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), expected.numpy())


def test_both_loops_are_the_same_run_in_float32():
    fit, tape = (run(trainer(loop, dtype="float32"))[0] for loop in ("fit", "tape"))
    np.testing.assert_allclose(fit, tape, rtol=1e-4)


def test_images_are_transformed_to_pytorchs_bits():
    """The graph must not turn x / 255 into x · (1/255)."""
    from keras_blitz.data import normalize, to_tensor

    images = sample().images
    expected = normalize(to_tensor(images), (0.1307,), (0.3081,))
    found = tf.function(Transform((0.1307, 0.3081)))(tf.constant(images))
    np.testing.assert_array_equal(found, expected)


def test_steps_at_most():
    limited = trainer("tape", max_steps=2)
    assert limited.run_epoch()
    assert len(limited.losses) == 2


def test_checkpoints_that_are_refused(tmp_path):
    made = trainer("tape", max_steps=1)
    made.run_epoch()
    path = tmp_path / "checkpoint.npz"
    made.save(path)
    with pytest.raises(BlitzError, match="comes from another run"):
        trainer("tape", batch_size=8).restore(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BlitzError, match="truncated"):
        made.restore(path)
    with pytest.raises(BlitzError, match="no checkpoint"):
        made.restore(tmp_path / "none.npz")


def test_unknown_loop():
    with pytest.raises(BlitzError, match="loop must be one of fit, tape, not 'jax'"):
        trainer("jax")


def test_metrics_of_a_test():
    logits, labels = np.array([[2.0, 1, 0], [0, 3, 0], [5, 0, 0], [0, 0, 1]]), np.array([0, 1, 1, 2])
    test = Test(logits, labels)
    assert test.correct == 3
    np.testing.assert_allclose(test.per_class(), [1, 0.5, 1])
    np.testing.assert_array_equal(test.confusion(), [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    expected = CrossEntropyLoss(reduction="none")(labels, logits).numpy()
    np.testing.assert_allclose(test.losses(), expected, rtol=1e-14)
    np.testing.assert_allclose(test.sum_of_batch_losses(3), expected[:3].mean() + expected[3], rtol=1e-14)


def test_pictures_are_written(tmp_path):
    images, labels = load_sample()
    figures = [
        plots.image_grid(images[:5], [str(label) for label in labels[:5]]),
        plots.curves(np.linspace(2, 1, 50), [0.3, 0.5], 25),
        plots.class_bars(np.array([0.5, np.nan]), ["a", "b"]),
        plots.confusion_matrix(np.array([[3, 1], [0, 0]]), ["a", "b"]),
    ]
    for number, figure in enumerate(figures):
        path = tmp_path / f"{number}.png"
        plots.save_figure(figure, path)
        assert path.read_bytes().startswith(b"\x89PNG")


def dropout_model(dtype="float64"):
    import keras

    from keras_blitz.initializers import initialize
    from keras_blitz.layers import Dropout, Dropout2d

    inputs = keras.Input((28, 28, 1), dtype=dtype)
    x = keras.layers.Conv2D(4, 5, strides=4, dtype=dtype, name="conv")(inputs)
    x = Dropout2d(0.3, dtype=dtype, name="drop1")(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="mean")(x)
    x = Dropout(0.5, dtype=dtype, name="drop2")(x)
    model = keras.Model(inputs, keras.layers.Dense(10, dtype=dtype, name="fc")(x), name="dropout")
    initialize(model)
    return model


def dropout_trainer(loop: str, seed: int = 3) -> Trainer:
    keras_blitz.manual_seed(seed)
    return Trainer(
        dropout_model(), SGD(0.1), CrossEntropyLoss(), sample(), batch_size=BATCH, shuffle=True, loop=loop,
        steps_per_call=4,
    )  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("loop", ["fit", "tape"])
def test_dropout_draws_pytorchs_masks(loop):
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.drop1 = nn.Conv2d(1, 4, 5, stride=4), nn.Dropout2d(0.3)
            self.drop2, self.fc = nn.Dropout(0.5), nn.Linear(4, 10)

        def forward(self, x):
            return self.fc(self.drop2(self.drop1(self.conv(x)).mean((2, 3))))

    torch.manual_seed(3)
    net, data = Net().double(), sample()
    images = torch.from_numpy(data.images.transpose(0, 3, 1, 2)).float().div(255).double()
    pairs = torch.utils.data.TensorDataset(images, torch.from_numpy(data.labels))
    loader, optimizer = torch.utils.data.DataLoader(pairs, BATCH, shuffle=True), torch.optim.SGD(net.parameters(), 0.1)
    expected = []
    for _ in range(EPOCHS):
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    losses, _ = run(dropout_trainer(loop))
    np.testing.assert_allclose(losses, expected, rtol=1e-11)


@pytest.mark.parametrize("loop", ["fit", "tape"])
def test_continued_run_goes_on_in_the_stream_of_masks(tmp_path, loop):
    losses, _ = run(dropout_trainer(loop))
    first = dropout_trainer(loop)
    first.run_epoch(lambda *_: first.step < 8)
    first.save(tmp_path / "checkpoint.npz")
    second = dropout_trainer(loop, seed=99)
    second.restore(tmp_path / "checkpoint.npz")
    rest, _ = run(second)
    np.testing.assert_array_equal(rest, losses)
