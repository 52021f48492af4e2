"""The parts of the trainer by themselves: the place in a run, its file, one step, what is switched on and off."""

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_blitz
from keras_blitz import random
from keras_blitz.data import ImageData, Split, batches
from keras_blitz.errors import BlitzError
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.optim import SGD
from keras_blitz.training import cpu
from keras_blitz.training.checks import check_finite, check_images, check_network, check_options, check_outputs
from keras_blitz.training.loop import Trainer
from keras_blitz.training.recipes import RECIPES
from keras_blitz.training.state import State, read_checkpoint, write_checkpoint
from keras_blitz.training.steps import count_correct, predict, run_steps, train_step
from keras_blitz.training.transform import Batches, Transform


class Value:
    """A variable without a framework."""

    path = "fc/kernel"

    def __init__(self, value):
        self.value = np.array(value)

    @property
    def shape(self):
        return self.value.shape

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = np.array(value)


@pytest.mark.parametrize("module", ["command", "progress", "versions", "training.state", "training.recipes"])
def test_import_is_cheap(module):
    code = f"import sys, keras_blitz.{module}; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The place in a run


def epoch_by_hand(count: int, batch_size: int) -> list[int]:
    return [index for batch in batches(count, batch_size, shuffle=True) for index in batch]


def test_order_of_each_epoch_is_drawn_from_where_the_last_one_ended():
    keras_blitz.manual_seed(1)
    expected = [epoch_by_hand(10, 4) for _ in range(2)]
    keras_blitz.manual_seed(1)
    state = State.start("float32")
    for order in expected:
        assert state.draw_order(10, 4, True).tolist() == order
        state.advance(np.zeros(3), np.zeros(3, np.int64))
        state.end_epoch()
    assert (state.epoch, state.step) == (2, 0)


def test_interrupted_epoch_keeps_its_order_and_the_stream_after_it():
    keras_blitz.manual_seed(1)
    state = State.start("float32")
    order = state.draw_order(10, 4, True)
    state.advance(np.array([2.0]), np.array([3]))
    random.rand(5)  # the masks of one step
    state.interrupt()
    expected = random.get_state()
    random.rand(7)  # whatever happens meanwhile
    assert state.draw_order(10, 4, True).tolist() == order.tolist()
    np.testing.assert_array_equal(random.get_state(), expected)
    assert (state.step, state.losses.tolist(), state.correct.tolist()) == (1, [2.0], [3])


def test_losses_of_an_epoch_stay_until_the_next_begins():
    state = State.start("float64")
    state.draw_order(4, 2, False)
    state.advance(np.array([2.0, 1.0]), np.array([1, 2]))
    state.end_epoch()
    assert state.losses.tolist() == [2, 1]
    state.draw_order(4, 2, False)
    assert (len(state.losses), len(state.correct), state.losses.dtype) == (0, 0, np.float64)


def test_checkpoint_brings_back_place_variables_and_stream(tmp_path):
    keras_blitz.manual_seed(3)
    state, variables = State.start("float32"), [Value([1.0, 2.0]), Value(3)]
    order = state.draw_order(10, 4, True)
    state.advance(np.array([0.5], np.float32), np.array([2]))
    state.interrupt()
    within = random.get_state()
    write_checkpoint(tmp_path / "run.npz", state, variables, "a run", {"note": [1.5]})

    keras_blitz.manual_seed(99)
    others = [Value([0.0, 0.0]), Value(0)]
    again, history = read_checkpoint(tmp_path / "run.npz", others, "a run")
    assert [other.value.tolist() for other in others] == [[1, 2], 3]
    assert (again.epoch, again.step, again.losses.tolist(), again.correct.tolist()) == (0, 1, [0.5], [2])
    assert {name: value.tolist() for name, value in history.items()} == {"note": [1.5]}
    assert again.draw_order(10, 4, True).tolist() == order.tolist()
    np.testing.assert_array_equal(random.get_state(), within)


def test_checkpoint_of_another_run_sets_nothing(tmp_path):
    write_checkpoint(tmp_path / "run.npz", State.start("float32"), [Value(1)], "a run", {})
    other, before = Value(0), random.get_state()
    with pytest.raises(BlitzError, match="comes from another run"):
        read_checkpoint(tmp_path / "run.npz", [other], "another")
    assert other.value == 0
    np.testing.assert_array_equal(random.get_state(), before)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(3, 2), (4,)], r"fc/kernel has shape \(2, 3\), not \(3, 2\)"),
        ([(2, 3), (4,), (1,)], r"fc/kernel is missing, not \(1,\)"),
        ([(2, 3)], "more than the 1 variables"),
    ],
)
def test_a_checkpoint_of_other_shapes_sets_nothing(tmp_path, shapes, said):
    path = tmp_path / "run.npz"
    write_checkpoint(path, State.start("float32"), [Value(np.ones((2, 3))), Value(np.ones(4))], "a run", {})
    others, before = [Value(np.zeros(shape)) for shape in shapes], random.get_state()
    with pytest.raises(BlitzError, match=rf"run\.npz: is of another network.*{said}"):
        read_checkpoint(path, others, "a run")
    assert not any(other.value.any() for other in others)
    np.testing.assert_array_equal(random.get_state(), before)


