"""`parity.translate`: the source reads as a Keras engineer would write it, and the proof is able to fail."""

import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import keras  # noqa: E402
from nets_to_translate import Gates, Images, Language, Patches, Residual, Sequences, lively  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate import layout, registry  # noqa: E402
from parity.translate.command import load, run  # noqa: E402
from parity.translate.functions import snake  # noqa: E402
from parity.twins.torch import families  # noqa: E402

pytestmark = pytest.mark.torch

INPUTS = {
    Images: lambda stream: stream.randn(3, 3, 8, 6).astype("f"),
    Language: lambda stream: stream.randint(0, 11, (3, 7)),
    Patches: lambda stream: stream.randn(3, 3, 12, 8).astype("f"),
    Sequences: lambda stream: stream.randn(3, 6, 5).astype("f"),
    Gates: lambda stream: (stream.randn(3, 4).astype("f"), stream.randn(3, 5).astype("f")),
}


def made(net):
    torch.manual_seed(0)
    return lively(net()), INPUTS[net](np.random.RandomState(0))


def translated(net, check=False):
    module, inputs = made(net)
    return parity.translate(module, inputs, check=check)


def verdict(port, module, inputs, **options):
    options = {"weights": dict(port.weights) or "auto", "dtypes": ("float64",), **options}
    return parity.check(module, port.fresh, inputs, **options)


@pytest.fixture(scope="module")
def images():
    return translated(Images, check=True)


def test_images_are_proven_in_both_modes(images):
    assert images.passed
    assert set(images.proof.reports) == {"eval mode", "train mode"}
    assert set(images.report.comparisons) == {"float64", "float32", "float32-graph"}
    assert "proven by parity.check, eval mode and train mode" in images.source.splitlines()[0]


@pytest.mark.parametrize("net", [Language, Patches, Sequences, Gates])
def test_outputs_activations_and_gradients_agree(net):
    module, inputs = made(net)
    report = verdict(parity.translate(module, inputs, check=False), module, inputs)
    assert report.passed, str(report)


def test_convnet_has_no_transpose_and_one_function_for_its_blocks(images):
    assert "transpose" not in images.source
    assert "torch" not in images.source.replace("translated from", "")[200:]
    assert re.findall(r"^def (\w+)", images.source, re.M) == ["residual", "images"]
    assert "for i in range(2):" in images.source
    assert "if shortcut:" in images.source


def test_attention_has_no_transpose():
    assert "transpose" not in translated(Language).source


def test_layers_are_named_by_module_paths(images):
    names = {layer.name for layer in images.model.layers if layer.weights}
    assert names == {path for path, inner in Images().named_modules() if list(inner.parameters(recurse=False))}


def test_constant_does_not_take_the_name_of_a_module():
    names = [layer.name for layer in translated(Language).fresh("float32").layers]
    assert "positions" in names
    assert "positions_2" not in names


def test_functions_are_named_as_people_name_them():
    names = {
        "ResNet": "resnet",
        "ResNetStage": "resnet_stage",
        "NeuralNetwork": "neural_network",
        "MLPBlock": "mlp_block",
    }
    assert {name: snake(name) for name in names} == names


