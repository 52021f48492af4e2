"""Outputs that are neither images nor classes: right ports pass and wrong ones fail, whatever their sizes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402

pytestmark = pytest.mark.covers("H12")


class Net(nn.Module):
    """A convolution, or a linear layer, and a function of it."""

    def __init__(self, function, layer, *more):
        super().__init__()
        self.function, self.layer, self.more = function, layer, nn.ModuleList(more)

    def forward(self, x):
        return self.function(x, self.layer, *self.more)


def conv(channels, to, size=3):
    return nn.Conv2d(channels, to, size, padding="same")


def port(shape, function, *built):
    given = keras.Input(shape)
    return keras.Model(given, function(given, *built))


def same(channels):
    return layers.Conv2D(channels, 3, padding="same")


def rows(maps):
    """Return maps (N, H, W, C) as PyTorch flattens them: (N, C, H·W)."""
    _, height, width, channels = maps.shape
    return ops.transpose(ops.reshape(maps, (-1, height * width, channels)), (0, 2, 1))


def turned(x):
    return ops.transpose(x, (0, 2, 1))


def grams(x, first, second):
    return first(x).flatten(2) @ second(x).flatten(2).transpose(1, 2)


def keras_grams(x, first, second):
    return ops.matmul(rows(first(x)), turned(rows(second(x))))


def attention(x, maps, query, key):
    x = maps(x).flatten(2).transpose(1, 2)
    return torch.softmax(query(x) @ key(x).transpose(1, 2), -1)


def keras_attention(x, maps, query, key, axis=-1):
    x = turned(rows(maps(x)))
    return ops.softmax(ops.matmul(query(x), turned(key(x))), axis)


def heads(x, maps, query, key):
    x = maps(x).flatten(2).transpose(1, 2)
    query, key = (layer(x).unflatten(2, (4, 2)).transpose(1, 2) for layer in (query, key))
    return torch.softmax(query @ key.transpose(2, 3), -1)


def keras_heads(x, maps, query, key):
    x = turned(rows(maps(x)))
    query, key = (ops.transpose(ops.reshape(layer(x), (-1, 4, 4, 2)), (0, 2, 1, 3)) for layer in (query, key))
    return ops.softmax(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))))


def boxes(x, layer):
    return layer(x).permute(0, 2, 3, 1).reshape(len(x), -1, 4)


def outer(x, layer):
    means = layer(x).mean((2, 3))
    return means[:, :, None, None] * (means**2)[:, None, :, None] * (means**3)[:, None, None, :]


def keras_outer(x, layer, powers=(1, 2, 3)):
    first, second, third = (ops.mean(layer(x), (1, 2)) ** power for power in powers)
    return first[:, :, None, None] * second[:, None, :, None] * third[:, None, None, :]


def several(x, layer):
    maps = layer(x)
    return {"maps": maps, "mean": maps.mean((2, 3)), "mask": maps > 0, "best": maps.flatten(1).argmax(1)}


def keras_several(x, layer, least=0.0):
    maps = layer(x)
    best = ops.cast(ops.argmax(ops.reshape(ops.transpose(maps, (0, 3, 1, 2)), (-1, 64)), 1), "int64")
    return {"maps": maps, "mean": ops.mean(maps, (1, 2)), "mask": maps > least, "best": best}


def dense(*units):
    return [layers.Dense(each) for each in units]


SQUARE, UNEVEN = (2, 3, 4, 4), (2, 3, 6, 7)  # what PyTorch is given
# PyTorch's side; the shape it is given; the right port and the wrong one, each of a Keras input
PAIRS = {
    "gram": (
        lambda: Net(lambda x, layer: (f := layer(x).flatten(2)) @ (f**2).mT, conv(3, 4)), UNEVEN,
        lambda x: ops.matmul(rows(maps := same(4)(x)), turned(rows(maps**2))),
        lambda x: ops.matmul(rows((maps := same(4)(x)) ** 2), turned(rows(maps))),
    ),
    "products-whose-layers-may-be-exchanged": (
        lambda: Net(grams, conv(3, 4), conv(3, 4)), UNEVEN,
        lambda x: keras_grams(x, same(4), same(4)),
        lambda x: ops.abs(keras_grams(x, same(4), same(4))),
    ),
    "products-of-unequal-sizes": (
        lambda: Net(grams, conv(3, 5), conv(3, 4)), UNEVEN,
        lambda x: keras_grams(x, same(5), same(4)),
        lambda x: turned(keras_grams(x, same(5), same(4))),
    ),
    "attention": (
        lambda: Net(attention, conv(3, 5), nn.Linear(5, 3), nn.Linear(5, 3)), (2, 3, 2, 2),
        lambda x: keras_attention(x, same(5), *dense(3, 3)),
        lambda x: keras_attention(x, same(5), *dense(3, 3), axis=1),
    ),
    "attention-of-heads": (
        lambda: Net(heads, conv(3, 5), nn.Linear(5, 8), nn.Linear(5, 8)), (2, 3, 2, 2),
        lambda x: keras_heads(x, same(5), *dense(8, 8)),
        lambda x: ops.transpose(keras_heads(x, same(5), *dense(8, 8)), (0, 2, 3, 1)),
    ),
    "heat": (
        lambda: Net(lambda x, layer: layer(x).squeeze(1), conv(3, 1)), SQUARE,
        lambda x: ops.squeeze(same(1)(x), -1),
        lambda x: turned(ops.squeeze(same(1)(x), -1)),
    ),
    "ranks-of-a-heat": (
        lambda: Net(lambda x, layer: layer(x).squeeze(1).argsort(2), conv(3, 1)), SQUARE,
        lambda x: ops.cast(ops.argsort(ops.squeeze(same(1)(x), -1), 2), "int64"),
        lambda x: turned(ops.cast(ops.argsort(ops.squeeze(same(1)(x), -1), 2), "int64")),
    ),
    "boxes": (
        lambda: Net(boxes, nn.Conv2d(3, 4, 3)), SQUARE,
        lambda x: ops.reshape(layers.Conv2D(4, 3)(x), (-1, 4, 4)),
        lambda x: turned(ops.reshape(layers.Conv2D(4, 3)(x), (-1, 4, 4))),
    ),
    "boxes-of-anchors": (
        lambda: Net(boxes, nn.Conv2d(3, 8, 3)), SQUARE,
        lambda x: ops.reshape(layers.Conv2D(8, 3)(x), (-1, 8, 4)),
        lambda x: turned(ops.reshape(layers.Conv2D(8, 3)(x), (-1, 8, 4))),
    ),
    "outer-products": (
        lambda: Net(outer, conv(3, 4)), UNEVEN,
        lambda x: keras_outer(x, same(4)),
        lambda x: ops.transpose(keras_outer(x, same(4)), (0, 2, 3, 1)),
    ),
    "maps-channels-last": (
        lambda: Net(lambda x, layer: layer(x), conv(3, 4)), SQUARE,
        lambda x: same(4)(x),
        lambda x: ops.transpose(same(4)(x), (0, 2, 1, 3)),
    ),
    "maps-channels-first": (
        lambda: Net(lambda x, layer: layer(x), conv(3, 4)), SQUARE,
        lambda x: ops.transpose(same(4)(x), (0, 3, 1, 2)),
        lambda x: ops.transpose(same(4)(x), (0, 3, 2, 1)),
    ),
    "flattened-maps-in-pytorchs-order": (
        lambda: Net(lambda x, layer: layer(x).flatten(2), conv(3, 6)), (2, 3, 2, 3),
        lambda x: rows(same(6)(x)),
        lambda x: ops.flip(rows(same(6)(x)), 1),
    ),
    "flattened-maps-channels-last": (
        lambda: Net(lambda x, layer: layer(x).flatten(2), conv(3, 6)), (2, 3, 2, 3),
        lambda x: turned(rows(same(6)(x))),
        lambda x: ops.flip(turned(rows(same(6)(x))), 1),
    ),
    "made-of-features": (
        lambda: Net(lambda x, layer: layer(x).unflatten(1, (4, 4, 4)), nn.Linear(5, 64)), (3, 5),
        lambda x: ops.transpose(ops.reshape(layers.Dense(64)(x), (-1, 4, 4, 4)), (0, 2, 3, 1)),
        lambda x: ops.transpose(ops.reshape(layers.Dense(64)(x), (-1, 4, 4, 4)), (0, 3, 2, 1)),
    ),
    "matrix-of-features": (
        lambda: Net(lambda x, layer: layer(x).unflatten(1, (4, 4)), nn.Linear(5, 16)), (3, 5),
        lambda x: ops.reshape(layers.Dense(16)(x), (-1, 4, 4)),
        lambda x: turned(ops.reshape(layers.Dense(16)(x), (-1, 4, 4))),
    ),
    "video": (
        lambda: Net(lambda x, layer: torch.stack([layer(x), 2 * layer(x)], 1), conv(3, 4)), UNEVEN,
        lambda x: ops.stack([(maps := same(4)(x)), 2 * maps], 1),
        lambda x: ops.stack([(maps := same(4)(x)), 3 * maps], 1),
    ),
    "time-first": (
        lambda: Net(lambda x, layer: layer(x).flatten(2).permute(2, 0, 1), conv(3, 4)), (4, 3, 2, 2),
        lambda x: ops.transpose(ops.reshape(same(4)(x), (-1, 4, 4)), (1, 0, 2)),
        lambda x: ops.reshape(same(4)(x), (-1, 4, 4)),
    ),
    "maps-and-a-product": (
        lambda: Net(lambda x, layer: ((f := layer(x)), f.flatten(2) @ (f**2).flatten(2).mT), conv(3, 4)), SQUARE,
        lambda x: [(maps := same(4)(x)), ops.matmul(rows(maps), turned(rows(maps**2)))],
        lambda x: [(maps := same(4)(x)), ops.matmul(rows(maps**2), turned(rows(maps)))],
    ),
    "a-dict-of-kinds": (
        lambda: Net(several, conv(3, 4)), SQUARE,
        lambda x: keras_several(x, same(4)),
        lambda x: keras_several(x, same(4), least=0.5),
    ),
    "a-mask-of-equal-sizes": (
        lambda: Net(lambda x, layer: layer(x) > 0, conv(3, 4)), SQUARE,
        lambda x: same(4)(x) > 0,
        lambda x: ops.transpose(same(4)(x), (0, 2, 1, 3)) > 0,
    ),
    "an-empty-one-beside-a-mean": (
        lambda: Net(lambda x, layer: ((v := layer(x).mean((2, 3))), v[:, 4:]), conv(3, 4)), UNEVEN,
        lambda x: [(mean := ops.mean(same(4)(x), (1, 2))), mean[:, 4:]],
        lambda x: [(peak := ops.max(same(4)(x), (1, 2))), peak[:, 4:]],
    ),
    "a-scalar": (
        lambda: Net(lambda x, layer: layer(x).square().mean(), conv(3, 4)), UNEVEN,
        lambda x: ops.mean(ops.square(same(4)(x))),
        lambda x: ops.mean(ops.abs(same(4)(x))),
    ),
    "a-sequence-of-equal-sizes-to-a-convolution": (
        lambda: Net(lambda x, layer: layer(x.mT).mT, nn.Conv1d(6, 6, 3, padding=1)), (2, 6, 6),
        lambda x: layers.Conv1D(6, 3, padding="same")(x),
        lambda x: turned(layers.Conv1D(6, 3, padding="same")(x)),
    ),
    "features-of-equal-sizes-before-the-steps": (
        lambda: Net(lambda x, layer: layer(x).mT, nn.Linear(6, 6)), (2, 6, 6),
        lambda x: layers.Dense(6)(x),
        lambda x: 2 * layers.Dense(6)(x),
    ),
    "a-sequence-of-equal-sizes-to-a-linear-layer": (
        lambda: Net(lambda x, layer: layer(x), nn.Linear(6, 4)), (2, 6, 6),
        lambda x: layers.Dense(4)(x),
        lambda x: layers.Dense(4)(turned(x)),
    ),
}  # fmt: skip
QUICK = ("gram", "boxes", "maps-channels-first")  # one of each rule


def report_on(pair, which):
    module, shape, *ports = PAIRS[pair]
    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    sizes = (*shape[2:], shape[1]) if len(shape) > 3 else shape[1:]
    images = np.random.RandomState(0).standard_normal(shape).astype("float32")
    return parity.check(module(), port(sizes, ports[which]), images, dtypes=["float64"], loss=False)


@pytest.mark.parametrize("pair", [p if p in QUICK else pytest.param(p, marks=pytest.mark.slow) for p in PAIRS])
def test_a_right_port_passes_and_a_wrong_one_fails(pair):
    right, wrong = (report_on(pair, which) for which in (0, 1))
    assert right.passed, str(right)
    assert wrong.verdict == "not equivalent", str(wrong)


def test_numbers_and_texts_beside_tensors_are_named_and_not_compared():
    class Port(keras.Model):
        def __init__(self, factor):
            super().__init__()
            self.dense, self.factor = layers.Dense(3), factor

        def call(self, x):
            return {"scores": self.factor * self.dense(x), "count": 3, "name": "port"}

    module = Net(lambda x, layer: {"scores": layer(x), "count": 4, "name": "net"}, nn.Linear(5, 3))
    x = np.random.RandomState(0).standard_normal((4, 5)).astype("float32")
    right = parity.check(module, Port(1.0), x, loss=False)
    assert right.passed, str(right)
    assert "not compared: output:count, output:name" in str(right)
    assert parity.check(module, Port(2.0), x, loss=False, dtypes=["float32"]).verdict == "not equivalent"


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_inputs_without_a_number_are_not_decided(broken):
    module, x = nn.Sequential(nn.Linear(5, 3), nn.ReLU()), np.full((4, 5), broken, "float32")
    for activation in ("relu", "elu"):
        report = parity.check(module, port((5,), lambda x, a=activation: layers.Dense(3, activation=a)(x)), x)
        assert report.verdict == "not decided"
        assert "every value is NaN or infinite, so nothing can be compared: check the data" in str(report)


def test_gradients_of_a_loss_that_is_nan_are_not_decided_and_outputs_still_are():
    """At NaN PyTorch's ReLU has a gradient of zero, and TensorFlow's NaN."""
    module, x = nn.Sequential(nn.Linear(5, 3), nn.ReLU()), np.random.RandomState(0).standard_normal((4, 5))
    x[0, 0] = np.nan
    right, wrong = (
        parity.check(module, port((5,), lambda x, a=a: layers.Dense(3, activation=a)(x)), x, dtypes=["float64"])
        for a in ("relu", "elu")
    )
    assert right.verdict == "not decided"
    assert "the loss is NaN or infinite on both sides, so grad:input" in str(right)
    assert wrong.verdict == "not equivalent"


def test_outputs_that_are_nan_on_one_side_alone_differ():
    module, x = Net(lambda x, layer: torch.log(-(layer(x) ** 2) - 1), nn.Linear(5, 3)), np.ones((4, 5), "float32")
    x *= np.arange(1, 5)[:, None]

    def logarithm(x, sign):
        return ops.log(sign * (layers.Dense(3)(x) ** 2 + 1))

    right, wrong = (
        parity.check(module, port((5,), lambda x, s=s: logarithm(x, s)), x, dtypes=["float64"]) for s in (-1, 1)
    )
    assert right.verdict == "not decided"
    assert "every output is NaN or infinite" in str(right)
    assert wrong.verdict == "not equivalent"
