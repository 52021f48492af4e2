import math
import shutil

import keras
import numpy as np
import pytest

from keras_blitz import models
from keras_blitz.errors import BlitzError
from keras_blitz.initializers import skip_init
from keras_blitz.weights import load_state_dict, named_parameters, state_dict, write_model

SIZES = {
    "lenet": ((32, 32, 1), 61_706),
    "cifar": ((32, 32, 3), 62_006),
    "mlp": ((28, 28, 1), 669_706),
    "mlp-last-relu": ((28, 28, 1), 669_706),
    "mnist0": ((28, 28, 1), 0),
    "mnist1": ((28, 28, 1), 32_998),
    "mnist": ((28, 28, 1), 32_998),
}


@pytest.fixture(params=SIZES)
def name(request):
    return request.param


def images(name, count=2):
    return np.random.RandomState(0).rand(count, *SIZES[name][0]).astype(np.float32)


def test_number_of_values(name):
    assert models.build(name).count_params() == SIZES[name][1]


FAMILIES = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "alexnet": 61_100_840,
    "inception_v3": 27_161_264,
    "inception_v3_no_aux": 23_834_568,
}


def test_every_network_is_counted_here():
    assert {*SIZES, *FAMILIES} == set(models.NETWORKS)


# Of those that differ in depth alone, the smallest and the largest are enough in each run of CI.
BETWEEN = {"resnet34", "resnet101", "vgg13", "vgg16", "vgg11_bn", "vgg13_bn", "vgg16_bn"}


def marks_of(name: str) -> list:
    return [] if name == "resnet18" else [pytest.mark.long if name in BETWEEN else pytest.mark.slow]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in FAMILIES])
def test_family_has_torchvisions_parameters(name):
    with skip_init():  # they are counted alone, and a VGG's are drawn in 5 s
        network = models.build(name)
    assert sum(math.prod(variable.shape) for _, variable in named_parameters(network)) == FAMILIES[name]


def test_resnet18_saves_reloads_and_draws(tmp_path):
    network = models.resnet18(num_classes=7, input_shape=(64, 64, 3))
    write_model(network, tmp_path / "network.keras")
    again = models.load_model(tmp_path / "network.keras")
    images = np.random.RandomState(0).rand(2, 64, 64, 3).astype(np.float32)
    for training in (False, True):
        np.testing.assert_array_equal(again(images, training=training), network(images, training=training))
    lines = []
    network.summary(print_fn=lines.append)
    assert "layer4.1.bn2" in "\n".join(lines)
    assert network.layer1[0].conv1.kernel.shape == (3, 3, 64, 64)
    assert len(state_dict(network)) == 122