@pytest.mark.parametrize("net", list(INPUTS))
def test_source_is_short_formatted_and_without_lint(net):
    source = translated(net).source
    assert source.count("\n") < 60
    for command in (["check"], ["format", "--check"]):
        whole = [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "120", "-"]
        done = subprocess.run(whole, input=source, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_another_batch_size_trains_and_survives_a_file(images, tmp_path):
    _, inputs = made(Images)
    model = images.build("float32")
    many = np.concatenate([np.moveaxis(inputs, 1, -1)] * 2)
    before = np.asarray(model(many))
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(again(many), before)
    again.compile("sgd", "mse")
    again.fit(many, np.zeros((6, 5), "f"), verbose=0)


def test_written_files_need_neither_torch_nor_parity(tmp_path):
    port = translated(Gates)
    port.write(tmp_path / "gates.py")
    code = (
        "import sys, gates; model = gates.gates(); model.load_weights('gates.weights.h5'); "
        "assert not {'torch', 'parity'} & set(sys.modules); print(float(abs(model.weights[0].numpy()).sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    module, _ = made(Gates)
    assert float(done.stdout.split()[-1]) == pytest.approx(float(module.left.weight.abs().sum().item()), rel=1e-6)


def test_order_of_flattened_features_is_proven_for_the_weights_that_are_written(monkeypatch):
    registry.load()
    flatten = registry.FUNCTIONS["flatten"]
    monkeypatch.setitem(registry.FUNCTIONS, "flatten", lambda *args: replace(flatten(*args), flat=None))
    port = translated(Images, check=True)
    assert not port.passed
    assert "weights" in port.source.splitlines()[0]


# Mistakes in the rules: the proof must see each.


def _wrong_rule(monkeypatch, table, name, change):
    rule = table[name]
    monkeypatch.setitem(table, name, lambda builder, *args, **kwargs: change(rule, builder, *args, **kwargs))


def _without(attribute, value):
    """Return a rule that reads another value of a module's attribute."""

    def change(rule, builder, module, *args, **kwargs):
        kept = getattr(module, attribute)
        setattr(module, attribute, value)
        try:
            return rule(builder, module, *args, **kwargs)
        finally:
            setattr(module, attribute, kept)

    return change


MISTAKES = {
    "lost-eps": (Images, "MODULES", "BatchNorm2d", _without("eps", 1e-5)),
    "wrong-padding": (Images, "MODULES", "Conv2d", _without("padding", (1, 1))),
    "dropped-branch": (Images, "FUNCTIONS", "add", lambda rule, builder, one, other, **_: builder.any(one)),
    "softmax-axis": (Language, "FUNCTIONS", "softmax", lambda rule, builder, x, dim: rule(builder, x, -2)),
    "gelu-tanh": (Language, "MODULES", "GELU", _without("approximate", "tanh")),
    "lost-activation": (Gates, "FUNCTIONS", "sigmoid", lambda rule, builder, x: builder.any(x)),
    "swapped-parts": (Sequences, "FUNCTIONS", "cat", lambda rule, builder, xs, dim: rule(builder, xs[::-1], dim)),
}


QUICK = ("lost-activation", "dropped-branch")  # the others are slow


@pytest.mark.parametrize(
    "mistake", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MISTAKES]
)
def test_mistake_in_a_rule_is_caught(mistake, monkeypatch):
    net, table, name, change = MISTAKES[mistake]
    registry.load()
    _wrong_rule(monkeypatch, getattr(registry, table), name, change)
    module, inputs = made(net)
    try:
        passed = verdict(parity.translate(module, inputs, check=False), module, inputs).passed
    except (BlitzError, ValueError):  # shapes that do not fit
        passed = False
    assert not passed


# What cannot be translated is one line.


class Odd(nn.Module):
    def forward(self, x):
        return torch.special.i0(x)


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, upstream):
        return upstream


class OwnGradient(nn.Module):
    def forward(self, x):
        return Swish.apply(x) * 2


class Grows(nn.Module):
    def forward(self, x):
        return x + torch.arange(len(x))[:, None]


class Raises(nn.Module):
    def forward(self, x):
        raise KeyError("first\nsecond")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Odd(), ["special_i0", "test_translate.py", "return torch.special.i0(x)", "@parity.translates", "--partial"]),
        (OwnGradient(), ["Swish", "gradient", "test_translate.py"]),
        (Grows(), ["constant", "batch"]),
        (Raises(), ["Raises", "KeyError"]),
        (nn.Linear(4, 2), ["Linear", "RuntimeError"]),
    ],
)
def test_what_cannot_be_translated_is_one_line(module, words):
    with pytest.raises(BlitzError) as caught:
        parity.translate(module, np.ones((2, 3), "f"), check=False)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_stub_for_what_has_no_rule(tmp_path):
    port = parity.translate(Odd(), np.ones((2, 3), "f"), partial=True)
    assert not port.passed
    assert "not proven" in port.source.splitlines()[0]
    assert "raise NotImplementedError" in port.source
    with pytest.raises(BlitzError, match="holes"):
        port.model  # noqa: B018
    port.write(tmp_path / "odd.py")
    assert {path.name for path in tmp_path.iterdir()} == {"odd.py"}


def test_rule_of_ones_own(monkeypatch):
    for table in (registry.MODULES, registry.FUNCTIONS):
        monkeypatch.setattr(registry, "MODULES" if table is registry.MODULES else "FUNCTIONS", dict(table))

    @parity.translates(Odd)
    def double(builder, module, x):
        return builder.op("{0} * {factor}", [x], factor=2.0)

    assert "x * 2.0" in parity.translate(Odd(), np.ones((2, 3), "f"), check=False).source


