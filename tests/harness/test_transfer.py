"""`parity.transfer`: one model's weights in the other, bit for bit, proven, or nothing at all."""

import copy

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch import nn
from typer.testing import CliRunner

import parity
from keras_blitz.errors import BlitzError
from parity.cli import app

pytestmark = [pytest.mark.covers("H16"), pytest.mark.torch]

IMAGES = np.random.RandomState(0).standard_normal((2, 3, 8, 6)).astype(np.float32)
SEQUENCES = np.random.RandomState(1).standard_normal((2, 5, 6)).astype(np.float32)


class Images(nn.Module):
    """A Flatten that has channels first, and BatchNorm's buffers."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 6 * 4, 5)
        with torch.no_grad():
            self.bn.running_mean.normal_()
            self.bn.running_var.uniform_(0.5, 2.0)
            self.bn.weight.uniform_(0.5, 1.5)
            self.bn.bias.normal_()

    def forward(self, x):
        return self.fc(torch.relu(self.bn(self.conv(x))).flatten(1))


class Sequences(nn.Module):
    """Two biases for Keras's one, and packed projections."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        x, _ = self.lstm(x)
        return self.norm(x + self.attend(x, x, x, need_weights=False)[0])


def stack(epsilon=1e-5):
    return [
        layers.Conv2D(4, 3),
        layers.BatchNormalization(epsilon=epsilon),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(5),
    ]


def functional(epsilon=1e-5):
    inputs = x = keras.Input((8, 6, 3))
    for layer in stack(epsilon):
        x = layer(x)
    return keras.Model(inputs, x)


def nested():
    inputs = keras.Input((8, 6, 3))
    *features, head = stack()
    return keras.Model(inputs, head(keras.Sequential(features)(inputs)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.all = stack()

    def call(self, x):
        for layer in self.all:
            x = layer(x)
        return x


def sequences():
    inputs = keras.Input((5, 6))
    x = layers.LSTM(8, return_sequences=True)(inputs)
    mixed = layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(inputs, layers.LayerNormalization(epsilon=1e-5)(x + mixed))


KINDS = {
    "functional": (Images, functional, IMAGES),
    "sequential": (Images, lambda: keras.Sequential([keras.Input((8, 6, 3)), *stack()]), IMAGES),
    "not built": (Images, lambda: keras.Sequential(stack()), IMAGES),
    "nested": (Images, nested, IMAGES),
    "subclassed": (Images, Subclassed, IMAGES),
    "sequences": (Sequences, sequences, SEQUENCES),
}


def tensors(module):
    return {name: value.clone() for name, value in module.state_dict().items() if "num_batches" not in name}


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_every_bit_is_kept(kind):
    make, port, inputs = KINDS[kind]
    module, model, other = make(), port(), make()
    done = parity.transfer(module, model, inputs)
    assert done, str(done)
    assert not done.left
    assert f"{done.tensors} tensors of {len(done.weights)} layers were copied into the Keras model" in str(done)
    module.eval()
    expected = module(torch.from_numpy(inputs)).detach().numpy()
    given = inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 else inputs
    np.testing.assert_allclose(np.asarray(model(given)), expected, atol=2e-6)

    assert parity.transfer(other, model, inputs, reverse=True)
    before, after = tensors(module), tensors(other)
    biases = {name: before[name] + before.get(name.replace("_ih", "_hh"), 0) for name in before if "bias_ih" in name}
    expected = before | biases | {name: torch.zeros_like(before[name]) for name in before if "bias_hh" in name}
    assert all(torch.equal(expected[name], value) for name, value in after.items())


@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_is_copied_where_the_models_differ(reverse):
    module, model = Images(), functional(epsilon=1e-3)
    weights, state = model.get_weights(), copy.deepcopy(module.state_dict())
    done = parity.transfer(module, model, IMAGES, reverse=reverse)
    assert not done
    assert not done.filled
    assert done.report.first_divergence == "activation:bn"
    assert "nothing was copied into the" in str(done)
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in state.items())


def test_unproven_copies_all_the_same_and_is_not_true():
    module, model = Images(), functional(epsilon=1e-3)
    done = parity.transfer(module, model, IMAGES, unproven=True)
    assert done.filled
    assert not done
    np.testing.assert_array_equal(model.layers[-1].bias, module.fc.bias.detach())


@pytest.mark.parametrize("reverse", [False, True])
def test_an_interruption_leaves_both_models_as_they_were(monkeypatch, reverse):
    module, model = Images(), functional()
    weights, state = model.get_weights(), copy.deepcopy(module.state_dict())

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("parity.pair.transfer.check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parity.transfer(module, model, IMAGES, reverse=reverse)
    assert all(map(np.array_equal, weights, model.get_weights()))
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in state.items())


def test_what_cannot_be_paired_is_listed_and_nothing_is_changed():
    model = keras.Sequential([keras.Input((8, 6, 3)), *stack()[:-1], layers.Dense(6)])
    before = model.get_weights()
    with pytest.raises(BlitzError, match="fc"):
        parity.transfer(Images(), model, IMAGES)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_frozen_layers_are_filled_and_stay_frozen():
    model = functional()
    model.layers[1].trainable = False
    assert parity.transfer(Images(), model, IMAGES)
    assert not model.layers[1].trainable


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"keras_model": "net.keras"}, "must be a Keras model"),
        ({"weights": "keep"}, "copies nothing"),
        ({"weights": {"fc": "nowhere"}}, "nowhere"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, words):
    given = {"torch_module": Images(), "keras_model": functional(), "inputs": IMAGES} | arguments
    with pytest.raises(BlitzError, match=words):
        parity.transfer(**given)


