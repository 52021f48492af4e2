"""R2, L3: initial values, bit for bit after manual_seed, otherwise in distribution.

python tests/library/test_initializers.py      records tests/library/golden_networks.json again; needs PyTorch
"""

import functools
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from keras_blitz import initializers, models, random
from keras_blitz.weights import load_state_dict, state_dict, write_model

pytestmark = pytest.mark.covers("R2", "L3")

GOLDEN = Path(__file__).with_name("golden_networks.json")
SEEDS = (0, 1, 42, -3, 2**40 + 7)

# name -> file and class in parity/twins/torch; None: torchvision's
TUTORIALS = {
    "lenet": ("lenet", "Net", {}),
    "cifar": ("cifar", "Net", {}),
    "mlp": ("mlp", "NeuralNetwork", {}),
    "mlp-last-relu": ("mlp", "NeuralNetwork", {"last_relu": True}),
    "mnist0": ("mnist", "Network0", {}),
    "mnist1": ("mnist", "Network1", {}),
    "mnist": ("mnist", "Network2", {}),
}
FAMILIES = ("resnet18", "resnet50", "vgg11_bn", "vgg16", "alexnet", "inception_v3", "inception_v3_no_aux")
SLOW = ("resnet50", "vgg11_bn", "alexnet", "inception_v3_no_aux")
LONG = ("vgg16",)  # 20 s for both tests; vgg11_bn has the rules of its layers


def marks_of(name: str) -> list:
    return [pytest.mark.slow] * (name in SLOW) + [pytest.mark.long] * (name in LONG)


every = [(name, seed) for name in TUTORIALS for seed in SEEDS] + [(name, 0) for name in FAMILIES]
cases = pytest.mark.parametrize(
    ("name", "seed"),
    [pytest.param(name, seed, id=f"{name}-{seed}", marks=marks_of(name)) for name, seed in every],
)


def ours(name, seed):
    """Build a network, and draw once more: what comes next shows how much of the stream it took."""
    random.manual_seed(seed)
    return {**state_dict(models.build(name)), "next": random.randn(20)}


def theirs(name, seed):
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = twin(name).state_dict()
        return {**{key: value.numpy() for key, value in state.items()}, "next": torch.randn(20).numpy()}


def twin(name):
    from importlib import import_module

    from parity.twins.torch import families

    if name in TUTORIALS:
        file, class_name, options = TUTORIALS[name]
        return getattr(import_module(f"parity.twins.torch.{file}"), class_name)(**options)
    if name.startswith("inception"):
        return families.build("inception_v3", aux_logits=name == "inception_v3", init_weights=True)
    return families.build(name)


def fingerprint(state):
    """Return a hash of all names, types, shapes and bits, whatever the order."""
    digest = hashlib.sha256()
    for name, array in sorted(state.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@functools.cache  # both tests of a network take it, and a VGG is drawn in 10 s
def our_fingerprint(name, seed):
    return fingerprint(ours(name, seed))


@pytest.fixture(autouse=True)
def _stream_kept():
    """Forget what a test seeded."""
    with random.fork_rng():
        random.seed()
        yield


@cases
def test_values_are_those_recorded_from_pytorch(name, seed):
    assert our_fingerprint(name, seed) == json.loads(GOLDEN.read_text())[f"{name}/{seed}"]


@pytest.mark.torch
@cases
def test_values_are_pytorchs(name, seed):
    expected = theirs(name, seed)
    if our_fingerprint(name, seed) == fingerprint(expected):
        return
    found = ours(name, seed)  # once more, to say where they differ
    assert found.keys() == expected.keys()
    differing = [key for key in expected if found[key].tobytes() != expected[key].tobytes()]
    assert differing == []
    assert all(found[key].shape == expected[key].shape for key in expected)
    pytest.fail("the fingerprints differ: in a type of number, or from one run to the next")


def test_two_networks_in_a_row_take_the_stream_one_after_another():
    random.manual_seed(0)
    first, second = state_dict(models.build("lenet")), state_dict(models.build("lenet"))
    random.manual_seed(0)
    models.build("lenet")
    assert fingerprint(second) == fingerprint(state_dict(models.build("lenet")))
    assert fingerprint(first) != fingerprint(second)


def test_float64_network_holds_the_values_of_the_float32_one():
    random.manual_seed(0)
    single = state_dict(models.build("mnist"))
    random.manual_seed(0)
    double = state_dict(models.build("mnist", dtype="float64"))
    assert all(double[name].dtype == np.float64 for name in single)
    assert all(np.array_equal(double[name], single[name]) for name in single)


@pytest.mark.parametrize("name", ["lenet", "mnist1"])
def test_reload_leaves_the_stream_where_it_was(name, tmp_path):
    random.manual_seed(0)
    network = models.build(name)
    write_model(network, tmp_path / "network.keras")
    expected = random.get_state()
    again = models.load_model(tmp_path / "network.keras")
    assert random.get_state().tobytes() == expected.tobytes()
    assert fingerprint(state_dict(again)) == fingerprint(state_dict(network))


def test_generator_of_its_own_is_drawn_from():
    network = models.build("lenet")
    random.manual_seed(0)
    before = random.get_state()
    initializers.initialize(network, random.Generator().manual_seed(42))
    assert random.get_state().tobytes() == before.tobytes()
    random.manual_seed(42)
    assert fingerprint(state_dict(network)) == fingerprint(state_dict(models.build("lenet")))


@pytest.mark.torch
def test_any_model_of_named_layers_takes_its_twins_values():
    import keras
    import torch

    network = keras.Sequential(
        [keras.Input((6, 5, 2)), keras.layers.Conv2D(4, 3, name="0"), keras.layers.Flatten(name="1"),
         keras.layers.Dense(7, name="2"), keras.layers.Dense(3, use_bias=False, name="3")]
    )  # fmt: skip
    random.manual_seed(3)
    initializers.initialize(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        twin = torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3), torch.nn.Flatten(), torch.nn.Linear(48, 7), torch.nn.Linear(7, 3, bias=False)
        )
    expected = {name: value.numpy() for name, value in twin.state_dict().items()}
    assert fingerprint(state_dict(network)) == fingerprint(expected)


