"""Checkpoints as people have them: wrapped, averaged, prefixed, in shards, with objects beside the weights."""

import argparse
import collections
import json
import os
import pathlib
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest

from keras_blitz import models
from keras_blitz.convert import convert
from keras_blitz.errors import CheckpointError
from keras_blitz.weights import load_state_dict, read_state, state_dict, write_state
from keras_blitz.weights import weights as weights_of

pytestmark = [pytest.mark.covers("W2", "W3"), pytest.mark.torch]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")


def state_of(name, seed=0, **config):
    rng = np.random.RandomState(seed)
    return {w.name: rng.uniform(0.5, 1, w.shape).astype(w.dtype) for w in weights_of(models.build(name, **config))}


STATE = state_of("lenet")
TENSORS = {name: torch.from_numpy(array) for name, array in STATE.items()}
AVERAGED = {name: tensor + 1 for name, tensor in TENSORS.items()}
OPTIMIZER = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}


def below(prefix, tensors=None):
    return {prefix + name: tensor for name, tensor in (tensors or TENSORS).items()}


def saved(folder, value, name="a.pth"):
    torch.save(value, folder / name)
    return folder / name


def converted(path, **options):
    """Return what a conversion says, and the weights it wrote."""
    done = convert(path, path.parent / "out.safetensors", "lenet", **options)
    return done, read_state(path.parent / "out.safetensors")


def same(state, expected=STATE):
    return set(state) == set(expected) and all(np.array_equal(state[name], expected[name]) for name in expected)


WRAPPED = {
    "net": {"net": below("module."), "acc": 91.2, "epoch": 3},
    "net_state": {"net_state": TENSORS, "optimizer_state": OPTIMIZER},
    "params": {"params": TENSORS},
    "the average alone": {"epoch": 3, "state_dict_ema": below("module.")},
    "model_ema alone, of torch.optim.swa_utils": {"model_ema": {"n_averaged": torch.tensor(5), **below("module.")}},
    "one in the other": {"model": {"state_dict": TENSORS}},
    "compiled, then in parallel": below("module._orig_mod."),
    "in parallel, then compiled": below("_orig_mod.module."),
    "AveragedModel": {"n_averaged": torch.tensor(5), **below("module.")},
    "a prefix that nobody else has": below("encoder.body."),
    "parameters": collections.OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in TENSORS.items()),
}


@pytest.mark.parametrize("value", WRAPPED.values(), ids=WRAPPED)
def test_the_weights_are_found(tmp_path, value):
    done, state = converted(saved(tmp_path, value))
    assert same(state)
    assert done.notes == ()


@pytest.mark.parametrize("name", ["a.ckpt", "pytorch_model.bin", "a.pth.tar", "a.pt"])
def test_every_ending_is_read(tmp_path, name):
    assert same(converted(saved(tmp_path, {"state_dict": below("module.")}, name))[1])


def test_averaged_weights_beside_are_named_and_taken_by_key(tmp_path):
    path = saved(tmp_path, {"state_dict": below("module."), "state_dict_ema": below("module.", AVERAGED)})
    done, state = converted(path)
    assert same(state)
    assert done.notes == ("also in the file: state_dict_ema; --key takes one of them",)
    done, state = converted(path, key="state_dict_ema")
    assert same(state, {name: tensor.numpy() for name, tensor in AVERAGED.items()})
    assert done.notes == ()


SEVERAL = {
    "two that are usual": ({"model": TENSORS, "net": AVERAGED}, r"holds several weights: model, net; choose one"),
    "two that are not": (
        {"generator": {"g": TENSORS}, "critic": AVERAGED}, r"holds tensors under generator\.g, critic; choose one",
    ),
    "two averages": ({"ema": TENSORS, "model_ema": AVERAGED}, r"holds several averaged weights: model_ema, ema; "),
    "an optimizer's alone": ({"optimizer": OPTIMIZER, "epoch": 3}, r"holds no tensors; its keys are 'optimizer', "),
}  # fmt: skip


@pytest.mark.parametrize(("value", "message"), SEVERAL.values(), ids=SEVERAL)
def test_where_it_is_open_the_parts_are_listed(tmp_path, value, message):
    path = saved(tmp_path, value)
    with pytest.raises(CheckpointError, match=rf"a\.pth: {message}") as caught:
        converted(path)
    assert str(caught.value).count("a.pth") == 1


