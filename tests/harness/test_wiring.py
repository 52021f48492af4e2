"""Which call is which in two models that were written apart; stand-ins in place of both frameworks' layers."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import keras_call, layer, module, torch_call

from keras_blitz.weights import kinds
from parity.pair.units import FREE, Unit
from parity.pair.wiring import FAMILIES, _aligned, channels_first, family, keras_family, match

pytestmark = pytest.mark.covers("H12")


def torch_calls(text):
    """Return the calls of "conv:Conv2d relu:ReLU relu:ReLU"; a path again is the module's next call."""
    found, modules = [], {}
    for word in text.split():
        path, _, kind = word.partition(":")
        one = modules.setdefault(path, module(kind))
        found.append(torch_call(path, one, number=sum(call.path == path for call in found)))
    return found


def keras_calls(text):
    """Return the calls of "c:Conv2D r:ReLU c/activation:Conv2D"; a name again is the layer's next call."""
    found, layers = [], {}
    for word in text.split():
        name, _, kind = word.partition(":")
        one = layers.setdefault(name, layer(kind, name))
        found.append(keras_call(one, number=sum(call.name == name for call in found)))
    return found


def units_of(text, kind="linear", owner=None):
    """Return the pairs of units of "fc1=d1 fc2=d2"."""
    pairs = (word.split("=") for word in text.split())
    return [(Unit(path, kind, {}, owner=owner), Unit(name, kind, {}), "name") for path, name in pairs]


# PyTorch's calls, Keras's calls, the pairs of weights, {Keras's call: PyTorch's}
MATCHED = {
    "same-order": (
        "fc1:Linear act:ReLU fc2:Linear", "d1:Dense a:ReLU d2:Dense", "fc1=d1 fc2=d2",
        {"d1": "fc1", "a": "act", "d2": "fc2"},
    ),
    "own-activation": (
        "fc1:Linear act:Tanh", "d1:Dense d1/activation:Dense", "fc1=d1", {"d1": "fc1", "d1/activation": "act"},
    ),
    "function-in-pytorch": (  # torch.relu is not a module
        "fc1:Linear fc2:Linear", "d1:Dense a:ReLU d2:Dense", "fc1=d1 fc2=d2", {"d1": "fc1", "d2": "fc2"},
    ),
    "function-in-keras": (
        "fc1:Linear act:ReLU fc2:Linear", "d1:Dense d2:Dense", "fc1=d1 fc2=d2", {"d1": "fc1", "d2": "fc2"},
    ),
    "branches-in-the-other-order": (
        "left:Linear right:Linear out:Linear", "r:Dense l:Dense o:Dense", "left=l right=r out=o",
        {"l": "left", "r": "right", "o": "out"},
    ),
    "one-activation-called-twice": (
        "fc1:Linear act:ReLU fc2:Linear act:ReLU", "d1:Dense a:ReLU d2:Dense b:ReLU", "fc1=d1 fc2=d2",
        {"d1": "fc1", "a": "act", "d2": "fc2", "b": "act#2"},
    ),
    "one-layer-called-twice": (
        "fc:Linear fc:Linear", "d:Dense d:Dense", "fc=d", {"d": "fc", "d#2": "fc#2"},
    ),
    "one-call-more-in-keras": (
        "b:Linear a:Linear", "x:Dense y:Dense x:Dense", "a=x b=y", {"y": "b", "x#2": "a"},
    ),
    "another-kind-between": (
        "fc1:Linear pool:_MaxPoolNd fc2:Linear", "d1:Dense drop:Dropout d2:Dense", "fc1=d1 fc2=d2",
        {"d1": "fc1", "d2": "fc2"},
    ),
    "one-of-two-without-weights": (
        "conv:Conv2d pool:_MaxPoolNd act:ReLU", "c:Conv2D a:ReLU", "conv=c", {"c": "conv", "a": "act"},
    ),
    "an-activation-stays-between-its-weights": (  # Keras's is after d2, PyTorch's before fc2
        "fc1:Linear act:ReLU fc2:Linear", "d1:Dense d2:Dense a:ReLU", "fc1=d1 fc2=d2", {"d1": "fc1", "d2": "fc2"},
    ),
    "a-lambda-is-an-activation": (
        "fc1:Linear act:GELU", "d1:Dense f:Lambda", "fc1=d1", {"d1": "fc1", "f": "act"},
    ),
    "weights-count-for-more-than-activations": (
        "a:Linear r1:ReLU r2:ReLU r3:ReLU b:Linear", "y:Dense r1:ReLU r2:ReLU r3:ReLU x:Dense", "a=x b=y",
        {"x": "a", "y": "b"},
    ),
}  # fmt: skip


def found(theirs, ours, units):
    pairs = match(theirs, ours, units)
    return {name + (f"#{number + 1}" if number else ""): path for (name, number), path in pairs.items()}


@pytest.mark.parametrize("case", MATCHED)
def test_calls_are_matched(case):
    theirs, ours, units, expected = MATCHED[case]
    assert found(torch_calls(theirs), keras_calls(ours), units_of(units)) == expected


