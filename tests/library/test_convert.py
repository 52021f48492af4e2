import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_blitz import models
from keras_blitz.convert import convert
from keras_blitz.errors import BlitzError, CheckpointError
from keras_blitz.weights import read_state, write_model, write_state
from keras_blitz.weights.mapping import weights


def state_of(name, dtype="float32", **config):
    rng = np.random.RandomState(2)

    def value(weight):
        if not weight.trainable:
            return np.asarray(rng.randint(1, 9, weight.shape))
        return rng.randn(*weight.shape)

    def kind(weight):
        return dtype if weight.variable.dtype == "float32" else weight.variable.dtype

    return {weight.name: value(weight).astype(kind(weight)) for weight in weights(models.build(name, **config))}


def assert_equal_bits(actual, expected):
    assert list(actual) == list(expected)
    for name in expected:
        assert actual[name].dtype == expected[name].dtype
        assert actual[name].tobytes() == expected[name].tobytes(), name


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "lenet.safetensors"
    write_state(state_of("lenet"), path)
    return path


@pytest.mark.covers("W1", "W2")
@pytest.mark.parametrize("name", ["lenet", "cifar", "mlp", "mlp-last-relu", "mnist1", "mnist", "resnet18"])
@pytest.mark.parametrize("middle", [".keras", ".weights.h5"])
def test_there_and_back_gives_the_same_bytes(tmp_path, name, middle):
    state = state_of(name)
    write_state(state, tmp_path / "there.safetensors")
    convert(tmp_path / "there.safetensors", tmp_path / f"middle{middle}", name)
    convert(tmp_path / f"middle{middle}", tmp_path / "back.safetensors", name)
    back = read_state(tmp_path / "back.safetensors")
    assert_equal_bits({key: back[key] for key in state}, state)
    assert set(back) == set(state)


@pytest.mark.covers("W2")
@pytest.mark.torch
def test_pth_there_and_back_gives_the_same_bytes(tmp_path):
    import torch

    from parity.twins.torch.lenet import Net

    torch.manual_seed(0)
    state = Net().state_dict()
    torch.save(state, tmp_path / "lenet.pth")
    convert(tmp_path / "lenet.pth", tmp_path / "lenet.keras", "lenet")
    convert(tmp_path / "lenet.keras", tmp_path / "back.pth", "lenet")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert_equal_bits({k: v.numpy() for k, v in back.items()}, {k: v.numpy() for k, v in state.items()})


@pytest.mark.parametrize("middle", [".keras", ".weights.h5"])
def test_float64_stays_float64(tmp_path, middle):
    state = state_of("lenet", "float64")
    write_state(state, tmp_path / "a.safetensors")
    assert convert(tmp_path / "a.safetensors", tmp_path / f"a{middle}", "lenet").dtype == "float64"
    convert(tmp_path / f"a{middle}", tmp_path / "b.safetensors", "lenet")
    back = read_state(tmp_path / "b.safetensors")
    assert_equal_bits({name: back[name] for name in state}, state)


def test_weights_h5_of_another_head_says_what_to_do(tmp_path):
    write_model(models.build("lenet", num_classes=7), tmp_path / "seven.weights.h5")
    with pytest.raises(CheckpointError, match=r"has its head num_classes outputs\?") as caught:
        convert(tmp_path / "seven.weights.h5", tmp_path / "out.safetensors", "lenet")
    assert "\n" not in str(caught.value)
    convert(tmp_path / "seven.weights.h5", tmp_path / "out.safetensors", "lenet", num_classes=7)
    assert read_state(tmp_path / "out.safetensors")["fc3.bias"].shape == (7,)


@pytest.mark.parametrize(("option", "message"), [({"prefix": "net."}, "no prefixes"), ({"num_classes": 3}, "classes")])
def test_options_that_a_keras_file_has_no_use_for_are_refused(tmp_path, option, message):
    write_model(models.build("lenet"), tmp_path / "lenet.keras")
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "lenet.keras", tmp_path / "out.safetensors", "lenet", **option)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_size_of_the_head_is_read_off_the_checkpoint(tmp_path, prefix):
    state = {prefix + name: value for name, value in state_of("lenet", num_classes=7).items()}
    write_state(state, tmp_path / "seven.safetensors")
    convert(tmp_path / "seven.safetensors", tmp_path / "seven.keras", "lenet")
    assert models.load_model(tmp_path / "seven.keras").output_shape == (None, 7)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.covers("W2")
@pytest.mark.torch
def test_malicious_pickle_is_refused_and_not_run(tmp_path):
    import torch

    torch.save({"conv1.weight": Evil(tmp_path / "pwned")}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth: refused: loading it would run code .*posix\.system"):
        convert(tmp_path / "evil.pth", tmp_path / "out.keras", "lenet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pth"]


@pytest.mark.torch
def test_bare_pickle_is_refused_and_not_run(tmp_path):
    import pickle

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil(tmp_path / "pwned")))
    with pytest.raises(CheckpointError, match=r"evil\.pt: refused: not a file of plain tensors"):
        convert(tmp_path / "evil.pt", tmp_path / "out.keras", "lenet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pt"]