def test_a_part_is_taken_by_its_keys_joined_by_dots(tmp_path):
    path = saved(tmp_path, {"generator": {"g": TENSORS}, "critic": AVERAGED})
    assert same(converted(path, key="generator.g")[1])
    with pytest.raises(CheckpointError, match=r"no tensors under the key 'g'; .* under generator\.g, critic"):
        converted(path, key="g")


def test_what_is_not_below_the_models_prefix_is_left_out_and_named(tmp_path):
    """Lightning keeps the loss and the metrics beside the network."""
    path = saved(tmp_path, {"state_dict": {**below("model."), "criterion.weight": torch.ones(10)}}, "a.ckpt")
    done, state = converted(path)
    assert same(state)
    assert done.notes == ("left out, as not below the model's prefix: criterion.weight",)


def test_two_parts_that_both_fit_are_not_chosen_between(tmp_path):
    path = saved(tmp_path, {**below("student."), **below("teacher.", AVERAGED)})
    with pytest.raises(CheckpointError, match=r"several parts have the model's names, under student\., teacher\.;"):
        converted(path)
    assert same(converted(path, prefix="student.")[1])


def test_a_part_that_lacks_a_name_is_not_taken(tmp_path):
    others = {name: tensor for name, tensor in below("model.").items() if name != "model.fc1.bias"}
    with pytest.raises(CheckpointError, match=r"missing: .*fc1\.bias"):
        converted(saved(tmp_path, {**others, "criterion.weight": torch.ones(10)}))
    with pytest.raises(CheckpointError, match=r"surplus: criterion\.weight"):
        converted(saved(tmp_path, {**TENSORS, "criterion.weight": torch.ones(10)}))


BESIDE = {
    "a NumPy scalar": np.float64(0.91),
    "a Namespace": argparse.Namespace(lr=0.1, path=pathlib.Path("a"), best=np.int64(3)),
    "a path": [pathlib.Path("a")],
}


@pytest.mark.parametrize("value", BESIDE.values(), ids=BESIDE)
def test_objects_beside_the_weights_are_not_made(tmp_path, value):
    assert same(converted(saved(tmp_path, {"state_dict": TENSORS, "beside": value}))[1])


class Evil:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def test_code_is_refused_even_inside_what_is_allowed(tmp_path):
    for evil in (Evil(os.mkdir, str(tmp_path / "made")), Evil(eval, "1"), Evil(np.load, "x"), Evil(pathlib.Path.touch)):
        path = saved(tmp_path, {"state_dict": TENSORS, "args": argparse.Namespace(evil=evil)})
        with pytest.raises(CheckpointError, match=r"a\.pth: refused: "):
            converted(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pth"]


def test_weights_that_are_numpy_arrays_in_a_pickle_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"refused: loading it would run code or build objects .*_reconstruct"):
        converted(saved(tmp_path, STATE))


def test_a_torchscript_archive_says_what_to_do(tmp_path):
    path = tmp_path / "a.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates it, and people have the files
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)
    with pytest.raises(CheckpointError, match="a TorchScript archive, not a state_dict; save torch"):
        converted(path)


def test_a_compressed_archive_is_read(tmp_path):
    """PyTorch stores tensors as they are, and mapping the file relies on it; zip tools compress."""
    import zipfile

    path = saved(tmp_path, TENSORS)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert same(converted(tmp_path / "b.pth")[1])


# Shards


def sharded(folder, ending=".safetensors"):
    """Write two shards and their index, and return the index."""
    names = list(STATE)
    parts = {f"model-0000{k + 1}-of-00002{ending}": names[k::2] for k in range(2)}
    for file, held in parts.items():
        if ending == ".bin":
            torch.save({name: TENSORS[name] for name in held}, folder / file)
        else:
            write_state({name: STATE[name] for name in held}, folder / file)
    index = folder / ("pytorch_model.bin.index.json" if ending == ".bin" else "model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": {name: file for file, held in parts.items() for name in held}}))
    return index


@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
def test_shards_are_read_by_their_index_or_folder(tmp_path, ending):
    index = sharded(tmp_path, ending)
    assert same(converted(index)[1])
    convert(tmp_path, tmp_path / "out.keras", "lenet")
    assert same(state_dict(models.load_model(tmp_path / "out.keras")))
    with pytest.raises(CheckpointError, match=r"is one shard of 2; give the index"):
        converted(tmp_path / f"model-00001-of-00002{ending}")


