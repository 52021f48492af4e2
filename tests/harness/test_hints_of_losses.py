"""The likely reasons why a loss differs: each is said for its mistake, and no longer where another is made too."""

import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import losses

from parity.gaps import catalogue
from parity.pair import hints

pytestmark = [pytest.mark.covers("H12"), pytest.mark.filterwarnings("ignore:Using a target size")]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn
RANDOM = np.random.RandomState(0)
OUTPUT = RANDOM.standard_normal((6, 5))
LOGITS = 2 * OUTPUT
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
SIGMOIDS = 1 / (1 + np.exp(-LOGITS))
CLASSES = np.array([0, 4, 2, 2, 1, 3])
VALUES, BITS = RANDOM.standard_normal((6, 5)), (RANDOM.rand(6, 5) > 0.5).astype("float64")
COUNTS = RANDOM.poisson(2.0, (6, 5)).astype("float64")
F64 = {"dtype": "float64"}
SPARSE, BINARY = losses.SparseCategoricalCrossentropy, losses.BinaryCrossentropy
WEIGHT = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)

# PyTorch's loss, Keras's, the output, the target, the gap, more that is said
MISTAKES = {
    "broadcast": (
        nn.MSELoss(), losses.MeanSquaredError(**F64), VALUES[:, :1], OUTPUT[:, 0], "mse-broadcast", "to (6, 6)",
    ),
    "logits": (nn.CrossEntropyLoss(), SPARSE(**F64), LOGITS, CLASSES, "ce-logits", "with from_logits=True"),
    "logits-by-name": (
        nn.CrossEntropyLoss(), losses.get("sparse_categorical_crossentropy"), LOGITS, CLASSES, "ce-logits", "logits",
    ),
    "softmax-twice": (
        nn.CrossEntropyLoss(), SPARSE(**F64), PROBABILITIES, CLASSES, "ce-softmax-in-model", "softmax twice",
    ),
    "softmax-twice-in-keras": (
        lambda o, t: nn.functional.nll_loss(o.log(), t), SPARSE(from_logits=True, **F64), PROBABILITIES, CLASSES,
        "ce-softmax-in-model", "Keras's loss takes a softmax again",
    ),
    "logits-of-bits": (nn.BCEWithLogitsLoss(), BINARY(**F64), LOGITS, BITS, "bce-with-logits", "from_logits=True"),
    "log-probabilities": (
        nn.NLLLoss(), SPARSE(**F64), np.log(PROBABILITIES), CLASSES, "nll", "given exp(output)",
    ),
    "smoothing": (
        nn.CrossEntropyLoss(label_smoothing=0.1), SPARSE(from_logits=True, **F64), LOGITS, CLASSES,
        "ce-label-smoothing", "label_smoothing is 0.1",
    ),
    "smoothing-in-a-function": (
        lambda o, t: nn.functional.cross_entropy(o, t, label_smoothing=0.2), SPARSE(from_logits=True, **F64), LOGITS,
        CLASSES, "ce-label-smoothing", "label_smoothing is 0.2",
    ),
    "smoothing-in-keras-alone": (
        nn.CrossEntropyLoss(), losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, **F64), LOGITS,
        np.eye(5)[CLASSES], "ce-label-smoothing", "label_smoothing is 0,",
    ),
    "ignored": (
        nn.CrossEntropyLoss(ignore_index=2), SPARSE(from_logits=True, **F64), LOGITS, CLASSES, "ce-ignore-index-mean",
        "ignore_index=2",
    ),
    "weights-of-classes": (
        nn.CrossEntropyLoss(weight=WEIGHT), SPARSE(from_logits=True, **F64), LOGITS, CLASSES, "ce-class-weight",
        "the sum of the weights",
    ),
    "clipped": (
        nn.BCELoss(), BINARY(**F64), SIGMOIDS**20, BITS, "bce-clamp", "PyTorch logarithms at −100",
    ),
    "delta": (
        nn.HuberLoss(delta=0.5), losses.Huber(**F64), OUTPUT, VALUES, "smoothl1-huber", "with delta=0.5",
    ),
    "beta": (
        nn.SmoothL1Loss(beta=0.5), losses.Huber(**F64), OUTPUT, VALUES, "smoothl1-huber", "and divided by it",
    ),
    "rate": (nn.PoissonNLLLoss(), losses.Poisson(**F64), abs(OUTPUT), COUNTS, "poisson-nll", "logarithm of the rate"),
    "sum-of-squares": (
        nn.MSELoss(reduction="sum"), losses.MeanSquaredError(**F64), OUTPUT, VALUES, "mse-reduction",
        "30 × Keras's, the number of values",
    ),
    "sum-of-examples": (
        nn.L1Loss(), losses.MeanAbsoluteError(reduction="sum", **F64), OUTPUT, VALUES, "l1-reduction",
        "6 × PyTorch's, the number of examples",
    ),
    "sum-of-entropies": (
        nn.CrossEntropyLoss(reduction="sum"), SPARSE(from_logits=True, **F64), LOGITS, CLASSES, None,
        "6 × Keras's, the number of examples",
    ),
}  # fmt: skip


def clue(name):
    """Return what is known of a loss that differs."""
    theirs, ours, output, target, _, _ = MISTAKES[name]
    expected = float(theirs(torch.tensor(output), torch.tensor(target)))
    target, output = tf.constant(target), tf.constant(output)
    actual = float(tf.reduce_mean(ours(target, output)))
    assert abs(actual - expected) > 1e-9
    return hints.LossClue(theirs, ours, target, output, actual, expected, 1e-12)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_loss_has_its_reason(name):
    _, _, _, _, gap, words = MISTAKES[name]
    (said,) = hints.of_loss(clue(name))
    assert re.findall(r"see `parity gaps (\S+)`", said) == ([gap] if gap else [])
    assert words in said


@pytest.mark.parametrize("name", MISTAKES)
def test_no_reason_is_said_of_a_loss_that_is_wrong_twice(name):
    given = clue(name)
    assert hints.of_loss(replace(given, expected=1.001 * given.expected + 1e-4)) == []


def test_what_the_model_adds_is_named():
    theirs, ours = nn.MSELoss(), losses.MeanSquaredError(**F64)
    expected = float(theirs(torch.tensor(OUTPUT), torch.tensor(VALUES)))
    given = hints.LossClue(theirs, ours, tf.constant(VALUES), tf.constant(OUTPUT), expected + 0.3, expected, 1e-12)
    assert "adds to its loss" in hints.of_loss(given)[0]
    assert hints.of_loss(replace(given, expected=expected + 0.1)) == []


def test_a_loss_that_raises_when_it_is_tried_has_no_reason():
    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return tf.debugging.assert_equal(y_true, y_pred)

    given = replace(clue("sum-of-squares"), ours=Own())
    assert hints.of_loss(given)  # of its value alone, which is known
    assert hints.of_loss(replace(given, expected=1.0)) == []


def test_the_reasons_name_rows_of_the_catalogue():
    assert {row[4] for row in MISTAKES.values()} - {None} <= {row.id for row in catalogue()}
    known = [*hints.LAYERS, *hints.losses.HINTS, *hints.optimizers.HINTS]
    assert {hint.gap for hint in known} - {""} <= {row.id for row in catalogue()}
