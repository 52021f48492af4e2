"""`parity.check_export`: a PyTorch module beside ONNX, TFLite and a SavedModel, right files and wrong ones."""

import os
import time

import keras
import numpy as np
import pytest
from keras import layers

import parity
from keras_blitz.errors import BlitzError
from keras_blitz.export import export_onnx, export_tflite, open_exported, save_saved_model
from keras_blitz.export.apart import call_apart
from keras_blitz.layers import BatchNorm, Conv2d, MaxPool2d
from keras_blitz.layers.pooling import pad_by_edges
from keras_blitz.weights.mapping import load_state_dict
from parity.core.verdict import Verdict
from parity.exported.arrange import assigned, order_of

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
pytestmark = [pytest.mark.torch, pytest.mark.covers("H17")]

IMAGES = np.random.RandomState(0).randn(6, 3, 10, 8).astype("float32")
EXTRA = np.random.RandomState(1).randn(6, 4).astype("float32")


class Net(torch.nn.Module):
    """A convolution, then two heads; the second is given more."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.BatchNorm2d(6)
        self.logits, self.box = torch.nn.Linear(6, 5), torch.nn.Linear(10, 2)

    def forward(self, image, extra):
        features = torch.relu(self.bn(self.conv(image))).mean((2, 3))
        return {"logits": self.logits(features), "box": self.box(torch.cat([features, extra], 1))}


class OneInput(torch.nn.Module):
    """A convnet whose output is a map of 4 channels."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.Conv2d(6, 4, 3, stride=2)

    def forward(self, x):
        return self.last(torch.relu(self.conv(x)))