def test_resnet18_is_drawn(monkeypatch, tmp_path):
    """The graph for `plot_model`, which Graphviz's `dot` makes a picture of, where it is installed."""
    network = models.resnet18(num_classes=7, input_shape=(64, 64, 3))
    if shutil.which("dot"):
        keras.utils.plot_model(network, tmp_path / "network.png")
        assert (tmp_path / "network.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("keras.src.utils.model_visualization.check_graphviz", lambda: True)
    graph = keras.utils.model_to_dot(network)
    labels = " ".join(node.get("label") or "" for node in graph.get_nodes())
    assert all(layer.name in labels for layer in network.layers)
    assert len(graph.get_edges()) >= len(network.layers)  # more than a chain has: each block joins two paths


@pytest.mark.parametrize("training", [False, True])
def test_inception_without_its_auxiliary_head_returns_its_logits(training):
    network = models.build("inception_v3_no_aux", num_classes=5, input_shape=(75, 75, 3))
    assert network(np.zeros((2, 75, 75, 3), np.float32), training=training).shape == (2, 5)


def test_keras_file_reloads_to_equal_outputs(name, tmp_path):
    network = models.build(name)
    write_model(network, tmp_path / "network.keras")
    again = models.load_model(tmp_path / "network.keras")
    assert type(again) is type(network)
    np.testing.assert_array_equal(again(images(name)), network(images(name)))


def test_float64_network_computes_and_reloads_in_float64(name, tmp_path):
    network = models.build(name, dtype="float64")
    assert network(images(name).astype("float64")).dtype == "float64"
    assert all(variable.dtype == "float64" for variable in network.variables)
    write_model(network, tmp_path / "network.keras")
    again = models.load_model(tmp_path / "network.keras")
    assert again(images(name).astype("float64")).dtype == "float64"


def test_num_classes_sizes_the_head(name):
    head = models.head(name)
    if head is None:
        with pytest.raises(TypeError):
            models.build(name, num_classes=7)
        return
    network = models.build(name, num_classes=7)
    assert network(images(name)).shape == (2, 7)
    assert state_dict(network)[f"{head}.weight"].shape[0] == 7


def test_layers_are_attributes_under_pytorch_names():
    network = models.build("mlp")
    assert network.linear_relu_stack[4].bias.shape == (10,)
    assert models.build("lenet").conv1.kernel.shape == (5, 5, 1, 6)


def test_unknown_layer_is_named_with_those_there_are():
    with pytest.raises(AttributeError, match=r"LeNet has no layer 'conv3'; it has .*conv1.*fc3"):
        _ = models.build("lenet").conv3


def test_assigning_a_layer_to_a_built_network_raises():
    import keras

    with pytest.raises(AttributeError, match=r"LeNet\.fc3 cannot be replaced.*num_classes="):
        models.build("lenet").fc3 = keras.layers.Dense(3)


def test_unknown_network_is_named_with_those_there_are():
    with pytest.raises(BlitzError, match=r"unknown model 'resnet'; known: lenet, cifar"):
        models.build("resnet")


def test_last_relu_keeps_outputs_from_being_negative():
    assert np.min(models.build("mlp-last-relu")(images("mlp", 16))) == 0
    assert np.min(models.build("mlp")(images("mlp", 16))) < 0


@pytest.mark.parametrize("name", ["mnist0", "mnist1"])
def test_teaching_stage_returns_its_input(name):
    np.testing.assert_array_equal(models.build(name)(images(name)), images(name))


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "reference"),
    [("lenet", "lenet.Net"), ("cifar", "cifar.Net"), ("mlp", "mlp.NeuralNetwork"), ("mnist0", "mnist.Network0"),
     ("mnist1", "mnist.Network1"), ("mnist", "mnist.Network2")],
)  # fmt: skip
def test_state_dict_lists_what_pytorch_lists_in_its_order(name, reference):
    from importlib import import_module

    file, class_name = reference.split(".")
    module = getattr(import_module(f"parity.twins.torch.{file}"), class_name)()
    network = models.build(name)
    expected = [(key, tuple(value.shape)) for key, value in module.state_dict().items()]
    assert [(key, value.shape) for key, value in state_dict(network).items()] == expected
    assert [key for key, _ in named_parameters(network)] == [key for key, _ in module.named_parameters()]


def test_summary_and_fit_work(lenet):
    import keras

    lines = []
    lenet.summary(print_fn=lines.append)
    assert "conv1" in "\n".join(lines)
    lenet.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = lenet.fc3.bias.numpy()
    lenet.fit(images("lenet", 4), np.array([1, 2, 3, 4]), epochs=1, verbose=0)
    assert not np.array_equal(lenet.fc3.bias.numpy(), before)


@pytest.mark.slow
@pytest.mark.torch
def test_images_of_other_sizes_are_taken_as_pytorch_takes_them():
    import torch

    from parity.twins.torch.families import define_missing_operators

    define_missing_operators()
    import torchvision

    torch.manual_seed(0)
    theirs, ours = torchvision.models.resnet18().double().eval(), models.build("resnet18", dtype="float64")
    load_state_dict(ours, theirs.state_dict())
    images = np.random.RandomState(0).rand(1, 3, 33, 47)
    expected = theirs(torch.tensor(images)).detach().numpy()
    np.testing.assert_allclose(ours(images.transpose(0, 2, 3, 1)), expected, atol=1e-12 * abs(expected).max())
    with pytest.raises(ValueError, match="incompatible"):  # a network whose dense layers need its size
        models.build("lenet")(np.zeros((1, 40, 40, 1)))