def test_a_checkpoint_that_unpacks_to_more_than_a_run_has_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_blitz.training.state.HISTORY", 1 << 20)
    with zipfile.ZipFile(tmp_path / "run.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("variable:0.npy", bytes(1 << 21))
    with pytest.raises(BlitzError, match=r"run\.npz: truncated, or not a checkpoint") as caught:
        read_checkpoint(tmp_path / "run.npz", [Value(1)], "a run")
    assert "it unpacks to 2,097,152 bytes" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("mnist0", "has no weights to train"),
        ("mnist1", "returns its input"),
        ("inception_v3", "has 2 outputs in train"),
    ],
)
def test_a_network_that_cannot_be_trained_is_named(network, said):
    with pytest.raises(BlitzError, match=f"--network {network}: {said}.*; choose another, such as mnist"):
        check_network(network)
    assert check_network("cifar") == (32, 32, 3)


def test_images_of_another_size_than_the_networks_are_named():
    data = Split(np.zeros((2, 28, 28, 1), np.uint8), np.zeros(2, int))
    check_images("mnist", (28, 28, 1), ImageData("mnist", data, data, (), "here"))
    with pytest.raises(BlitzError, match="--network cifar: takes images of 32×32×3, and those of mnist are 28×28×1"):
        check_images("cifar", (32, 32, 3), ImageData("mnist", data, data, (), "here"))


def test_a_run_that_diverges_is_named_by_its_first_step():
    check_finite(np.array([2.0, 1e30]), 1, 2, 0.1)
    for bad in (np.nan, np.inf):
        with pytest.raises(BlitzError, match=rf"the loss is {bad} in epoch 3, step 9: .* smaller --lr than 0\.5"):
            check_finite(np.array([1.0, bad, np.nan]), 3, 10, 0.5)


def test_outputs_that_are_not_finite_end_a_run():
    check_outputs(np.zeros((2, 3)), 1, 0.1)
    with pytest.raises(BlitzError, match=r"outputs are not finite after epoch 2: .* smaller --lr than 0\.1"):
        check_outputs(np.array([[0, np.inf]]), 2, 0.1)


def test_options_of_another_run_are_named_and_a_seed_may_be_left_out():
    saved, path = {"lr": 0.1, "seed": 3}, Path("checkpoint.npz")
    check_options(path, saved, {"lr": 0.1, "seed": 3})
    check_options(path, saved, {"lr": 0.1, "seed": None})
    check_options(path, {}, {"lr": 0.1, "seed": 3})  # written before it was kept
    with pytest.raises(BlitzError, match="comes from a run with --seed 3, but this run has --seed 5; use the same"):
        check_options(path, saved, {"lr": 0.1, "seed": 5})
    with pytest.raises(BlitzError, match=r"with --lr 0\.1, but this run has --lr 0\.2"):
        check_options(path, saved, {"lr": 0.2, "seed": None})
    with pytest.raises(BlitzError, match="with no --seed, but this run has --seed 5"):
        check_options(path, {"seed": None}, {"seed": 5})


def test_a_model_without_weights_is_refused():
    inputs = keras.Input((2, 2, 1))
    data = Split(np.zeros((2, 2, 2, 1), np.uint8), np.zeros(2, int))
    with pytest.raises(BlitzError, match="bare: has no weights to train"):
        Trainer(keras.Model(inputs, inputs, name="bare"), SGD(0.1), CrossEntropyLoss(), data, batch_size=1)


class Images:
    """Images that are not there, and how many were asked for at a time."""

    def __init__(self, size):
        self.shape, self.asked = (1001, size, size, 1), []

    def __len__(self):
        return 1001

    def __getitem__(self, part):
        self.asked.append(len(range(1001)[part]))
        return np.zeros((self.asked[-1], 1), np.uint8)


@pytest.mark.parametrize(("size", "asked"), [(28, [1000, 1]), (320, [10] * 100 + [1])])
def test_large_images_are_predicted_fewer_at_a_time(size, asked):
    images = Images(size)
    assert predict(lambda x, training: x, images, lambda part: part).shape == (1001, 1)
    assert images.asked == asked


def test_shown_batch_moves_the_stream_only_where_the_tutorial_shows_one():
    keras_blitz.manual_seed(0)
    before = random.get_state()
    assert RECIPES["mnist"].draw_shown_batch(100) == []
    np.testing.assert_array_equal(random.get_state(), before)
    shown = RECIPES["cifar10"].draw_shown_batch(100)
    assert not np.array_equal(random.get_state(), before)
    keras_blitz.manual_seed(0)
    assert shown == next(batches(100, 4, shuffle=True))
    assert replace(RECIPES["cifar10"], shuffle=False).draw_shown_batch(100) == [0, 1, 2, 3]


# One step and many