def test_a_lambda_that_changes_the_shape_is_not_an_activation():
    theirs = torch_calls("fc:Linear act:GELU")
    ours = [keras_call(layer("Dense", "d")), keras_call(layer("Lambda", "f"), given=(2, 4), result=(2, 3))]
    assert found(theirs, ours, units_of("fc=d")) == {"d": "fc"}


def test_without_weights_the_rank_decides_too():
    theirs = [torch_call("pool", module("_AvgPoolNd"), (2, 4, 1, 1))]
    kept, dropped = (keras_call(layer("BaseGlobalPooling", "p"), result=r) for r in [(2, 1, 1, 4), (2, 4)])
    assert found(theirs, [kept], []) == {"p": "pool"}
    assert found(theirs, [dropped], []) == {}


def test_with_weights_the_rank_does_not_matter():
    """Keras's LSTM returns its last step alone."""
    theirs = [torch_call("lstm", module("LSTM"), (2, 5, 4))]
    ours = [keras_call(layer("LSTM", "l"), given=(2, 5, 3), result=(2, 4))]
    one = module("LSTM", num_layers=1)
    assert found(theirs, ours, units_of("lstm=l", "lstm", one)) == {"l": "lstm"}


def test_of_a_stack_the_last_layer_is_what_pytorch_returns():
    theirs, ours = torch_calls("lstm:LSTM fc:Linear"), keras_calls("a:LSTM b:LSTM d:Dense")
    stack = units_of("lstm[0]=a lstm[1]=b", "lstm", module("LSTM", num_layers=2))
    assert found(theirs, ours, stack + units_of("fc=d")) == {"b": "lstm", "d": "fc"}


def test_a_tensor_of_no_known_layer_matches_no_call():
    theirs, ours = torch_calls("own:Own"), keras_calls("o:Own")
    assert found(theirs, ours, units_of("own.table=o", FREE)) == {"o": "own"}, "as layers without weights, by class"
    assert found(theirs, keras_calls("o:Other"), units_of("own.table=o", FREE)) == {}


AXES = {
    "convolution": ("conv:Conv2d", [True]),
    "linear": ("fc:Linear", [False]),
    "as-what-came-before": ("conv:Conv2d act:ReLU fc:Linear act2:ReLU", [True, True, False, False]),
    "before-the-first-as-it": ("act:ReLU drop:_DropoutNd fc:Linear conv:Conv1d", [False, False, False, True]),
    "none-says": ("act:ReLU drop:_DropoutNd", [True, True]),
    "back-to-channels": ("fc:Linear conv:Conv1d act:ReLU", [False, True, True]),
    "sequences": ("embed:Embedding lstm:LSTM act:Own", [False, False, False]),
}


@pytest.mark.parametrize("case", AXES)
def test_the_axis_of_channels(case):
    text, expected = AXES[case]
    assert list(channels_first(torch_calls(text)).values()) == expected


def test_the_axis_of_channels_is_each_calls():
    """One ReLU after a convolution and after a linear layer."""
    axes = channels_first(torch_calls("conv:Conv2d act:ReLU fc:Linear act:ReLU"))
    assert axes == {"conv": True, "act": True, "fc": False, "act#2": False}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ReLU", "activation"), ("MyActivation", "activation"), ("SparseSoftmax", "activation"),
        ("BaseGlobalPooling", "pool"), ("StrangePool", "pool"), ("UpSampling2D", "upsample"),
        ("BilinearUpsampling", "upsample"), ("Dropout", "dropout"), ("DropoutOfMine", "dropout"), ("Add", "add"),
    ],
)  # fmt: skip
def test_what_a_layer_does(kind, expected):
    assert keras_family(layer(kind)) == expected


def test_what_a_layer_does_by_its_file():
    own = module("Swish")
    type(own).__module__ = "project.activations"
    assert family(own, kinds.of_torch(own)) == "activation"
    type(own).__module__ = "activations.layers"
    assert family(own, kinds.of_torch(own)) == "swish", "its folder says nothing"


@pytest.mark.parametrize("word", FAMILIES)
def test_a_family_by_a_word_has_the_name_of_a_kind(word):
    assert FAMILIES[word] in {kind.name for kind in kinds.KINDS}


TOKENS = st.lists(st.sampled_from(["relu", "pool", ("=", "a"), ("=", "b")]), max_size=6)


def worth(tokens):
    return sum(1000 if isinstance(token, tuple) else 1 for token in tokens)


def greatest(left, right):
    """Return the worth of the best common subsequence, by trying all of them."""
    subsequences = {tuple(c) for n in range(len(right) + 1) for c in combinations(right, n)}
    return max(worth(c) for n in range(len(left) + 1) for c in combinations(left, n) if c in subsequences)


@given(TOKENS, TOKENS)
def test_the_alignment_is_a_common_subsequence_of_the_greatest_worth(left, right):
    pairs = _aligned(left, right)
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    assert worth(left[i] for i, _ in pairs) == greatest(left, right)


def test_the_time_of_aligning_does_not_grow_with_the_product_of_the_lengths():
    tokens = [token for k in range(20_000) for token in (("=", f"layer{k}"), "relu")]
    crossed = [*tokens[2:], *tokens[:2]]
    assert len(_aligned(tokens, crossed)) == len(tokens) - 2  # a table of both has 12 GB
