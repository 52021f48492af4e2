"""What `parity.transfer` says that it filled, what it leaves alone, and what a target is after a refusal."""

import copy

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch import nn

import keras_blitz
import parity
from keras_blitz.errors import BlitzError
from keras_blitz.layers import BatchNorm

pytestmark = [pytest.mark.covers("H16"), pytest.mark.torch]

VECTORS = np.random.RandomState(0).standard_normal((4, 6)).astype(np.float32)
SEQUENCES = np.random.RandomState(1).standard_normal((2, 5, 6)).astype(np.float32)
IMAGES = np.random.RandomState(2).standard_normal((2, 3, 8, 6)).astype(np.float32)


def graph(shape, *inner):
    given = x = keras.Input(shape)
    for layer in inner:
        x = layer(x)
    return keras.Model(given, x)


def bits(model) -> list[bytes]:
    return [variable.numpy().tobytes() for variable in model.weights]


def table(done) -> dict[str, tuple[tuple[str, ...], str]]:
    return {row.weight: (row.tensors, row.how) for row in done.rows}


class Convolved(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4 * 6 * 4, 5)

    def forward(self, x):
        return self.fc(self.conv(x).relu().flatten(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.r = kind(6, 4, batch_first=True)

    def forward(self, x):
        return self.r(x)[0]


class Packed(nn.Module):
    """Query, key and value in one layer."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(6, 24), nn.Linear(8, 6)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out((q @ k.mT / 8**0.5).softmax(-1) @ v)


def packed():
    given = keras.Input((5, 6))
    q, k, v = (layers.Dense(8, name=name)(given) for name in "qkv")
    mixed = layers.Softmax()(keras.ops.matmul(q, keras.ops.swapaxes(k, 1, 2)) / 8**0.5)
    return keras.Model(given, layers.Dense(6, name="out")(keras.ops.matmul(mixed, v)))


TABLES = {
    "convolution and Flatten": (
        Convolved, lambda: graph((8, 6, 3), layers.Conv2D(4, 3, activation="relu", name="c"), layers.Flatten(),
                                 layers.Dense(5, name="d")), IMAGES,
        {
            "c/kernel": (("conv.weight",), "axes (2, 3, 1, 0)"),
            "c/bias": (("conv.bias",), ""),
            "d/kernel": (("fc.weight",), "transposed, from the order (C, H, W) to (H, W, C)"),
            "d/bias": (("fc.bias",), ""),
        },
    ),
    "two biases into one": (
        lambda: Recurrent(nn.LSTM), lambda: graph((5, 6), layers.LSTM(4, return_sequences=True, name="l")), SEQUENCES,
        {
            "l/lstm_cell/kernel": (("r.weight_ih_l0",), "transposed"),
            "l/lstm_cell/recurrent_kernel": (("r.weight_hh_l0",), "transposed"),
            "l/lstm_cell/bias": (("r.bias_ih_l0", "r.bias_hh_l0"), ""),
        },
    ),
    "gates in another order": (
        lambda: Recurrent(nn.GRU), lambda: graph((5, 6), layers.GRU(4, return_sequences=True, name="g")), SEQUENCES,
        {
            "g/gru_cell/kernel": (("r.weight_ih_l0",), "transposed, gates reordered"),
            "g/gru_cell/recurrent_kernel": (("r.weight_hh_l0",), "transposed, gates reordered"),
            "g/gru_cell/bias[0]": (("r.bias_ih_l0",), "gates reordered"),
            "g/gru_cell/bias[1]": (("r.bias_hh_l0",), "gates reordered"),
        },
    ),
    "one layer for three": (
        Packed, packed, SEQUENCES,
        {
            **{f"{name}/kernel": ((f"qkv.weight[{8 * k}:{8 * k + 8}]",), "transposed") for k, name in enumerate("qkv")},
            **{f"{name}/bias": ((f"qkv.bias[{8 * k}:{8 * k + 8}]",), "") for k, name in enumerate("qkv")},
            "out/kernel": (("out.weight",), "transposed"),
            "out/bias": (("out.bias",), ""),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours", "inputs", "rows"), TABLES.values(), ids=TABLES)
def test_each_keras_weight_says_which_tensor_it_has_and_how(theirs, ours, inputs, rows):
    done = parity.transfer(theirs(), ours(), inputs)
    assert done, str(done)
    assert table(done) == rows


def test_the_table_is_read_off_what_is_done():
    """Of a port with the wrong pairs by hand the table has those, and it is printed only where they are kept."""
    module = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    model = graph((6,), layers.Dense(6, activation="tanh", name="a"), layers.Dense(6, name="b"))
    crossed = parity.transfer(module, model, VECTORS, weights={"0": "b", "2": "a"})
    assert table(crossed)["a/kernel"] == (("2.weight",), "transposed")
    assert "a ← 2: kernel ← weight" not in str(crossed)
    assert "a ← 2: kernel ← weight" in str(
        parity.transfer(module, model, VECTORS, weights={"0": "b", "2": "a"}, unproven=True)
    )


def test_layers_that_are_filled_alike_share_a_line():
    steps = [each for _ in range(7) for each in (nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh())]
    module = nn.Sequential(*steps)
    inner = [
        each for k in range(7)
        for each in (layers.Dense(6, name=f"d{k}"), layers.LayerNormalization(epsilon=1e-5, name=f"n{k}"),
                     layers.Activation("tanh"))
    ]  # fmt: skip
    done = parity.transfer(module, graph((6,), *inner), VECTORS)
    assert done, str(done)
    lines = str(done).splitlines()
    assert len(lines) < 20
    assert "  7 × d0 ← 0, d1 ← 3, d2 ← 6 and 4 more: kernel ← weight (transposed), bias ← bias" in lines
    assert "  7 × n0 ← 1, n1 ← 4, n2 ← 7 and 4 more: gamma ← weight, beta ← bias" in lines


def test_the_other_way_the_arrows_turn_and_the_second_bias_is_zero():
    model = graph((5, 6), layers.LSTM(4, return_sequences=True, name="l"))
    stream = np.random.RandomState(3)
    model.set_weights([stream.standard_normal(v.shape) for v in model.weights])
    module = Recurrent(nn.LSTM)
    done = parity.transfer(module, model, SEQUENCES, reverse=True)
    assert done, str(done)
    assert "bias → bias_ih_l0, bias_hh_l0 zero" in str(done)
    assert not module.r.bias_hh_l0.any()
    np.testing.assert_array_equal(module.r.bias_ih_l0.detach(), model.weights[2].numpy())


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids):
        return self.head(self.table(ids).tanh())


def test_a_tied_tensor_is_not_left_over():
    ids = keras.Input((5,), dtype="int32")
    table = layers.ReversibleEmbedding(9, 4)
    model = keras.Model(ids, table(keras.ops.tanh(table(ids)), reverse=True))
    done = parity.transfer(Tied(), model, np.arange(8).reshape(2, 4)[:, :4].repeat(2, 1)[:, :5])
    assert done, str(done)
    assert not done.left


@pytest.mark.parametrize("reverse", [False, True])
def test_the_count_of_batches_goes_along_where_both_have_one(reverse):
    module, model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), graph((6,), layers.Dense(5), BatchNorm())
    module[1].num_batches_tracked.fill_(7)
    model.layers[-1].num_batches_tracked.assign(3)
    assert parity.transfer(module, model, VECTORS, reverse=reverse)
    counts = int(module[1].num_batches_tracked), int(model.layers[-1].num_batches_tracked)
    assert counts == ((3, 3) if reverse else (7, 7))


class Branches(nn.Module):
    """Two norms of one input, as their constructor makes them."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.LayerNorm(6), nn.LayerNorm(6)
        self.first, self.second = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        return self.first(self.one(x)) + 2 * self.second(self.two(x))


class KerasBranches(keras.Model):
    def __init__(self, two_first):
        super().__init__()
        self.two_first, self.norms = two_first, [layers.LayerNormalization(epsilon=1e-5) for _ in range(2)]
        self.heads = [layers.Dense(3) for _ in range(2)]

    def call(self, x):
        first, second = (norm(x) for norm in self.norms)
        if self.two_first:
            return 2 * self.heads[0](first) + self.heads[1](second)
        return self.heads[0](first) + 2 * self.heads[1](second)


@pytest.mark.parametrize("two_first", [False, True])
def test_a_fresh_module_whose_layers_are_all_ones_is_filled_in_the_right_places(two_first):
    model, module = KerasBranches(two_first), Branches()
    model(VECTORS)
    stream = np.random.RandomState(4)
    model.set_weights([stream.standard_normal(v.shape) for v in model.weights])
    before = torch.get_rng_state()
    done = parity.transfer(module, model, VECTORS, reverse=True)
    assert done, str(done)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_allclose(module(torch.tensor(VECTORS)).detach(), model(VECTORS), atol=1e-5)


class Standardized(nn.Module):
    def __init__(self, mean, deviation):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))
        self.fc = nn.Linear(6, 2)

    def forward(self, x):
        return self.fc((x - self.mean) / self.deviation)


