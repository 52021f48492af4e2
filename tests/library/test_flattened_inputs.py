"""`load_state_dict` and `state_dict` across a Flatten: the outputs are PyTorch's, or the model is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_blitz.errors import BlitzError
from keras_blitz.weights import load_state_dict, state_dict

pytestmark = [pytest.mark.covers("W4", "H15"), pytest.mark.torch]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn

H, W, C = 5, 4, 2
IMAGES = np.random.RandomState(0).randn(3, C, H, W).astype("float32")


class Torch(nn.Module):
    """A convolution, something between, and a linear layer."""

    def __init__(self, features: int, between, norm: bool = False):
        super().__init__()
        self.conv, self.fc, self.between = nn.Conv2d(C, 3, 2), nn.Linear(features, 2), between
        self.norm = nn.BatchNorm1d(features) if norm else nn.Identity()

    def forward(self, x):
        return self.fc(self.norm(self.between(self.conv(x))))


def flat(x):
    return torch.flatten(x, 1)


def conv():
    return layers.Conv2D(3, 2, name="conv")


def fc():
    return layers.Dense(2, name="fc")


def agree(model, module) -> bool:
    return np.allclose(
        model(IMAGES.transpose(0, 2, 3, 1)), module(torch.from_numpy(IMAGES)).detach(), rtol=1e-5, atol=1e-5
    )


def check_both_ways(model, module) -> None:
    """Load PyTorch's weights into Keras, and other weights of Keras's into PyTorch; the outputs agree each time."""
    module.eval()
    assert not agree(model, module)
    load_state_dict(model, module.state_dict())
    assert agree(model, module)
    stream = np.random.RandomState(1)
    model.set_weights([stream.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    assert not agree(model, module)
    module.load_state_dict({name: torch.tensor(value) for name, value in state_dict(model).items()})
    assert agree(model, module)


def graph(*between):
    """A functional model."""
    given = keras.Input((H, W, C))
    x = conv()(given)
    for step in between:
        x = step(x)
    return keras.Model(given, fc()(x))


GRAPHS = {
    "sequential": lambda: keras.Sequential([keras.Input((H, W, C)), conv(), layers.Flatten(), fc()]),
    "sequential without an Input": lambda: keras.Sequential([conv(), layers.Flatten(), layers.Dropout(0.5), fc()]),
    "functional": lambda: graph(layers.Flatten()),
    "functional, reshape": lambda: graph(layers.Reshape((-1,))),
    "functional, ops.reshape": lambda: graph(lambda x: ops.reshape(x, (-1, 36))),
    "functional, lambda": lambda: graph(layers.Lambda(lambda x: tf.reshape(x, (-1, 36)))),
    "functional, permuted to channels first": lambda: graph(layers.Permute((3, 1, 2)), layers.Flatten()),
    "functional, a sequential inside": lambda: graph(
        keras.Sequential([keras.Input((4, 3, 3)), layers.Flatten(), layers.Dropout(0.5)])
    ),
    "sequential, a functional inside": lambda: keras.Sequential(
        [keras.Input((H, W, C)), conv(), _flattening_model(), fc()]
    ),
}


def _flattening_model():
    given = keras.Input((4, 3, 3))
    return keras.Model(given, layers.Flatten()(given))


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS)
def test_models_with_a_graph(build):
    model = build()
    model(IMAGES.transpose(0, 2, 3, 1))
    check_both_ways(model, Torch(36, flat))


class Sub(keras.Model):
    """A subclassed model."""

    def __init__(self, between, norm: bool = False, **more):
        super().__init__()
        self.conv, self.fc, self.between = conv(), fc(), between
        self.flat, self.drop = layers.Flatten(), layers.Dropout(0.5)
        self.flat.built = self.drop.built = True  # one that is not called is not a mistake
        self.norm = keras_blitz_norm() if norm else None
        for name, layer in more.items():
            setattr(self, name, layer)

    def call(self, x):
        x = self.between(self, self.conv(x))
        return self.fc(x if self.norm is None else self.norm(x))


def keras_blitz_norm():
    from keras_blitz.layers import BatchNorm

    return BatchNorm(name="norm")


SUBCLASSED = {
    "flatten": (36, flat, lambda self, x: self.flat(x)),
    "dropout after it": (36, flat, lambda self, x: self.drop(self.flat(x))),
    "relu before it": (36, lambda x: flat(torch.relu(x)), lambda self, x: self.flat(tf.nn.relu(x))),
    "relu after it": (36, lambda x: torch.relu(flat(x)), lambda self, x: tf.nn.relu(self.flat(x))),
    "reshape of TensorFlow": (36, flat, lambda _, x: tf.reshape(x, (-1, 36))),
    "pool of TensorFlow": (
        6,
        lambda x: flat(nn.functional.max_pool2d(x, 2)),
        lambda self, x: self.flat(tf.nn.max_pool2d(x, 2, 2, "VALID")),
    ),
    "moved to channels first": (36, flat, lambda _, x: tf.reshape(tf.transpose(x, (0, 3, 1, 2)), (-1, 36))),
    "mean over H and W": (3, lambda x: x.mean((2, 3)), lambda _, x: tf.reduce_mean(x, (1, 2))),
}


@pytest.mark.parametrize(("features", "theirs", "ours"), SUBCLASSED.values(), ids=SUBCLASSED)
def test_subclassed_models(features, theirs, ours):
    model = Sub(ours)
    model(IMAGES.transpose(0, 2, 3, 1))
    check_both_ways(model, Torch(features, theirs))


def test_batchnorm_after_a_flatten_of_a_subclassed_model():
    model = Sub(lambda self, x: self.flat(x), norm=True)
    model(IMAGES.transpose(0, 2, 3, 1))
    module = Torch(36, flat, norm=True).eval()
    module.norm.running_mean.uniform_()
    load_state_dict(model, module.state_dict())
    assert agree(model, module)
    assert np.array_equal(state_dict(model)["norm.running_mean"], module.norm.running_mean)


UNSEEN = {
    "gelu of TensorFlow": ((4, 3, 3), lambda self, x: tf.nn.gelu(self.flat(x))),
    "pool and reshape of TensorFlow": (
        (3, 2, 3),
        lambda _, x: tf.reshape(tf.nn.max_pool2d(x, 2, 1, "VALID"), (-1, 18)),
    ),
    "axes moved by TensorFlow": ((4, 3, 3), lambda self, x: self.flat(tf.transpose(x, (0, 2, 3, 1)))),
}


@pytest.mark.parametrize(("sizes", "between"), UNSEEN.values(), ids=UNSEEN)
def test_what_cannot_be_seen_is_refused_unless_it_is_declared(sizes, between):
    model, features = Sub(between), int(np.prod(sizes))
    model(IMAGES.transpose(0, 2, 3, 1))
    for ask in (state_dict, lambda model: load_state_dict(model, Torch(features, flat).state_dict())):
        with pytest.raises(BlitzError, match=r"cannot see what comes before fc .*parity\.transfer.*flattened_inputs"):
            ask(model)
    model.flattened_inputs = {"fc": sizes}
    assert state_dict(model)["fc.weight"].shape == (2, features)


def test_a_model_of_unknown_input_shape_is_refused_until_it_is_called():
    model = Sub(lambda self, x: self.flat(x))
    model.conv.build((None, H, W, C))
    model.fc.build((None, 36))
    with pytest.raises(BlitzError, match="call it once on data first"):
        state_dict(model)
    model(IMAGES.transpose(0, 2, 3, 1))
    check_both_ways(model, Torch(36, flat))


def test_a_layer_that_was_not_called_is_refused():
    model = Sub(lambda self, x: self.flat(x), head=layers.Dense(4, name="head"))
    model.head.build((None, 36))
    model(IMAGES.transpose(0, 2, 3, 1))
    with pytest.raises(BlitzError, match="cannot see what comes before head"):
        state_dict(model)


class Mlp(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = layers.Dense(4, name="first"), layers.Dense(2, name="last")

    def call(self, x):
        return self.last(tf.nn.gelu(self.first(x)))


def test_a_subclassed_mlp_is_not_run():
    model, module = Mlp(), nn.Sequential()
    model.first.build((None, 5))
    model.last.build((None, 4))
    for name, sizes in (("first", (5, 4)), ("last", (4, 2))):
        module.add_module(name, nn.Linear(*sizes))
    load_state_dict(model, module.state_dict())
    assert np.array_equal(model.first.kernel, module.first.weight.detach().T)


def reader(*between):
    """Read an image column by column: its columns are the steps of an LSTM."""
    given = keras.Input((H, W, C))
    x = given
    for step in (conv(), layers.ReLU(), *between):
        x = step(x)
    return keras.Model(given, layers.LSTM(2, name="lstm")(x))


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.lstm = nn.Conv2d(C, 3, 2), nn.LSTM(12, 2, batch_first=True)

    def forward(self, x):
        columns = self.conv(x).relu().permute(0, 3, 1, 2).flatten(2)  # (N, W, C·H)
        return self.lstm(columns)[0][:, -1]


MERGING = {
    "reshape": [layers.Permute((2, 1, 3)), layers.Reshape((3, 12), name="merge")],
    "flatten of each step": [layers.Permute((2, 1, 3)), layers.TimeDistributed(layers.Flatten(), name="merge")],
    "a model inside": [
        keras.Sequential([keras.Input((4, 3, 3)), layers.Permute((2, 1, 3)), layers.Reshape((3, 12), name="merge")])
    ],
}


@pytest.mark.parametrize("between", MERGING.values(), ids=MERGING)
def test_channels_merged_with_another_axis_are_refused(between):
    with pytest.raises(BlitzError, match="merge merges channels with another axis"):
        state_dict(reader(*between))


@pytest.mark.parametrize("merge", [layers.Reshape((3, 12)), layers.TimeDistributed(layers.Flatten())])
def test_channels_moved_before_the_other_axis_have_pytorchs_order(merge):
    model, module = reader(layers.Permute((2, 3, 1)), merge), Reader()
    load_state_dict(model, module.state_dict())
    assert agree(model, module)


def test_heads_of_an_attention_and_patches_are_no_merged_channels():
    given = keras.Input((H, W, C))
    x = layers.Reshape((12, 3))(conv()(given))  # patches
    x = layers.Reshape((12, 6))(layers.Reshape((12, 2, 3))(layers.Dense(6, name="qkv")(x)))  # heads
    assert "out.weight" in state_dict(keras.Model(given, layers.Dense(3, name="out")(x)))


def test_looking_leaves_a_model_as_it_is():
    model = Sub(lambda self, x: self.drop(self.flat(x)), norm=True)
    model(IMAGES.transpose(0, 2, 3, 1))
    before = [variable.numpy() for variable in model.variables]
    state_dict(model)
    assert all(map(np.array_equal, before, [variable.numpy() for variable in model.variables]))
    assert "call" not in vars(model.fc)


class Sequence(nn.Module):
    """Something that returns (N, T, C), flattened as it is."""

    def __init__(self, first, call=lambda first, x: first(x)):
        super().__init__()
        self.first, self.fc, self.call = first, nn.Linear(12, 2), call

    def forward(self, x):
        return self.fc(self.call(self.first, x).flatten(1))


def stacked(*inner, shape=(3, 5), **options):
    given = x = keras.Input(shape, **options)
    for layer in (*inner, layers.Flatten(), fc()):
        x = layer(x)
    return keras.Model(given, x)


class SubclassedSequence(keras.Model):
    def __init__(self, first):
        super().__init__()
        self.first, self.flat, self.fc = first, layers.Flatten(), fc()

    def call(self, x):
        return self.fc(self.flat(self.first(x)))


STEPS = np.random.RandomState(5).randn(2, 3, 5).astype("float32")
IDS = np.random.RandomState(6).randint(0, 9, (2, 3))
SEQUENCES = {
    "embedding": (lambda: layers.Embedding(9, 4, name="first"), lambda: Sequence(nn.Embedding(9, 4)), IDS),
    "GRU": (
        lambda: layers.GRU(4, return_sequences=True, name="first"),
        lambda: Sequence(nn.GRU(5, 4, batch_first=True), lambda first, x: first(x)[0]), STEPS,
    ),
    "dense": (lambda: layers.Dense(4, name="first"), lambda: Sequence(nn.Linear(5, 4)), STEPS),
    "norm": (
        lambda: layers.LayerNormalization(epsilon=1e-5, name="first"), lambda: Sequence(nn.LayerNorm(4)),
        STEPS[..., :4].copy(),
    ),
    "convolution, which PyTorch has channels first": (
        lambda: layers.Conv1D(4, 1, name="first"),
        lambda: Sequence(nn.Conv1d(5, 4, 1), lambda first, x: first(x.mT)), STEPS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("subclassed", [False, True])
@pytest.mark.parametrize(("ours", "theirs", "inputs"), SEQUENCES.values(), ids=SEQUENCES)
def test_a_sequence_is_flattened_as_pytorch_has_it(ours, theirs, inputs, subclassed):
    kind = {"dtype": "int32"} if inputs.dtype.kind == "i" else {}
    model = SubclassedSequence(ours()) if subclassed else stacked(ours(), shape=inputs.shape[1:], **kind)
    model(inputs)
    module = theirs()
    load_state_dict(model, module.state_dict())
    np.testing.assert_allclose(model(inputs), module(torch.tensor(inputs)).detach(), rtol=1e-5, atol=1e-5)


def test_images_without_channels_are_flattened_as_they_are():
    model = stacked(shape=(4, 3))
    np.testing.assert_array_equal(state_dict(model)["fc.weight"], model.get_layer("fc").kernel.numpy().T)


AFTER = {
    "lambda": (lambda: layers.Lambda(lambda x: x / 2), lambda x: x / 2),
    "noise": (lambda: layers.GaussianNoise(0.1), lambda x: x),
    "operator": (lambda: lambda x: x * 2.0, lambda x: x * 2),
    "sum": (lambda: lambda x: layers.Add()([x, x]), lambda x: x + x),
    "unit length": (lambda: layers.UnitNormalization(), lambda x: nn.functional.normalize(x)),
    "reshape": (lambda: layers.Reshape((36,)), lambda x: x),
}


@pytest.mark.parametrize(("ours", "theirs"), AFTER.values(), ids=AFTER)
def test_what_follows_a_flatten_keeps_its_order(ours, theirs):
    check_both_ways(graph(layers.Flatten(), ours()), Torch(36, lambda x: theirs(flat(x))))


def test_features_that_are_concatenated_after_a_flatten_are_refused():
    image, more = keras.Input((H, W, C)), keras.Input((3,))
    flattened = layers.Flatten()(conv()(image))
    model = keras.Model([image, more], fc()(layers.Concatenate()([more, flattened])))
    with pytest.raises(BlitzError, match=r"cannot see what comes before fc .*parity\.transfer"):
        state_dict(model)


class Frames(nn.Module):
    """A convolution and a linear layer for each image of a film."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(C, 3, 2), nn.Linear(36, 2)

    def forward(self, x):
        steps = self.conv(x.flatten(0, 1)).flatten(1).unflatten(0, x.shape[:2])
        return self.fc(steps)


