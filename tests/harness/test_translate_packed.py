"""`parity.translate` on packed sequences: lengths reach the Keras layer, and what cannot be followed is one line."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate import registry  # noqa: E402

pytestmark = pytest.mark.torch

ROWS = np.random.RandomState(0).randn(3, 5, 6).astype("f")
FALLING, MIXED, SHORT = np.array([5, 3, 2]), np.array([2, 5, 3]), np.array([4, 3, 2])


class Usual(nn.Module):
    """A recurrent layer of a packed sequence: its padded output and its last state."""

    def __init__(self, kind="LSTM", batch_first=True, enforce_sorted=False, total_length=None, **options):
        super().__init__()
        self.rnn = getattr(nn, kind)(6, 4, batch_first=batch_first, **options)
        self.batch_first, self.enforce_sorted, self.total_length = batch_first, enforce_sorted, total_length

    def forward(self, x, lengths):
        x = x if self.batch_first else x.transpose(0, 1)
        packed = pack_padded_sequence(x, lengths.cpu(), self.batch_first, enforce_sorted=self.enforce_sorted)
        output, state = self.rnn(packed)
        output, _ = pad_packed_sequence(output, batch_first=self.batch_first, total_length=self.total_length)
        last = state[0] if isinstance(state, tuple) else state
        return output if self.batch_first else output.transpose(0, 1), last[-1]


CASES = {
    "lstm": (Usual(bidirectional=True), MIXED),
    "gru-sorted": (Usual("GRU", enforce_sorted=True, num_layers=2), FALLING),
    "rnn-steps-first": (Usual("RNN", batch_first=False, num_layers=2, bidirectional=True), MIXED),
    "total-length": (Usual("GRU", total_length=5), SHORT),
}
DEFAULT = "lstm"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == DEFAULT else pytest.mark.slow) for name in CASES]
)
def test_packed_sequence_is_proven(name):
    module, lengths = CASES[name]
    port = parity.translate(module, (ROWS, lengths))
    assert port.passed, str(port.report)
    assert set(port.report.comparisons) >= {"float64", "float32"}
    assert ", lengths=lengths)" in port.source
    assert ("longest length" in port.source) == (module.total_length is None)


def test_lost_lengths_are_seen(monkeypatch):
    rule = registry.MODULES["LSTM"]

    def without(builder, *args):
        write = builder.layer_of_several
        builder.layer_of_several = lambda name, views, *others: write(name, views[:1], *others[:2])
        try:
            return rule(builder, *args)
        finally:
            del builder.layer_of_several

    monkeypatch.setitem(registry.MODULES, "LSTM", without)
    module, lengths = CASES["lstm"]
    port = parity.translate(module, (ROWS, lengths), dtypes=("float64",))
    assert "lengths=lengths" not in port.source
    assert port.report.verdict == "not equivalent"
    assert "rnn" in port.report.first_divergence


class Encoder(nn.Module):
    """The usual classifier's: dropout before the layer and between its two, in packed sequences."""

    def __init__(self):
        super().__init__()
        self.embed, self.drop = nn.Embedding(9, 6), nn.Dropout(0.3)
        self.lstm = nn.LSTM(6, 4, 2, batch_first=True, dropout=0.2)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.drop(self.embed(words)), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return hidden[-1]


class Classifier(nn.Module):
    """An encoder and a head."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = Encoder(), nn.Linear(4, 3)

    def forward(self, words, lengths):
        return self.head(self.encoder(words, lengths))


@pytest.mark.slow
def test_classifier_is_proven_in_train_mode():
    words = np.random.RandomState(0).randint(0, 9, (3, 5))
    port = parity.translate(Classifier(), (words, MIXED), dtypes=("float64",))
    assert port.passed, str(port.report)
    assert "eval mode and train mode" in " ".join(port.source.split())


class Shared(nn.Module):
    """One layer for two inputs, each with its lengths; what is packed goes from one module to another."""

    def __init__(self):
        super().__init__()
        self.first, self.rnn = nn.GRU(6, 4, batch_first=True), nn.GRU(4, 4, batch_first=True)

    def forward(self, x, lengths):
        packed, _ = self.first(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        packed, _ = self.rnn(packed)
        return self.rnn(packed)[1][0]


def test_layers_that_are_called_again_are_given_the_lengths_by_name():
    port = parity.translate(Shared(), (ROWS, MIXED), check=False)
    assert port.source.count("lengths=lengths)") == 3


def test_every_length_of_the_sequences_stays_open():
    longer = np.zeros((3, 7, 6), "f"), np.array([7, 4, 3])
    port = parity.translate(Usual("GRU"), (ROWS, MIXED), check=False, other=longer)
    assert "keras.Input((None, 6)" in port.source
    assert 'keras.Input((), dtype="int32"' in port.source


def of_a_list(x, lengths, rnn):
    return rnn(pack_padded_sequence(x, lengths.tolist(), True, False))[1]


def of_a_constant(x, lengths, rnn):
    return rnn(pack_padded_sequence(x, torch.full((len(x),), 3), True, False))[1]


def of_values(x, lengths, rnn):
    packed = pack_padded_sequence(x, lengths, True, False)
    values = torch.relu(packed.data)
    return rnn(PackedSequence(values, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices))[1]


def of_another_order(x, lengths, rnn):
    packed = pack_padded_sequence(x, lengths, True, False)
    return rnn(PackedSequence(packed.data, packed.batch_sizes))[1]


def returned(x, lengths, rnn):
    return rnn(pack_padded_sequence(x, lengths, True, False))[0]


def without_a_layer(x, lengths, rnn):
    return pad_packed_sequence(pack_padded_sequence(x, lengths, True, False), True)[0]


def padded_with(x, lengths, rnn, **options):
    return pad_packed_sequence(rnn(pack_padded_sequence(x, lengths, True, False))[0], True, **options)[0]


def of_one_value(x, lengths, rnn):
    return padded_with(x, lengths, rnn, padding_value=-1.0)


def of_more_steps(x, lengths, rnn):
    return padded_with(x, lengths, rnn, total_length=7)


class Forward(nn.Module):
    """A function of a recurrent layer."""

    def __init__(self, function):
        super().__init__()
        self.rnn, self.function = nn.GRU(6, 4, batch_first=True), function

    def forward(self, x, lengths):
        return self.function(x, lengths, self.rnn)


@pytest.mark.parametrize(
    ("function", "lengths", "said"),
    [
        (of_a_list, MIXED, "are a list.*give it a tensor"),
        (of_a_constant, MIXED, "are constants.*give it a tensor"),
        (of_values, MIXED, "packed sequence has no translation.*giving the layer lengths.*packed.data"),
        (of_another_order, MIXED, "packed sequence has no translation"),
        (returned, MIXED, "packed sequence has no translation"),
        (without_a_layer, MIXED, "what no layer has returned"),
        (of_one_value, MIXED, "padding_value=-1.0"),
        (of_more_steps, MIXED, "total_length=7.*5 steps"),
        (padded_with, SHORT, "longest length, 4.*total_length=5"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_has_no_translation_is_one_line(function, lengths, said):
    with pytest.raises(BlitzError, match=said) as raised:
        parity.translate(Forward(function), (ROWS, lengths))
    assert "\n" not in str(raised.value)


def test_pytorchs_functions_are_as_before():
    before = pack_padded_sequence.__code__
    with pytest.raises(BlitzError):
        parity.translate(Forward(returned), (ROWS, MIXED))
    assert pack_padded_sequence.__code__ is before
