"""Inputs by name that the Keras model calls otherwise: which argument is which input."""

from itertools import permutations

import keras
import numpy as np
import pytest

import parity

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

pytestmark = pytest.mark.covers("H12")

WORDS = np.random.RandomState(0).randint(0, 20, (3, 6))
KINDS = np.random.RandomState(1).randint(0, 20, (3, 6))
MASK = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]])
GIVEN = {"input_ids": WORDS, "token_type_ids": KINDS, "attention_mask": MASK}


class Embedded(torch.nn.Module):
    """The first input's embedding and a part of the second's, where the mask is 1."""

    def __init__(self):
        super().__init__()
        self.words, self.kinds = torch.nn.Embedding(20, 4), torch.nn.Embedding(20, 4)

    def forward(self, input_ids, token_type_ids, attention_mask):
        return (self.words(input_ids) + 0.5 * self.kinds(token_type_ids)) * attention_mask[..., None]


@keras.saving.register_keras_serializable()
class Masked(keras.layers.Layer):
    """Sum two embeddings where the mask is 1."""

    def call(self, words, kinds, mask, part=0.5):
        return (words + part * kinds) * keras.ops.cast(mask, words.dtype)[..., None]


def port(order=("token_ids", "segment_ids", "padding_mask"), part=0.5):
    given = {name: keras.Input((6,), dtype="int32", name=name) for name in order}
    words = keras.layers.Embedding(20, 4)(given["token_ids"])
    kinds = keras.layers.Embedding(20, 4)(given["segment_ids"])
    return keras.Model(given, Masked()(words, kinds, given["padding_mask"], part=part))


@pytest.mark.parametrize("order", list(permutations(GIVEN)), ids="-".join)
def test_a_dict_may_be_in_any_order(order):
    report = parity.check(Embedded(), port(), {name: GIVEN[name] for name in order}, loss=False)
    assert report.passed, str(report)
    said = next(note for note in report.notes if note.startswith("inputs:"))
    assert set(said.removeprefix("inputs: ").split(", ")) == {
        "input_ids = token_ids", "token_type_ids = segment_ids", "attention_mask = padding_mask"}  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(("token_ids", "segment_ids", "padding_mask"))), ids="-".join)
def test_a_model_may_declare_its_dict_in_any_order(order):
    assert parity.check(Embedded(), port(order), GIVEN, loss=False)


def test_inputs_by_position_are_in_the_order_the_model_was_written_in():
    assert parity.check(Embedded(), port(), tuple(GIVEN.values()), loss=False)


def test_a_mistake_is_found_with_the_inputs_as_they_were_written():
    report = parity.check(Embedded(), port(part=0.25), GIVEN, loss=False)
    assert report.verdict.headline == "NOT equivalent"
    assert report.first_divergence == "output"
    assert "token_type_ids = segment_ids" in str(report)


def test_inputs_of_the_same_names_are_not_mentioned():
    class Same(Embedded):
        def forward(self, token_ids, segment_ids, padding_mask):
            return super().forward(token_ids, segment_ids, padding_mask)

    report = parity.check(
        Same(), port(), dict(zip(("token_ids", "segment_ids", "padding_mask"), GIVEN.values(), strict=True)), loss=False
    )
    assert not [note for note in report.notes if note.startswith("inputs:")]


def test_transfer_finds_the_order_too():
    torch_module, model = Embedded(), port()
    inputs = {name: GIVEN[name] for name in ("attention_mask", "input_ids", "token_type_ids")}
    assert parity.transfer(torch_module, model, inputs).filled
    assert parity.check(torch_module, model, GIVEN, weights="keep", loss=False)