FILM = {
    "Dense inside": lambda: [layers.TimeDistributed(_frames(fc()), name="frames")],
    "Dense after it": lambda: [layers.TimeDistributed(_frames(), name="frames"), fc()],
    "Dense at each step after it": lambda: [
        layers.TimeDistributed(_frames(), name="frames"), layers.TimeDistributed(layers.Dropout(0.5)),
        layers.TimeDistributed(fc()),
    ],
}  # fmt: skip


def _frames(*more):
    return keras.Sequential([keras.Input((H, W, C)), conv(), layers.Flatten(), *more])


@pytest.mark.parametrize("inner", FILM.values(), ids=FILM)
def test_a_flatten_at_each_step(inner):
    given = x = keras.Input((3, H, W, C))
    for layer in inner():
        x = layer(x)
    model, module = keras.Model(given, x), Frames()
    film = np.random.RandomState(7).randn(2, 3, H, W, C).astype("float32")
    state = {
        f"frames.{n}" if n.startswith("conv") or len(inner()) == 1 else n: v for n, v in module.state_dict().items()
    }
    load_state_dict(model, state)
    expected = module(torch.tensor(film).permute(0, 1, 4, 2, 3)).detach()
    np.testing.assert_allclose(model(film), expected, rtol=1e-5, atol=1e-5)