def trained(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for inner in module.modules():
        if isinstance(inner, torch.nn.BatchNorm2d):
            inner.running_mean.normal_()
            inner.running_var.uniform_(0.5, 2)
    return module.eval()


def filled(model, module):
    load_state_dict(model, {name: value.numpy() for name, value in module.state_dict().items()})
    return model


@pytest.fixture(scope="module")
def pair():
    module = trained(Net())
    image, extra = keras.Input((10, 8, 3), name="image"), keras.Input((4,), name="extra")
    x = layers.ReLU()(BatchNorm(name="bn")(Conv2d(6, 3, padding=1, name="conv")(image)))
    features = layers.GlobalAveragePooling2D()(x)
    outputs = {
        "logits": layers.Dense(5, name="logits")(features),
        "box": layers.Dense(2, name="box")(layers.Concatenate()([features, extra])),
    }
    return module, filled(keras.Model([image, extra], outputs), module)


@pytest.fixture(scope="module")
def one():
    module = trained(OneInput())
    inputs = keras.Input((10, 8, 3))
    x = layers.ReLU()(Conv2d(6, 3, padding=1, name="conv")(inputs))
    return module, filled(keras.Model(inputs, Conv2d(4, 3, stride=2, name="last")(x)), module)


def write_onnx(model, path):
    pytest.importorskip("tf2onnx")
    export_onnx(model, path)


def write_onnx_channels_first(model, path):
    pytest.importorskip("tf2onnx")
    export_onnx(model, path, channels_first=True)


WRITERS = {
    "tflite": (export_tflite, "net.tflite"), "saved": (save_saved_model, "net"), "onnx": (write_onnx, "net.onnx"),
    "onnx-nchw": (write_onnx_channels_first, "net.onnx"),
}  # fmt: skip
every_file = pytest.mark.parametrize("kind", WRITERS)


def written(model, folder, kind):
    write, name = WRITERS[kind]
    write(model, folder / name)
    return folder / name


@every_file
def test_a_right_file_is_equivalent_and_a_wrong_one_is_not(one, tmp_path, kind):
    module, model = one
    report = parity.check_export(module, written(model, tmp_path, kind), IMAGES)
    assert report.verdict is Verdict.EQUIVALENT, report
    other = keras.models.clone_model(model)
    other.set_weights([weight * (1 + 1e-4) for weight in model.get_weights()])
    (tmp_path / "wrong").mkdir()
    wrong = parity.check_export(module, written(other, tmp_path / "wrong", kind), IMAGES)
    assert wrong.verdict is Verdict.NOT_EQUIVALENT
    assert "output" in str(wrong)


@every_file
def test_several_inputs_and_outputs(pair, tmp_path, kind):
    module, model = pair
    path = written(model, tmp_path, kind)
    report = parity.check_export(module, path, {"image": IMAGES, "extra": EXTRA})
    assert report.verdict is Verdict.EQUIVALENT, report
    assert [row.name for row in report.comparisons["float32"].rows] == ["output:logits", "output:box"]
    assert parity.check_export(module, path, (IMAGES, EXTRA)).passed, "by their shapes"
    assert parity.check_export(module, path, (IMAGES, EXTRA), names={0: "image", 1: "extra"}).passed


@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_8_bits_are_judged_by_their_step(one, tmp_path, scale):
    module, model = one
    other = keras.models.clone_model(model)
    other.set_weights([weight * scale for weight in model.get_weights()])
    examples = np.random.RandomState(2).randn(50, 10, 8, 3).astype("float32")
    export_tflite(other, tmp_path / "net.tflite", examples=examples)
    report = parity.check_export(module, tmp_path / "net.tflite", IMAGES)
    assert report.passed is (scale == 1.0), report
    assert "8 bits; steps: output " in report.precision
    (row,) = report.comparisons["float32"].rows
    assert row.relative > 1e-4, "float32's bounds would refuse it"


class Mean(OneInput):
    """An output that has no axis."""

    def forward(self, x):
        return super().forward(x).mean()


def test_an_output_without_axes(one, tmp_path):
    module, model = one
    whole = keras.Model(model.inputs, keras.ops.mean(model.output))
    mean = Mean().eval()
    mean.load_state_dict(module.state_dict())
    path = written(whole, tmp_path, "onnx")
    assert parity.check_export(mean, path, IMAGES).passed
    with torch.no_grad():
        mean.last.bias += 0.1
    assert parity.check_export(mean, path, IMAGES).verdict is Verdict.NOT_EQUIVALENT


def test_a_fixed_batch_size_is_run_on_as_many_at_a_time(one, tmp_path):
    module, model = one
    fixed = keras.Input(batch_shape=(2, 10, 8, 3))
    path = written(keras.Model(fixed, model(fixed)), tmp_path, "onnx")
    assert open_exported(path).inputs[0].shape == (2, 10, 8, 3)
    assert parity.check_export(module, path, IMAGES).passed
    with pytest.raises(BlitzError, match="takes 2 examples at a time, and 5 were given"):
        parity.check_export(module, path, IMAGES[:5])


REFUSED = {
    "missing": (lambda path: path / "no.onnx", IMAGES, "no such file"),
    "no such kind": (
        lambda path: (path / "a.pb").write_bytes(b"no") and path / "a.pb",
        IMAGES,
        "not a .onnx or .tflite",
    ),
    "broken": (lambda path: (path / "a.tflite").write_bytes(b"no") and path / "a.tflite", IMAGES, "a.tflite: "),
    "another size": (None, IMAGES[:, :, :9], r"do not fit those of the file"),
    "no inputs": (None, None, "inputs is None: give an array"),
    "more inputs": (None, (IMAGES, EXTRA), "OneInput|takes 2 inputs|2 positional"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compared_is_one_line(one, tmp_path, what):
    make, inputs, says = REFUSED[what]
    path = make(tmp_path) if make else written(one[1], tmp_path, "tflite")
    with pytest.raises(BlitzError, match=says) as raised:
        parity.check_export(one[0], path, inputs)
    assert "\n" not in str(raised.value)


def test_check_of_what_is_not_a_keras_model_names_check_export(one):
    with pytest.raises(BlitzError, match=r"for an exported file use parity\.check_export"):
        parity.check(one[0], lambda images: images, IMAGES)


def test_axes_that_could_be_in_either_order_are_asked_for():
    with pytest.raises(BlitzError, match="give channels_first=True or False"):
        order_of("input", (2, 3, 3, 3), (None, 3, 3, 3), None)
    assert order_of("input", (2, 3, 3, 3), (None, 3, 3, 3), True) == (0, 1, 2, 3)
    assert order_of("input", (2, 3, 3, 3), (None, None, 3, 3), False) == (0, 2, 3, 1)
    assert order_of("input", (2, 3, 8, 6), (1, None, None, 3), None) == (0, 2, 3, 1)
    assert order_of("input", (2, 3, 8, 6), (None, 3, 8, 5), None) is None


def test_inputs_that_could_be_each_other_are_asked_for():
    given = {"0": EXTRA, "1": EXTRA}
    with pytest.raises(BlitzError, match="several inputs fit several of the file"):
        assigned(given, {"a": (None, 4), "b": (None, 4)}, None)
    assert assigned({"b": EXTRA, "a": EXTRA}, {"a": (None, 4), "b": (None, 4)}, None) == {"a": "a", "b": "b"}


class Pooled(OneInput):
    """A max pool whose padding is below every value; the 2 lets the ReLU see both signs."""

    def forward(self, x):
        return self.last((torch.nn.functional.max_pool2d(self.conv(x), 3, 2, 1) - 2).relu())


@pytest.mark.slow
def test_8_bits_after_a_padded_pool_and_a_missing_relu(tmp_path):
    module, examples = trained(Pooled()), np.random.RandomState(2).randn(50, 10, 8, 3).astype("float32")
    for right in (True, False):
        inputs = keras.Input((10, 8, 3))
        x = MaxPool2d(3, 2, 1)(Conv2d(6, 3, padding=1, name="conv")(inputs)) - 2.0
        x = layers.ReLU()(x) if right else x
        model = filled(keras.Model(inputs, Conv2d(4, 3, stride=2, name="last")(x)), module)
        export_tflite(model, tmp_path / "net.tflite", examples=examples)
        report = parity.check_export(module, tmp_path / "net.tflite", IMAGES)
        assert report.passed is right, report


@pytest.mark.slow
def test_a_constant_that_8_bits_cannot_have_is_named(tmp_path):
    inputs = keras.Input((10, 8, 3))
    x = keras.ops.pad(Conv2d(6, 3, name="conv")(inputs), [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=-3e38)
    model = keras.Model(inputs, layers.MaxPooling2D(3)(x))
    with pytest.raises(BlitzError, match=r"8 bits cannot have the values of .* has to be replaced"):
        export_tflite(model, tmp_path / "net.tflite", examples=IMAGES.transpose(0, 2, 3, 1))
    assert not (tmp_path / "net.tflite").exists()


def test_what_ends_its_process_is_one_line():
    assert call_apart(lambda: 3, "it") == 3
    with pytest.raises(BlitzError, match="the interpreter ended its process with SIGABRT"):
        call_apart(os.abort, "the interpreter")
    with pytest.raises(BlitzError, match="KeyError: 'here'"):
        call_apart(lambda: {}["here"], "it")


def test_what_never_ends_is_stopped(monkeypatch):
    children, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: children.append(fork()) or children[-1])
    begun = time.monotonic()
    with pytest.raises(BlitzError, match=r"the interpreter took more than 0\.05 s and was stopped"):
        call_apart(lambda: time.sleep(60), "the interpreter", limit=0.05)
    assert time.monotonic() - begun < 30
    with pytest.raises(ProcessLookupError):  # it is not left
        os.kill(*children, 0)


@pytest.mark.parametrize(("size", "kernel", "stride", "ceil"), [(8, 3, 2, False), (7, 4, 3, True), (5, 2, 1, False)])
def test_a_pool_that_pads_by_its_edges_has_the_same_maxima(size, kernel, stride, ceil):
    pool = MaxPool2d(kernel, stride, kernel // 2, ceil_mode=ceil)
    images = -np.random.RandomState(0).rand(2, size, size + 1, 3).astype("float32")
    with pad_by_edges():
        actual = pool(images).numpy()
    np.testing.assert_array_equal(actual, pool(images).numpy())