def one_layer() -> keras.Model:
    inputs = keras.Input((2, 2, 1), dtype="float64")
    layer = keras.layers.Dense(3, use_bias=False, dtype="float64", name="fc")
    return keras.Model(inputs, layer(keras.layers.Flatten(dtype="float64")(inputs)))


def test_step_is_the_formula():
    model, x, y = one_layer(), np.random.RandomState(0).rand(5, 2, 2, 1), np.array([0, 2, 1, 1, 0])
    kernel = model.get_layer("fc").kernel.numpy()
    logits, loss = train_step(model, SGD(0.1), CrossEntropyLoss(), x, y)
    flat = x.reshape(5, 4)
    expected = flat @ kernel
    p = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    np.testing.assert_allclose(logits, expected, rtol=1e-12)
    np.testing.assert_allclose(loss, -np.log(p[range(5), y]).mean(), rtol=1e-12)
    gradient = flat.T @ (p - np.eye(3)[y]) / 5
    np.testing.assert_allclose(model.get_layer("fc").kernel.numpy(), kernel - 0.1 * gradient, rtol=1e-12)


def test_right_answers_are_counted():
    assert int(count_correct(tf.constant([0, 1, 1]), tf.constant([[2.0, 1], [0, 1], [3, 0]]))) == 2


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("in_pairs", [False, True])
def test_steps_are_run_in_order(count, in_pairs):
    total = keras.Variable(0.0)

    def step(indices):
        total.assign(2 * total.value + tf.cast(indices[0], tf.float32))  # no other order gives these sums
        return tf.identity(total.value), tf.cast(indices[1], tf.int64)

    order = np.stack([np.arange(1, count + 1), np.arange(count)], 1)
    run = tf.function(lambda order: run_steps(step, order, "float32", [total] * 3 if in_pairs else None))
    losses, right = run(tf.constant(order))
    expected, value = [], 0
    for index, _ in order:
        value = 2 * value + index
        expected.append(value)
    assert losses.numpy().tolist() == expected
    assert right.numpy().tolist() == list(range(count))


def test_batch_is_what_the_indices_name():
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 3, 2, 1)
    x, y = Batches(Split(images, np.array([5, 6, 7, 8])), Transform(None))(tf.constant([2, 0]))
    np.testing.assert_array_equal(x, (images[[2, 0]] / np.float32(255)).astype(np.float32))
    assert y.numpy().tolist() == [7, 5]


# What is fast on a CPU


def test_shards_are_the_batch_in_its_order():
    images, labels = cpu.read_in_shards(lambda part: (10 * part, part), tf.range(7), 3)
    assert [part.numpy().tolist() for part in labels] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [part.numpy().tolist() for part in images] == [[0, 10, 20], [30, 40], [50, 60]]


def test_a_decided_jit_stays_and_a_state_takes_no_shards():
    model = one_layer()
    assert cpu.Execution(shards=3).fit_to(model) == cpu.Execution(jit=True, shards=3)
    assert cpu.Execution(jit=False).fit_to(model) == cpu.Execution(jit=False)
    normalized = keras.Model(model.input, keras.layers.BatchNormalization()(model.output))
    assert cpu.Execution(shards=3).fit_to(normalized) == cpu.Execution(jit=False, shards=1)


@pytest.mark.parametrize(
    ("loop", "jit", "off"),
    [
        ("tape", True, {"pair_steps": False}), ("tape", False, {"steps_per_call": 1}), ("tape", False, {"shards": 1}),
        ("fit", False, {"steps_per_call": 1}), ("fit", False, {"autotune": True}),
    ],
)  # fmt: skip
def test_what_is_fast_can_be_switched_off_and_it_is_the_same_run(loop, jit, off):
    images, model = np.random.RandomState(0).randint(0, 256, (20, 2, 2, 1), np.uint8), one_layer()
    data, start = Split(images, np.arange(20) % 3), model.get_weights()
    fast = {"steps_per_call": 3, "jit": jit, "shards": 2, "pair_steps": True, "autotune": False}
    losses = []
    for speed in (fast, fast | off):
        model.set_weights(start)
        trainer = Trainer(model, SGD(0.1), CrossEntropyLoss(), data, batch_size=4, loop=loop, **speed)
        assert trainer.execution == cpu.Execution(**speed)
        calls = []
        trainer.run_epoch(lambda losses, right, calls=calls: calls.append(len(losses)))
        assert calls == ([3, 2] if speed["steps_per_call"] == 3 else [1] * 5)
        losses.append(trainer.losses)
    np.testing.assert_allclose(*losses, rtol=1e-12)


@pytest.mark.parametrize("keep", [True, False])
def test_kernels_are_kept_unless_that_is_switched_off(monkeypatch, keep):
    name = "TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE"
    monkeypatch.setenv(name, "")  # monkeypatch puts back what is there now
    del os.environ[name]
    cpu.tune_cpu(0, 0, keep_kernels=keep)
    assert os.environ.get(name) == ("false" if keep else None)


def test_autotune_is_off():
    data = cpu.without_autotune(tf.data.Dataset.range(3))
    assert data.options().autotune.enabled is False
    assert [int(one) for one in data] == [0, 1, 2]
