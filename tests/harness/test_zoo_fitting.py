"""`fit` on the models of the zoo: a model that takes every batch size passes, and those that do not train fail."""

import keras
import numpy as np
import pytest
from keras import layers, ops

pytest.importorskip("torch")  # the zoo's models are PyTorch's

from zoo.fitting import fit_once

pytestmark = pytest.mark.torch


def small(after=lambda x: x, trainable=True):
    x = keras.Input((4,))
    return keras.Model(x, {"logits": after(layers.Dense(3, trainable=trainable)(x)), "sum": ops.sum(x, -1)})


def test_every_batch_size_fits():
    model = small()
    before = np.array(model.weights[0].numpy())
    assert fit_once(model, examples=2) == ""
    assert not np.array_equal(before, model.weights[0].numpy())


def test_model_without_weights_has_nothing_to_fit():
    x = keras.Input((4,))
    assert fit_once(keras.Model(x, ops.relu(x)), examples=2) == ""


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: small(after=lambda x: ops.reshape(x, (2, 3))), "cannot be fitted"),
        (lambda: small(after=lambda x: ops.log(-ops.abs(x))), "not finite"),
        (lambda: small(after=ops.stop_gradient), "cannot be fitted"),  # Keras refuses where no weight has a gradient
        (lambda: small(trainable=False), "moved no weight"),
    ],
    ids=["batch-of-two-alone", "logarithm-of-negative-numbers", "no-gradient", "frozen"],
)
def test_what_does_not_train_is_said(model, said):
    assert said in fit_once(model(), examples=2)