def test_keras_seed_decides_while_nobody_called_manual_seed():
    import keras

    found = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        found.append(fingerprint(state_dict(models.build("lenet"))))
    assert found[0] == found[1] != found[2]


def test_unseeded_network_is_drawn_from_no_stream_of_pytorchs():
    before = random.get_state()
    models.build("lenet")
    assert random.get_state().tobytes() == before.tobytes()


def assert_uniform(values, bound):
    """Extremes, mean and variance of U(−b, b), within 5 standard errors."""
    count = values.size
    assert np.abs(values).max() <= np.float32(bound)
    assert np.abs(values).max() > bound * (1 - 20 / count)
    assert abs(values.mean()) < 5 * bound / math.sqrt(3 * count)
    assert abs(values.var() / (bound**2 / 3) - 1) < 5 * math.sqrt(0.8 / count)


def assert_normal(values, std):
    """Mean and variance of N(0, std²), within 5 standard errors, and values beyond 3 σ: HeNormal's end at 2.3."""
    count = values.size
    assert abs(values.mean()) < 5 * std / math.sqrt(count)
    assert abs(values.var() / std**2 - 1) < 5 * math.sqrt(2 / count)
    assert np.abs(values).max() > 3 * std


def seed_both(seeded):
    import keras

    keras.utils.set_random_seed(0)
    if seeded:
        random.manual_seed(0)


sources = pytest.mark.parametrize("seeded", [False, True], ids=["keras-seed", "manual-seed"])


@sources
@pytest.mark.parametrize("name", ["lenet", "cifar", "mlp", "mnist1", "mnist"])
def test_weights_and_biases_are_uniform_within_pytorchs_bounds(name, seeded):
    seed_both(seeded)
    state = state_dict(models.build(name))
    for key, values in state.items():
        fan_in = math.prod(state[key.replace("bias", "weight")].shape[1:])
        assert np.abs(values).max() <= np.float32(1 / math.sqrt(fan_in))
        assert np.unique(values).size > 0.9 * values.size
        if values.size > 300:
            assert_uniform(values.astype("float64"), 1 / math.sqrt(fan_in))


@sources
def test_resnet_has_kaimings_fan_out_and_a_uniform_head(seeded):
    seed_both(seeded)
    state = state_dict(models.build("resnet18"))
    for key, values in state.items():
        if values.ndim == 4:
            assert_normal(values.astype("float64"), math.sqrt(2 / (values.shape[0] * math.prod(values.shape[2:]))))
        elif key.endswith("running_var") or (values.ndim == 1 and key.endswith(".weight")):
            assert np.all(values == 1)
        elif not key.startswith("fc"):
            assert np.all(values == 0)
    assert_uniform(state["fc.weight"].astype("float64"), 1 / math.sqrt(512))
    assert_uniform(state["fc.bias"].astype("float64"), 1 / math.sqrt(512))


@pytest.mark.parametrize("groups", [1, 4])
def test_convolution_by_itself_is_uniform_within_pytorchs_bounds(groups):
    import keras

    from keras_blitz.layers import Conv2d

    keras.utils.set_random_seed(0)
    layer = Conv2d(400, 3, groups=groups)
    layer.build((None, 8, 8, 16))
    bound = 1 / math.sqrt(16 // groups * 9)
    assert_uniform(layer.kernel.numpy().astype("float64"), bound)
    assert_uniform(layer.bias.numpy().astype("float64"), bound)
    assert not np.array_equal(layer.kernel.numpy().ravel()[:400], layer.bias.numpy())


def test_trained_weights_survive_being_loaded_into_a_new_network():
    random.manual_seed(0)
    trained = models.build("lenet")
    other = models.build("lenet")
    load_state_dict(other, state_dict(trained))
    assert fingerprint(state_dict(other)) == fingerprint(state_dict(trained))


def record() -> None:
    """Write the fingerprints of PyTorch's networks."""
    hashes = {f"{name}/{seed}": fingerprint(theirs(name, seed)) for name, seed in every}
    GOLDEN.write_text(json.dumps(hashes, indent=1) + "\n")


def test_skip_init_leaves_networks_and_the_stream_alone():
    random.manual_seed(0)
    before = random.default_generator.get_state()
    with initializers.skip_init():
        skipped = models.LeNet()
    np.testing.assert_array_equal(random.default_generator.get_state(), before)
    made = models.LeNet()
    assert not np.array_equal(skipped.conv1.kernel, made.conv1.kernel)
    load_state_dict(skipped, state_dict(made))
    np.testing.assert_array_equal(skipped.conv1.kernel, made.conv1.kernel)


if __name__ == "__main__":
    record()