NETS = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 4, 5))

def raises():
    raise ValueError("no such data")

number = 3
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a PyTorch network's code, its checkpoint, and Keras models, right and wrong."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "transfer_nets.py").write_text(NETS)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 4, 5))
    torch.save(module.state_dict(), "net.pth")
    wrapped = {f"module.{name}": value for name, value in module.state_dict().items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, "wrapped.pth")
    torch.save(module[:2].state_dict(), "part.pth")
    torch.save({**module.state_dict(), "0.weight": torch.zeros(7, 3, 3, 3)}, "other.pth")
    conv, _, *rest = stack()
    keras.Sequential([keras.Input((8, 6, 3)), conv, *rest]).save("net.keras")
    keras.Sequential([keras.Input((8, 6, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)]).save(
        "wrong.keras"
    )
    keras.Sequential([keras.Input((8, 6, 3)), *stack()]).save_weights("net.weights.h5")
    with keras.saving.custom_object_scope({"Scale": Scale}):
        keras.Sequential([keras.Input((8, 6, 3)), Scale()]).save("custom.keras")
    return module


class Scale(layers.Layer):
    """A class that is not registered."""

    def call(self, x):
        return 2 * x


def run(*arguments):
    return CliRunner().invoke(app, ["transfer", *arguments])


def test_the_command_writes_a_filled_model(files, tmp_path):
    done = run("transfer_nets:Net", "net.keras", "--checkpoint", "net.pth", "-o", "filled.keras")
    assert done.exit_code == 0, done.output
    assert "4 tensors of 2 layers were copied into the Keras model" in done.output
    model = keras.saving.load_model(tmp_path / "filled.keras")
    np.testing.assert_array_equal(model.layers[-1].bias, files[3].bias.detach())
    done = run("transfer_nets:Net", "filled.keras", "--reverse", "-o", "back.pth", "--input", "1,3,8,6")
    assert done.exit_code == 0, done.output
    back = torch.load(tmp_path / "back.pth")
    assert all(torch.equal(value, back[name]) for name, value in files.state_dict().items())


def test_the_command_takes_a_wrapped_checkpoint(files, tmp_path):
    done = run("transfer_nets.py:Net", "net.keras", "--checkpoint", "wrapped.pth", "-o", "filled.weights.h5")
    assert done.exit_code == 0, done.output
    model = keras.saving.load_model("net.keras")
    model.load_weights(tmp_path / "filled.weights.h5")
    np.testing.assert_array_equal(model.layers[-1].bias, files[3].bias.detach())


def test_ctrl_c_says_so_and_writes_nothing(files, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("parity.pair.transfer.check", interrupted)
    done = run("transfer_nets:Net", "net.keras", "-o", "filled.keras")
    assert done.exit_code == 130
    assert "interrupted: nothing was written" in done.output + done.stderr
    assert not list(tmp_path.glob("*filled*"))


@pytest.mark.parametrize("name", ["nowhere/filled.keras", "filled.txt"])
def test_a_file_that_cannot_be_written_is_said_at_once(files, name, monkeypatch):
    monkeypatch.setattr("parity.porting.load_torch", None)  # nothing has been loaded yet
    done = run("transfer_nets:Net", "net.keras", "-o", name)
    assert isinstance(done.exception, BlitzError)
    assert name in str(done.exception)


def test_the_command_writes_nothing_where_the_models_differ(files, tmp_path):
    done = run("transfer_nets:Net", "wrong.keras", "--checkpoint", "net.pth", "-o", "filled.keras")
    assert done.exit_code == 1
    assert "nothing was copied" in done.output
    assert "filled.keras: not written" in done.output
    assert not (tmp_path / "filled.keras").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transfer_nets", "net.keras"], "name the module as"),
        (["transfer_nets:Nat", "net.keras"], "Nat"),
        (["no_such_module:Net", "net.keras"], "no_such_module"),
        (["transfer_nets:raises", "net.keras"], "no such data"),
        (["transfer_nets:number", "net.keras"], "transfer_nets:number"),
        (["transfer_nets:Net", "none.keras"], "no such file"),
        (["transfer_nets:Net", "net.weights.h5"], "holds weights only"),
        (["transfer_nets:Net", "custom.keras"], "needs Scale, which no imported module registers"),
        (["transfer_nets:Net", "net.keras", "--checkpoint", "other.pth"], r"0.weight, (7, 3, 3, 3) for (4, 3, 3, 3)"),
        (["transfer_nets:Net", "net.keras", "--checkpoint", "part.pth"], "2 tensors are missing (3.weight)"),
        (["transfer_nets:Net", "net.keras", "--reverse"], "must end in one of .safetensors, .pth, .pt"),
        (["transfer_nets:Net", "net.keras", "--checkpoint", "none.pth"], "no such file"),
        (["transfer_nets:Net", "net.keras", "--input", "2,x"], "--input"),
        (["transfer_nets:Net", "net.keras", "--input", "2,3,9,9"], "shape"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(files, tmp_path, arguments, words):
    done = run(*arguments, "-o", "filled.keras")
    assert isinstance(done.exception, BlitzError), done.output
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "filled.keras").exists()