class Unit(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        self.conv = nn.Conv2d(*sizes, bias=False)

    def forward(self, x):
        return torch.relu(self.conv(x))


class Row(nn.Module):
    """Three units in a row that differ in three numbers, as Inception's branches have them."""

    def __init__(self):
        super().__init__()
        self.row_1, self.row_2 = Unit(3, 4, 1), Unit(4, 4, (1, 3), 1, (0, 1))
        self.row_3 = Unit(4, 6, (3, 1), 1, (1, 0))

    def forward(self, x):
        return self.row_3(self.row_2(self.row_1(x)))


def test_few_blocks_that_differ_in_several_numbers_are_no_loop():
    source = parity.translate(Row(), np.ones((2, 3, 5, 4), "f"), check=False).source
    assert "for " not in source
    assert source.count("unit(") == 1 + 3


@pytest.mark.parametrize(
    ("name", "shape", "output", "words"),
    [
        ("net.pt", "2,3", "net.py", ["no such file"]),
        ("no_such_module:Net", "2,3", "net.py", ["no_such_module", "cannot be imported"]),
        ("nets_to_translate:Net", "2,3", "net.py", ["no 'Net'"]),
        ("nets_to_translate:math", "2,3", "net.py", ["neither"]),
        ("nets_to_translate:Residual", "2,3", "net.py", ["TypeError"]),
        ("nets_to_translate:Images", "2,x", "net.py", ["--input"]),
        ("nets_to_translate:Images", "2,3", "net.txt", [".py"]),
        ("nets_to_translate:Images", "2,3", "missing/net.py", ["folder"]),
    ],
)
def test_wrong_usage_is_one_line(name, shape, output, words, tmp_path):
    with pytest.raises(BlitzError) as caught:
        run(name, [shape], tmp_path / output, trust=False, partial=False)
    assert [word for word in words if word not in str(caught.value)] == []
    assert list(tmp_path.iterdir()) == []


# The algebra of layouts, against NumPy.


@pytest.mark.parametrize("seed", range(30))
def test_reshape_of_a_layout_is_pytorchs(seed):
    stream = np.random.RandomState(seed)
    shape = [(2, 3, 4, 5), (2, 6, 1, 4), (3, 4, 4), (2, 1, 3, 2, 2)][seed % 4]
    array = stream.randn(*shape)
    wanted = [(2, 12, 5), (2, 2, 3, 4), (12, 2, 2), (2, 3, 4)][seed % 4]
    order = tuple(stream.permutation(len(shape)))
    groups = layout.groups(shape, wanted)
    ready = order if layout.keeps_order(order, shape, groups) else layout.gathered(order, shape, groups, wanted)
    held = array.transpose(ready)
    result = layout.reshaped(ready, shape, groups, wanted)
    np.testing.assert_array_equal(
        held.reshape([wanted[axis] for axis in result]), array.reshape(wanted).transpose(result)
    )


def test_block_that_skips_a_convolution_has_the_same_function():
    module = nn.Sequential(Residual(3, 3), Residual(3, 4, shortcut=True))
    source = parity.translate(lively(module), np.ones((2, 3, 5, 4), "f"), check=False).source
    assert source.count("def residual") == 1


def test_a_module_of_torchvision_is_found_beside_a_pytorch_for_cpus_alone():
    """Its import looks for compiled operators, which such a PyTorch does not have."""
    assert type(load("torchvision.models:squeezenet1_1", trust=False)).__name__ == "SqueezeNet"


@pytest.mark.parametrize(
    ("loads", "declared"), [(True, ["torchvision::qnms"]), (False, ["torchvision::nms", "torchvision::qnms"])]
)
def test_an_operator_is_declared_only_where_it_cannot_be_loaded(loads, declared, monkeypatch):
    """Declared first, the compiled one of the same name would end the process."""
    operators, done = SimpleNamespace(), []

    def load_library(path):
        assert "torchvision" in str(path)
        if not loads:
            raise OSError("no accelerator's libraries")
        operators.nms = True

    ops = SimpleNamespace(torchvision=operators, load_library=load_library)
    library = SimpleNamespace(define=lambda name, signature: done.append(name))
    monkeypatch.setattr(families, "torch", SimpleNamespace(ops=ops, library=library))
    families.define_missing_operators()
    assert done == declared