def changed(index, change):
    value = json.loads(index.read_text())
    value["weight_map"] = change(value["weight_map"])
    index.write_text(json.dumps(value))


WRONG = {
    "a tensor in the other shard": (
        lambda m: {**m, "conv1.bias": "model-00001-of-00002.safetensors"},
        r"conv1\.bias is not in model-00001-of-00002\.safetensors, where it should be",
    ),
    "a tensor that the index lacks": (
        lambda m: {name: file for name, file in m.items() if name != "fc3.bias"},
        r"fc3\.bias is in model-00002-of-00002\.safetensors, and not in the index",
    ),
    "a shard that is missing": (
        lambda m: {**m, "conv1.bias": "model-00003-of-00002.safetensors"},
        r"its shards are missing: model-00003-of-00002\.safetensors",
    ),
    "a shard elsewhere": (lambda m: {**m, "conv1.bias": "../a.safetensors"}, r"which is not a file in the same folder"),
    "no names": (lambda m: {}, r"its shards are missing: it names none"),
    "no map": (lambda m: 3, r"not an index of shards"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_an_index_that_is_wrong_is_one_line(tmp_path, change, message):
    index = sharded(tmp_path)
    changed(index, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        converted(index)
    assert index.name in str(caught.value)
    assert not (tmp_path / "out.safetensors").exists()


# The options of a conversion


def test_a_replaced_head_is_skipped(tmp_path):
    head = {"fc3.0.weight": torch.zeros(4, 84), "fc3.0.bias": torch.zeros(4)}
    others = {name: tensor for name, tensor in TENSORS.items() if not name.startswith("fc3.")}
    path = saved(tmp_path, others | head)
    with pytest.raises(CheckpointError, match=r"missing: fc3\.weight, fc3\.bias; surplus: fc3\.0\.weight"):
        converted(path)
    done, state = converted(path, skip=["fc3"])
    assert done.notes == ("skipped: fc3",)
    assert np.array_equal(state["fc2.weight"], STATE["fc2.weight"])
    assert state["fc3.weight"].std() > 0  # PyTorch's initial values, and not zeros
    with pytest.raises(CheckpointError, match="skip='fc9' names no module"):
        converted(path, skip=["fc9"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_type_is_chosen(tmp_path, dtype):
    wide = {name: tensor.double() + 1e-12 for name, tensor in TENSORS.items()}
    done, state = converted(saved(tmp_path, wide), dtype=dtype)
    assert done.dtype == dtype
    assert same(state, {name: tensor.numpy().astype(dtype) for name, tensor in wide.items()})


def test_a_type_that_is_none_and_options_of_a_keras_file_are_refused(tmp_path):
    path = saved(tmp_path, TENSORS)
    with pytest.raises(CheckpointError, match=r"dtype must be one of float16.*, not 'float8'"):
        converted(path, dtype="float8")
    convert(path, tmp_path / "a.keras", "lenet")
    for options in ({"skip": ["fc3"]}, {"key": "model"}, {"dtype": "float32"}):
        with pytest.raises(CheckpointError, match="does not apply to a Keras file"):
            converted(tmp_path / "a.keras", **options)
    with pytest.raises(CheckpointError, match="has no keys to choose from"):
        converted(sharded(tmp_path), key="model")


def test_the_command_has_the_options_and_prints_the_notes(tmp_path):
    from typer.testing import CliRunner

    from keras_blitz.cli import app

    path = saved(tmp_path, {"state_dict": below("model."), "ema": AVERAGED})
    options = ["--skip", "fc3", "--skip", "fc2", "--dtype", "float64", "--key", "state_dict"]
    arguments = ["convert", str(path), "--model", "lenet", "-o", str(tmp_path / "out.keras")]
    done = CliRunner().invoke(app, [*arguments, *options])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1:] == ["  skipped: fc3, fc2"]
    assert state_dict(models.load_model(tmp_path / "out.keras"))["fc1.bias"].dtype == "float64"


# Other libraries' names of the same networks


def transformers_name(name):
    """Return what transformers' ResNetForImageClassification calls a weight of torchvision's."""
    module, _, leaf = name.rpartition(".")
    if module in ("conv1", "bn1"):
        return f"resnet.embedder.embedder.{'convolution' if module == 'conv1' else 'normalization'}.{leaf}"
    if module == "fc":
        return f"classifier.1.{leaf}"
    stage, block, part = module.split(".", 2)
    start = f"resnet.encoder.stages.{int(stage[-1]) - 1}.layers.{block}"
    if part.startswith("downsample"):
        return f"{start}.shortcut.{'convolution' if part.endswith('0') else 'normalization'}.{leaf}"
    kind = "convolution" if part.startswith("conv") else "normalization"
    return f"{start}.layer.{int(part[-1]) - 1}.{kind}.{leaf}"


def timm_vgg(state):
    """Return torchvision's VGG as timm has it, its first dense layers as convolutions."""
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    renamed = {}
    for name, array in state.items():
        module, _, leaf = name.rpartition(".")
        if name == "classifier.0.weight":
            array = array.reshape(-1, 512, 7, 7)
        elif name == "classifier.3.weight":
            array = array[:, :, None, None]
        renamed[f"{names.get(module, module)}.{leaf}"] = array
    return renamed


@pytest.fixture(scope="module")
def resnet():
    return models.build("resnet18", input_shape=(32, 32, 3), num_classes=3)


def test_transformers_names_of_a_resnet(resnet, tmp_path):
    rng = np.random.RandomState(0)
    state = {w.name: rng.uniform(0.5, 1, w.shape).astype(w.dtype) for w in weights_of(resnet)}
    theirs = {transformers_name(name): array for name, array in state.items()}
    assert not set(theirs) & set(state)
    load_state_dict(resnet, theirs)
    assert same(state_dict(resnet), state)
    convert(
        saved(tmp_path, {name: torch.tensor(value) for name, value in theirs.items()}), tmp_path / "a.pt", "resnet18"
    )
    assert read_state(tmp_path / "a.pt")["fc.weight"].shape == (3, 512)  # the size of the head is read off it
    first = next(iter(theirs))
    with pytest.raises(CheckpointError, match="missing"):
        load_state_dict(resnet, {name: array for name, array in theirs.items() if name != first})


def test_timms_names_of_a_vgg():
    from keras_blitz.weights.names import by_expected_names
    from keras_blitz.weights.state import tensors_of

    rng = np.random.RandomState(0)
    state = {"features.0.weight": rng.rand(4, 3, 3, 3), "classifier.0.weight": rng.rand(5, 512 * 49)}
    state |= {
        "classifier.3.weight": rng.rand(5, 5),
        "classifier.6.weight": rng.rand(3, 5),
        "classifier.6.bias": rng.rand(3),
    }
    named, left_out = by_expected_names(tensors_of(timm_vgg(state)), list(state))
    assert left_out == []
    assert same({name: tensor.array() for name, tensor in named.items()}, state)


# Memory

PEAK = """
import resource, sys
from keras_blitz.quiet import import_tensorflow; import_tensorflow()
import torch
from keras_blitz import models
from keras_blitz.convert import convert
models.build("lenet")
kept = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = kept()
convert(sys.argv[1], sys.argv[2], "alexnet")
print(kept() - before)
"""


@pytest.mark.parametrize(
    ("ending", "target"),
    [
        pytest.param(ending, target, marks=pytest.mark.slow if target == ".keras" else pytest.mark.long)
        for ending in (".pth", ".safetensors")
        for target in (".keras", ".weights.h5", ".safetensors")
    ],
)
def test_a_conversion_takes_the_model_and_less_than_its_largest_tensor_half_again(tmp_path, ending, target):
    """AlexNet has 244 MB, 151 of them in one tensor; the `.pth` has twice as much beside."""
    state = state_of("alexnet")
    if ending == ".pth":
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        others = {name: tensor + 1 for name, tensor in tensors.items()}
        path = saved(tmp_path, {"state_dict": tensors, "state_dict_ema": others, "optimizer": {"state": {0: others}}})
    else:
        path = tmp_path / "a.safetensors"
        write_state(state, path)
    whole, largest = sum(array.nbytes for array in state.values()), max(array.nbytes for array in state.values())
    command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / f"out{target}")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < whole + 1.5 * largest
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