@pytest.mark.torch
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_truncated_pth(tmp_path, kept):
    import torch

    torch.save({name: torch.from_numpy(value) for name, value in state_of("lenet").items()}, tmp_path / "cut.pth")
    data = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(CheckpointError, match=r"cut\.pth: truncated, or not a PyTorch checkpoint"):
        convert(tmp_path / "cut.pth", tmp_path / "out.keras", "lenet")
    assert not (tmp_path / "out.keras").exists()


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("kind", [".safetensors", ".keras", ".weights.h5"])
def test_truncated_file(tmp_path, kind, kept):
    path = tmp_path / f"cut{kind}"
    write_model(models.build("lenet"), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(CheckpointError, match=r"cut\.") as caught:
        convert(path, tmp_path / "out.safetensors", "lenet")
    assert "\n" not in str(caught.value)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("source", ["lenet.safetensors", "lenet.weights.h5"])
@pytest.mark.parametrize("classes", [10_000_001, 10**12, 10**25])
def test_a_head_beyond_memory_is_refused_before_it_is_made(tmp_path, checkpoint, source, classes):
    (tmp_path / "lenet.weights.h5").touch()
    with pytest.raises(CheckpointError, match=rf"--num-classes {classes}: a head has at most 10,000,000 outputs"):
        convert(tmp_path / source, tmp_path / "o.keras", "lenet", num_classes=classes)
    assert not (tmp_path / "o.keras").exists()


def test_a_network_that_does_not_fit_into_memory_is_one_line(tmp_path, checkpoint, monkeypatch):
    def build(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(models, "build", build)
    with pytest.raises(CheckpointError, match="lenet with 9,000 classes does not fit into this machine's memory"):
        convert(checkpoint, tmp_path / "o.keras", "lenet", num_classes=9000, skip=["fc3"])


def test_wrong_network_in_a_keras_file(tmp_path):
    write_model(models.build("lenet"), tmp_path / "lenet.keras")
    with pytest.raises(CheckpointError, match=r"lenet\.keras: holds a LeNet, not the model 'mnist'"):
        convert(tmp_path / "lenet.keras", tmp_path / "out.safetensors", "mnist")


def test_options_tell_networks_of_one_class_apart(tmp_path):
    write_model(models.build("mlp-last-relu"), tmp_path / "mlp.keras")
    with pytest.raises(CheckpointError, match="not the model 'mlp'"):
        convert(tmp_path / "mlp.keras", tmp_path / "out.safetensors", "mlp")


@pytest.mark.parametrize(
    ("source", "target", "model", "message"),
    [
        ("none.pth", "out.keras", "lenet", r"none\.pth: no such file"),
        (".", "out.keras", "lenet", r"is a folder that contains none of model\.safetensors\.index\.json"),
        ("lenet.safetensors", "out.xyz", "lenet", r"out\.xyz: unknown kind of file; the name must end in one of"),
        ("lenet.safetensors", "no/out.keras", "lenet", r"the folder .*no does not exist"),
        ("lenet.safetensors", "out.keras", "lenett", r"unknown model 'lenett'; known: lenet"),
        (
            "lenet.safetensors",
            "out.keras",
            "cifar",
            r"lenet\.safetensors: the state does not fit CifarNet: wrong shape",
        ),
    ],
)
def test_bad_input(tmp_path, checkpoint, source, target, model, message):
    with pytest.raises(BlitzError, match=message):
        convert(tmp_path / source, tmp_path / target, model)
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_existing_file_survives_a_failed_conversion(tmp_path, checkpoint):
    (tmp_path / "out.keras").write_text("mine")
    with pytest.raises(CheckpointError):
        convert(checkpoint, tmp_path / "out.keras", "cifar")
    assert (tmp_path / "out.keras").read_text() == "mine"


def run_command(*arguments):
    command = [sys.executable, "-m", "keras_blitz.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_says_what_it_wrote(tmp_path, checkpoint):
    done = run_command("convert", checkpoint, "--model", "lenet", "-o", tmp_path / "out.keras")
    assert done.returncode == 0
    assert done.stdout.strip() == f"{tmp_path / 'out.keras'}: LeNet, 10 tensors, 61,706 values, float32"
    assert done.stderr == ""


def test_command_error_is_one_line_and_status_2(tmp_path, checkpoint):
    done = run_command("convert", checkpoint, "--model", "cifar", "-o", tmp_path / "out.keras")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"keras-blitz: error: {checkpoint}: the state does not fit CifarNet")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "kind", [".safetensors", ".keras", ".weights.h5", pytest.param(".pth", marks=pytest.mark.torch)]
)
def test_full_disk_is_one_line_and_leaves_nothing(tmp_path, checkpoint, kind):
    """A limit on the size of files stands in for the disk: the real writers meet it half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(BlitzError, match=rf"o{kind}: cannot be written") as caught:
            convert(checkpoint, tmp_path / f"o{kind}", "lenet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_convert_is_found_by_its_first_name():
    import keras_blitz.weights

    assert keras_blitz.weights.convert is convert
    with pytest.raises(AttributeError, match="has no attribute 'convert_all'"):
        keras_blitz.weights.convert_all  # noqa: B018