def test_the_statistics_of_a_normalization_are_left_alone(tmp_path):
    """They are a variance where PyTorch has a deviation: filled in, they would take effect when the file is loaded."""
    norm = layers.Normalization(name="norm")
    model = graph((6,), norm, layers.Dense(2))
    norm.adapt(VECTORS)
    mean, variance = (value.numpy() for value in norm.weights[:2])
    done = parity.transfer(Standardized(mean, np.sqrt(variance)), model, VECTORS)
    assert done, str(done)
    assert {"norm/mean", "norm/variance"} <= set(done.left)
    np.testing.assert_array_equal(norm.weights[1], variance)
    model.save(tmp_path / "filled.keras")
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "filled.keras")(VECTORS), model(VECTORS), rtol=1e-6)
    assert not parity.transfer(Standardized(mean, variance), model, VECTORS)


def test_what_another_type_rounds_is_said():
    module, model = nn.Sequential(nn.Linear(6, 5)).double(), graph((6,), layers.Dense(5))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.rand_like(parameter))
    done = parity.transfer(module, model, VECTORS)
    assert done.rounded == ["0.weight", "0.bias"]
    assert "rounded to the Keras model's type: 0.weight, 0.bias" in str(done)
    assert parity.transfer(module, model, VECTORS, reverse=True).rounded == []


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.mid = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        skip = self.down(x).relu()
        return self.out(torch.cat([self.up(self.mid(nn.functional.max_pool2d(skip, 2)).relu()), skip], 1))


