"""W5 on checkpoints made here: torchvision's weights under their real names, with random values."""

import hashlib
import http.server
import threading

import numpy as np
import pytest

from keras_blitz import models
from keras_blitz.errors import CheckpointError
from keras_blitz.weights import pretrained, state_dict, write_state
from keras_blitz.weights.mapping import weights

pytestmark = [pytest.mark.torch, pytest.mark.covers("W5")]  # torchvision publishes .pth files


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty working folder and an empty torch.hub cache; nobody answers where torchvision's weights would be."""
    working, home = tmp_path / "working", tmp_path / "torch"
    working.mkdir()
    monkeypatch.chdir(working)
    monkeypatch.setenv("TORCH_HOME", str(home))
    monkeypatch.setattr(pretrained, "BASE", "http://127.0.0.1:9/")
    return working, home / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A ResNet18 checkpoint as torchvision's."""
    rng = np.random.RandomState(0)
    state = {
        weight.name: np.asarray(rng.rand(*weight.shape)).astype(weight.variable.dtype)
        for weight in weights(models.build("resnet18"))
    }
    path = tmp_path_factory.mktemp("checkpoints") / pretrained.FILES["resnet18"]
    write_state(state, path)
    return path, state


def assert_loaded(network, state, without=()):
    found = state_dict(network)
    for name in state:
        if not name.startswith(tuple(without)):
            np.testing.assert_array_equal(found[name], state[name])


@pytest.mark.parametrize("place", [0, 1])
def test_found_in_the_working_folder_and_in_the_hub_cache(places, checkpoint, place):
    path, state = checkpoint
    places[place].mkdir(parents=True, exist_ok=True)
    (places[place] / path.name).symlink_to(path)
    assert_loaded(models.resnet18(weights="imagenet"), state)


def test_found_at_a_given_path(places, checkpoint):
    path, state = checkpoint
    assert_loaded(models.resnet18(weights=path), state)


def test_another_head_keeps_its_initial_values(places, checkpoint):
    path, state = checkpoint
    (places[0] / path.name).symlink_to(path)
    network = models.resnet18(weights="imagenet", num_classes=10)
    assert network.output_shape == (None, 10)
    assert_loaded(network, state, without=["fc."])


def test_checkpoint_of_a_wrapped_backbone_with_another_head(places, checkpoint, tmp_path):
    """W3 on a family: DataParallel around a `backbone`, a head of 7 classes, in a training script's dictionary."""
    import torch

    from keras_blitz.weights import load_checkpoint

    _, state = checkpoint
    state = {**state, "fc.weight": np.ones((7, 512), "float32"), "fc.bias": np.ones(7, "float32")}
    wrapped = {f"module.backbone.{name}": torch.from_numpy(value) for name, value in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped, "best": torch.tensor(0.5)}, tmp_path / "mine.pth")
    network = models.resnet18(num_classes=7)
    load_checkpoint(network, tmp_path / "mine.pth")
    assert_loaded(network, state)
    with pytest.raises(CheckpointError, match=r"fc\.weight is \(7, 512\), the model has \(1000, 512\)"):
        load_checkpoint(models.resnet18(), tmp_path / "mine.pth")


def test_old_checkpoint_without_counts_of_batches_loads(places, checkpoint, tmp_path):
    from keras_blitz.weights import load_state_dict

    state = {name: value for name, value in checkpoint[1].items() if not name.endswith("num_batches_tracked")}
    network = models.resnet18()
    load_state_dict(network, state)
    assert_loaded(network, state)


def test_nowhere_and_offline_names_the_three_places_and_what_to_do(places):
    with pytest.raises(CheckpointError) as caught:
        models.resnet18(weights="imagenet")
    message = str(caught.value)
    for part in (str(places[0]), str(places[1]), "http://127.0.0.1:9/resnet18-f37072fd.pth", 'weights="path.pth"'):
        assert part in message
    assert "\n" not in message
    assert list(places[0].iterdir()) == []


def test_given_path_that_is_not_there(places):
    with pytest.raises(CheckpointError, match=r"mine\.pth: no such file"):
        models.resnet18(weights="mine.pth")


def test_network_without_pretrained_weights(places):
    with pytest.raises(CheckpointError, match="lenet has no pretrained weights; these networks have: resnet18"):
        models.build("lenet", weights="imagenet")


@pytest.fixture
def server(places, tmp_path, monkeypatch):
    """A server on this machine with files of its own; yields their folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **options):
            super().__init__(*args, directory=str(folder), **options)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setattr(pretrained, "BASE", f"http://127.0.0.1:{running.server_port}/")
        yield folder
        running.shutdown()


def test_downloaded_once_into_the_hub_cache(places, server, checkpoint, monkeypatch):
    path, state = checkpoint
    name = f"resnet18-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    (server / name).write_bytes(path.read_bytes())
    monkeypatch.setitem(pretrained.FILES, "resnet18", name)
    assert_loaded(models.resnet18(weights="imagenet"), state)
    (server / name).unlink()
    assert_loaded(models.resnet18(weights="imagenet"), state)
    assert [found.name for found in places[1].iterdir()] == [name]


def test_download_with_another_hash_is_refused_and_not_kept(places, server):
    (server / pretrained.FILES["resnet18"]).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="its SHA-256 does not begin with f37072fd"):
        models.resnet18(weights="imagenet")
    assert list(places[1].iterdir()) == []


def test_inception_without_its_auxiliary_head_leaves_those_weights(places):
    state = {w.name: np.zeros(w.shape, w.variable.dtype) for w in weights(models.inception_v3())}
    write_state(state, places[0] / pretrained.FILES["inception_v3"])
    network = models.inception_v3_no_aux(weights="imagenet")
    assert network.transform_input.name == "transform_input"
    assert not network.fc.kernel.numpy().any()
