"""L5: LSTM, GRU, RNN and their cells against torch.nn: stacks, directions, projections, initial states, lengths."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, copy_weights, over  # noqa: E402

nn = torch.nn
small = st.integers(1, 3)
seeds = st.integers(0, 2**16)


def in_both(tree, to):
    """Return arrays, nested in tuples, as tensors."""
    return tuple(in_both(each, to) for each in tree) if isinstance(tree, tuple) else to(tree)


def flat(tree):
    return [leaf for each in tree for leaf in flat(each)] if isinstance(tree, tuple | list) else [tree]


def assert_same(module, layer, theirs, x, hx=None, seed=0):
    """Outputs, last states, and the gradients of inputs, initial states and weights.

    Args:
        theirs: (module, x, hx) -> what PyTorch returns; ours is called likewise.
    """
    module = module.double()
    layer.build(x.shape)
    copy_weights(module, layer, seed)
    given = in_both((x, *([] if hx is None else [hx])), lambda a: torch.tensor(a, requires_grad=True))
    expected = flat(theirs(*given))
    rng = np.random.RandomState(1)
    upstream = [rng.randn(*each.shape) for each in expected]
    torch.autograd.backward(expected, [torch.tensor(each) for each in upstream])
    ours = in_both((x, *([] if hx is None else [hx])), tf.constant)
    with tf.GradientTape() as tape:
        tape.watch(flat(ours))
        actual = flat(layer.called(*ours))
    weights = list(layer.trainable_variables)
    gradients = tape.gradient(actual, [*flat(ours), *weights], [tf.constant(each) for each in upstream])
    for one, other in zip(actual, expected, strict=True):
        assert_close(one.numpy(), other.detach().numpy())
    of = dict(module.named_parameters())
    tensors = [*flat(given), *(of[variable.name] for variable in weights)]
    for gradient, tensor in zip(gradients, tensors, strict=True):
        assert_close(tf.convert_to_tensor(gradient).numpy(), tensor.grad.numpy())
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


KINDS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "RNN": layers.RNN, "RNN-relu": layers.RNN}


@over(
    few=15, kind=st.sampled_from(sorted(KINDS)), seed=seeds,
    batch=small, steps=st.integers(1, 4), width=small, hidden=st.integers(2, 4), count=small,
    bias=st.booleans(), batch_first=st.booleans(), both=st.booleans(), project=st.booleans(), started=st.booleans(),
    padded=st.booleans(),
)  # fmt: skip
def test_stack(kind, seed, batch, steps, width, hidden, count, bias, batch_first, both, project, started, padded):
    rng, name = np.random.RandomState(seed), kind.partition("-")[0]
    options = {"num_layers": count, "bias": bias, "batch_first": batch_first, "bidirectional": both}
    options |= {"proj_size": hidden - 1} if kind == "LSTM" and project else {}
    options |= {"nonlinearity": "relu"} if kind == "RNN-relu" else {}
    module, layer = getattr(nn, name)(width, hidden, **options), KINDS[kind](hidden, **options, dtype="float64")
    x = rng.randn(*((batch, steps) if batch_first else (steps, batch)), width)
    states = [rng.randn(count * (1 + both), batch, wide) for wide in (options.get("proj_size", hidden), hidden)]
    hx = (tuple(states) if kind == "LSTM" else states[0]) if started else None
    lengths = rng.randint(1, steps + 1, batch) if padded else None

    def theirs(x, hx=None):
        if not padded:
            return module(x, hx)
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=False)
        output, states = module(packed, hx)
        return nn.utils.rnn.pad_packed_sequence(output, batch_first, total_length=steps)[0], states

    layer.called = lambda x, hx=None: layer(x, hx, lengths=lengths)
    assert_same(module, layer, theirs, x, hx, seed)


@over(
    few=8,
    kind=st.sampled_from(["LSTMCell", "GRUCell", "RNNCell", "RNNCell-relu"]),
    seed=seeds,
    batch=small,
    width=small,
    hidden=small,
    bias=st.booleans(),
    started=st.booleans(),
)
def test_cell(kind, seed, batch, width, hidden, bias, started):
    rng, name = np.random.RandomState(seed), kind.partition("-")[0]
    options = {"nonlinearity": "relu"} if "-" in kind else {}
    module = getattr(nn, name)(width, hidden, bias, **options)
    layer = getattr(layers, name)(hidden, bias, **options, dtype="float64")
    states = tuple(rng.randn(2, batch, hidden))
    hx = (states if kind == "LSTMCell" else states[0]) if started else None
    layer.called = lambda *given: layer(*given)
    assert_same(module, layer, module, rng.randn(batch, width), hx, seed)


def test_dropout_between_the_layers_through_pytorchs_mask():
    module = nn.LSTM(3, 4, 2, dropout=0.5).double()
    layer = layers.LSTM(4, 2, dropout=0.5, dtype="float64", batch_first=False)
    x = np.random.RandomState(0).randn(5, 2, 3)
    layer.build(x.shape)
    copy_weights(module, layer)
    torch.manual_seed(5)
    mask = nn.functional.dropout(torch.ones(5, 2, 4, dtype=torch.float64), 0.5).numpy()
    layer.dropouts[0].mask = lambda _: mask
    torch.manual_seed(5)
    assert_close(layer(x, training=True)[0].numpy(), module(torch.tensor(x))[0].detach().numpy())
    assert_close(layer(x)[0].numpy(), module.eval()(torch.tensor(x))[0].detach().numpy())


def test_in_a_functional_model_with_lengths_as_an_input():
    inputs, lengths = keras.Input((5, 3)), keras.Input((), dtype="int32")
    output, (hidden, cell) = layers.LSTM(4, 2, bidirectional=True)(inputs, lengths=lengths)
    model = keras.Model([inputs, lengths], [output, hidden, cell])
    assert [tuple(each.shape) for each in model.outputs] == [(None, 5, 8), (4, None, 4), (4, None, 4)]
    found = model([np.ones((2, 5, 3), "float32"), np.array([5, 2])])
    assert np.all(found[0][1, 2:] == 0)
    assert np.any(found[0][0, 2:] != 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.GRU(0), "hidden_size must be a whole number ≥ 1, not 0"),
        (lambda: layers.GRU(2, 0), "num_layers must be a whole number ≥ 1, not 0"),
        (lambda: layers.LSTM(2, proj_size=2), "proj_size must be a whole number from 0 to hidden_size − 1, not 2"),
        (lambda: layers.RNN(2, nonlinearity="elu"), 'nonlinearity must be "tanh" or "relu", not \'elu\''),
        (lambda: layers.RNNCell(2, nonlinearity="elu"), 'nonlinearity must be "tanh" or "relu"'),
        (lambda: layers.LSTMCell(0), "hidden_size must be a whole number ≥ 1, not 0"),
        (lambda: layers.LSTM(2, name="net")(np.ones((1, 2, 3)), np.ones((1, 1, 2))), "net: hx must be 2 states, not 1"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