def unet(skip_first):
    given = keras.Input((8, 6, 3))
    skip = layers.Conv2D(4, 3, padding="same", activation="relu")(given)
    up = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(skip))
    up = layers.Conv2DTranspose(4, 2, 2)(up)
    return keras.Model(given, layers.Conv2D(2, 1)(layers.Concatenate()([skip, up] if skip_first else [up, skip])))


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
def test_a_port_that_concatenates_the_other_way_round_is_not_filled(reverse):
    module, model = UNet(), unet(skip_first=True)
    state, before = copy.deepcopy(module.state_dict()), bits(model)
    done = parity.transfer(module, model, IMAGES, reverse=reverse)
    assert not done
    assert done.report.first_divergence == "activation:out"
    assert "two parts in the other order" in str(done)
    assert bits(model) == before
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in state.items())
    assert parity.transfer(module, unet(skip_first=False), IMAGES, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_is_half_filled_where_one_layer_has_no_counterpart(reverse):
    module = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 3))
    model = graph((6,), layers.Dense(5, activation="tanh"), layers.Dense(4), layers.Dense(2, name="head"))
    state, before = copy.deepcopy(module.state_dict()), bits(model)
    with pytest.raises(BlitzError, match=r"3 \(linear: weight \(3, 4\).*head"):
        parity.transfer(module, model, VECTORS, reverse=reverse)
    assert bits(model) == before
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in state.items())


def by_hand(model, module, *, permuted):
    """Copy a Keras model into a PyTorch module as people do: transposed, and permuted after the Flatten or not."""
    conv, bias, kernel, head = (torch.tensor(value) for value in model.get_weights())
    rows = kernel.reshape(6, 4, 4, 5).permute(2, 0, 1, 3).reshape(96, 5) if permuted else kernel
    with torch.no_grad():
        for target, value in zip(module.parameters(), (conv.permute(3, 2, 0, 1), bias, rows.T, head), strict=True):
            target.copy_(value)
    return module


def keras_net():
    return keras.Sequential(
        [keras.Input((8, 6, 3)), layers.Conv2D(4, 3, activation="relu", name="conv"), layers.Flatten(),
         layers.Dense(5, name="fc")]
    )  # fmt: skip


def test_a_copy_by_hand_without_the_order_of_the_flatten_is_named():
    model = keras_net()
    assert parity.check(by_hand(model, Convolved(), permuted=True), model, IMAGES, weights="keep")
    report = parity.check(by_hand(model, Convolved(), permuted=False), model, IMAGES, weights="keep")
    assert report.first_divergence == "param:fc.weight"
    assert "flatten-order" in str(report)
    assert "flatten-order" not in str(parity.check(Convolved(), model, IMAGES, weights="keep"))


def test_a_square_kernel_that_was_not_transposed_is_named():
    module, model = nn.Sequential(nn.Linear(6, 6)), graph((6,), layers.Dense(6))
    model.layers[-1].set_weights([module[0].weight.detach(), module[0].bias.detach()])
    assert "linear-transpose" in str(parity.check(module, model, VECTORS, weights="keep"))


def test_a_keras_model_goes_to_pytorch_by_transfer_and_by_its_state_dict():
    model = keras_net()
    one, other = Convolved(), Convolved()
    assert parity.transfer(one, model, IMAGES, reverse=True)
    other.load_state_dict({name: torch.tensor(value) for name, value in keras_blitz.state_dict(model).items()})
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
