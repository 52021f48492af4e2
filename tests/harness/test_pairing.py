"""Which PyTorch parameter is which Keras variable: units, single weights, and the rules that pair them."""

import numpy as np
import pytest
from stand_ins import Variable, layer, module, network, tensor

from keras_blitz.errors import BlitzError
from keras_blitz.weights import mapped
from parity.pair.pairing import UnpairedError, pair
from parity.pair.units import FREE, keras_units, loose_units, torch_units

pytestmark = pytest.mark.covers("H12")


def linear(out=4, given=3, bias=True):
    return module("Linear", {"weight": (out, given), **({"bias": (out,)} if bias else {})})


def dense(name, out=4, given=3, bias=True):
    return layer("Dense", name, {"kernel": (given, out), **({"bias": (out,)} if bias else {})})


def lstm_module(*numbers, reverse=False):
    names = [f"_l{k}{way}" for k in numbers for way in ("", "_reverse")[: 1 + reverse]]
    shapes = {"weight_ih": (20, 3), "weight_hh": (20, 5), "bias_ih": (20,), "bias_hh": (20,)}
    weights = {leaf + name: shape for name in names for leaf, shape in shapes.items()}
    return module("LSTM", weights, num_layers=len(numbers))


def recurrent_layer(kind, name, gates, bias, given=3, **attributes):
    weights = {"kernel": (given, gates * 5), "recurrent_kernel": (5, gates * 5)} | ({"bias": bias} if bias else {})
    return layer(kind, name, weights, units=5, **attributes)


def bidirectional(name):
    forward, backward = (recurrent_layer("LSTM", f"{name}/{way}", 4, (20,)) for way in ("forward", "backward"))
    weights = forward.weights + backward.weights
    made = layer("Bidirectional", name, forward_layer=forward, backward_layer=backward)
    made.weights = weights
    return made


def attention_layer(name, widths=(8, 8, 8)):
    weights = {}
    for which, width in zip(("query", "key", "value"), widths, strict=True):
        weights |= {f"{which}/kernel": (width, 2, 4), f"{which}/bias": (2, 4)}
    weights |= {"attention_output/kernel": (2, 4, 8), "attention_output/bias": (8,)}
    return layer("MultiHeadAttention", name, weights, _flatten_layers=lambda include_self: [])


OUT = {"out_proj": module("NonDynamicallyQuantizableLinear", {"weight": (8, 8), "bias": (8,)})}
NORM = {"weight": (6,), "bias": (6,)}
RUNNING = {"running_mean": (6,), "running_var": (6,), "num_batches_tracked": ()}
MOVING = {"gamma": (6,), "beta": (6,), "moving_mean": (6,), "moving_variance": (6,)}

# PyTorch's modules and Keras's layers whose weights are the same; (PyTorch's unit, Keras's unit) in order
FITTING = {
    "conv1d": (
        {"conv": module("Conv1d", {"weight": (6, 2, 5), "bias": (6,)})},
        [layer("Conv1D", "c", {"kernel": (5, 2, 6), "bias": (6,)})], [("conv", "c")],
    ),
    "conv2d": (
        {"conv": module("Conv2d", {"weight": (6, 2, 3, 5), "bias": (6,)})},
        [layer("Conv2D", "c", {"kernel": (3, 5, 2, 6), "bias": (6,)})], [("conv", "c")],
    ),
    "convtranspose2d": (
        {"up": module("ConvTranspose2d", {"weight": (2, 6, 3, 5)})},
        [layer("Conv2DTranspose", "u", {"kernel": (3, 5, 6, 2)})], [("up", "u")],
    ),
    "depthwise": (
        {"conv": module("Conv2d", {"weight": (6, 1, 3, 5), "bias": (6,)})},
        [layer("DepthwiseConv2D", "d", {"kernel": (3, 5, 3, 2), "bias": (6,)})], [("conv", "d")],
    ),
    "separable-is-two": (
        {"depth": module("Conv2d", {"weight": (6, 1, 3, 5)}),
         "point": module("Conv2d", {"weight": (7, 6, 1, 1), "bias": (7,)})},
        [layer("SeparableConv2D", "s",
               {"depthwise_kernel": (3, 5, 3, 2), "pointwise_kernel": (1, 1, 6, 7), "bias": (7,)})],
        [("depth", "s/depthwise"), ("point", "s")],
    ),
    "linear": ({"fc": linear()}, [dense("d")], [("fc", "d")]),
    "embedding": (
        {"tokens": module("Embedding", {"weight": (9, 4)})}, [layer("Embedding", "e", {"embeddings": (9, 4)})],
        [("tokens", "e")],
    ),
    "batchnorm": (
        {"bn": module("_BatchNorm", NORM, RUNNING)}, [layer("BatchNormalization", "b", MOVING)], [("bn", "b")],
    ),
    "batchnorm-that-counts": (
        {"bn": module("_BatchNorm", NORM, RUNNING)},
        [layer("BatchNorm", "b", {**MOVING, "num_batches_tracked": ()})], [("bn", "b")],
    ),
    "layernorm": (
        {"norm": module("LayerNorm", NORM)}, [layer("LayerNormalization", "n", {"gamma": (6,), "beta": (6,)})],
        [("norm", "n")],
    ),
    "rmsnorm": (
        {"norm": module("RMSNorm", {"weight": (6,)})}, [layer("RMSNormalization", "n", {"scale": (6,)})],
        [("norm", "n")],
    ),
    "prelu-shared-axes": (
        {"act": module("PReLU", {"weight": (6,)})}, [layer("PReLU", "p", {"alpha": (1, 1, 6)})], [("act", "p")],
    ),
    "lstm-two-biases-in-one": (
        {"lstm": lstm_module(0)}, [recurrent_layer("LSTM", "l", 4, (20,))], [("lstm", "l")],
    ),
    "gru-two-biases": (
        {"gru": module("GRU", {"weight_ih_l0": (15, 3), "weight_hh_l0": (15, 5), "bias_ih_l0": (15,),
                               "bias_hh_l0": (15,)}, num_layers=1)},
        [recurrent_layer("GRU", "g", 3, (2, 15))], [("gru", "g")],
    ),
    "rnn-without-bias": (
        {"rnn": module("RNN", {"weight_ih_l0": (5, 3), "weight_hh_l0": (5, 5)}, num_layers=1)},
        [recurrent_layer("SimpleRNN", "r", 1, None)], [("rnn", "r")],
    ),
    "lstm-stack": (
        {"lstm": module("LSTM", {**lstm_module(0).own, **{n: tensor(20, 5) if "weight" in n else tensor(20)
                                                          for n in lstm_module(1).own}}, num_layers=2)},
        [recurrent_layer("LSTM", "a", 4, (20,)), recurrent_layer("LSTM", "b", 4, (20,), given=5)],
        [("lstm[0]", "a"), ("lstm[1]", "b")],
    ),
    "bidirectional": ({"lstm": lstm_module(0, reverse=True)}, [bidirectional("b")], [("lstm", "b")]),
    "attention": (
        {"attn": module("MultiheadAttention", {"in_proj_weight": (24, 8), "in_proj_bias": (24,)}, children=OUT)},
        [attention_layer("a")], [("attn", "a")],
    ),
    "attention-of-other-widths": (
        {"attn": module("MultiheadAttention", {"q_proj_weight": (8, 8), "k_proj_weight": (8, 6),
                                               "v_proj_weight": (8, 10), "in_proj_bias": (24,)}, children=OUT)},
        [attention_layer("a", (8, 6, 10))], [("attn", "a")],
    ),
    "a-class-without-a-row": (
        {"own": module("Scale", {"factor": (7,)})}, [layer("Scaling", "s", {"by": (7,)})],
        [("own.factor", "s/by")],
    ),
}  # fmt: skip


def units_of(modules, layers):
    return torch_units(network(**modules), list(modules)), keras_units({each.name: each for each in layers}, {})


def names(pairing):
    return [(one.name, other.name) for one, other, _ in pairing.units]


@pytest.mark.parametrize("case", FITTING)
def test_weights_of_one_kind_and_shape_pair_by_structure(case):
    modules, layers, expected = FITTING[case]
    found = pair(*units_of(modules, layers))
    assert names(found) == expected
    assert {how for _, _, how in found.units} == {"structure"}
    known = {name: tuple(p.shape) for name, p in network(**modules).named_parameters()}
    known |= {n: tuple(b.shape) for n, b in network(**modules).named_buffers() if "num_batches" not in n}
    assert {weight.name: weight.shape for weight in found.weights} == known
    assert all(weight.value().shape == weight.shape for weight in found.weights)
    buffers = {weight.name for weight in found.weights if not weight.trainable}
    assert buffers == {name for name in known if "running" in name}


@pytest.mark.parametrize("case", FITTING)
def test_another_shape_pairs_with_nothing(case):
    modules, layers, expected = FITTING[case]
    theirs, ours = units_of(modules, layers)
    leaf, shape = next(iter(theirs[-1].shapes.items()))
    theirs[-1].shapes[leaf] = (*shape[:-1], shape[-1] + 1)
    with pytest.raises(UnpairedError, match="cannot be mapped") as caught:
        pair(theirs, ours)
    assert theirs[-1].name in str(caught.value)
    assert names(caught.value) == expected[:-1]


def test_a_subclass_is_of_its_ancestors_kind():
    own = layer("MyDense", "d", {"kernel": (3, 4)}, bases=["Dense"])
    assert keras_units({"d": own}, {})[0].kind == "linear"
    assert keras_units({"d": layer("MyDense", "d", {"kernel": (3, 4)})}, {})[0].kind == FREE


# Single weights: PyTorch's entry by Keras's index


def test_a_depthwise_kernel_by_its_indices():
    kernel = Variable("kernel", (3, 5, 4, 2))
    value = mapped.depthwise(kernel).value()
    assert value.shape == (8, 1, 3, 5)
    for index in [(0, 0, 0, 0), (2, 4, 3, 1), (1, 3, 2, 0), (0, 4, 1, 1)]:
        i, j, channel, k = index
        assert value[channel * 2 + k, 0, i, j] == kernel.array[index]


@pytest.mark.parametrize(
    ("kind", "order"), [("LSTM", "ifgo:ifgo"), ("GRU", "zrh:rzh"), ("SimpleRNN", "h:h")], ids=["lstm", "gru", "rnn"]
)
def test_the_gates_of_a_recurrent_layer_by_their_letters(kind, order):
    keras_order, torch_order = order.split(":")
    found = keras_units({"r": recurrent_layer(kind, "r", len(keras_order), (5 * len(keras_order),))}, {})[0]
    for leaf in ("weight_ih", "weight_hh", "bias_ih"):
        weight = found.weights[leaf]
        ours = dict(zip(keras_order, np.split(weight.variables[0].array, len(keras_order), -1), strict=True))
        theirs = dict(zip(torch_order, np.split(weight.value(), len(torch_order)), strict=True))
        assert all(np.array_equal(theirs[gate], ours[gate].T) for gate in keras_order), leaf


def test_the_second_bias_of_two_in_one_is_zero_and_takes_no_value():
    weights = keras_units({"r": recurrent_layer("LSTM", "r", 4, (20,))}, {})[0].weights
    first, second = weights["bias_ih"], weights["bias_hh"]
    assert (first.twin, second.twin) == (False, True)
    assert first.variables == second.variables
    before = first.value()
    second.assign(np.ones(20))
    assert np.array_equal(first.value(), before)
    assert before.any()
    assert not second.value().any()
    gradient = np.arange(20.0)
    assert np.array_equal(first.joined([gradient]), second.joined([gradient])), "both have the sum's gradient"


def test_each_of_a_grus_biases_is_a_row_and_leaves_the_other_alone():
    weights = keras_units({"g": recurrent_layer("GRU", "g", 3, (2, 15))}, {})[0].weights
    before = weights["bias_ih"].value()
    weights["bias_hh"].assign(np.arange(15.0))
    assert weights["bias_hh"].value().tolist() == list(range(15))
    assert np.array_equal(weights["bias_ih"].value(), before)
    assert np.array_equal(before[:5], weights["bias_ih"].variables[0].array[0, 5:10]), "Keras's second gate comes first"
    assert not any(weight.twin for weight in weights.values())


def test_attention_stacks_query_key_and_value():
    made = attention_layer("a")
    weights = keras_units({"a": made}, {})[0].weights
    query, key = made.weights[0].array, made.weights[2].array  # (in, heads, dim)
    stacked = weights["in_proj_weight"].value()
    assert stacked[1 * 4 + 2, 7] == query[7, 1, 2]
    assert stacked[8 + 0 * 4 + 3, 5] == key[5, 0, 3]
    assert weights["in_proj_bias"].value()[16 + 4 + 1] == made.weights[5].array[1, 1]
    assert weights["out_proj.weight"].value()[6, 1 * 4 + 3] == made.weights[6].array[1, 3, 6]


@pytest.mark.parametrize(("shape", "expected"), [((1, 1, 6), (6,)), ((6,), (6,)), ((3, 5, 6), (6, 3, 5))])
def test_prelus_slopes(shape, expected):
    assert mapped.prelu(Variable("alpha", shape)).shape == expected


def test_after_a_flatten_a_kernels_rows_are_in_pytorchs_order():
    given = keras_units({"fc": dense("fc", 2, 12)}, {"fc": (2, 3, 2)})[0].weights["weight"]
    plain = keras_units({"fc": dense("fc", 2, 12)}, {})[0].weights["weight"]
    kernel = given.variables[0].array.reshape(2, 3, 2, 2)  # H, W, C, out
    assert np.array_equal(given.value(), kernel.transpose(3, 2, 0, 1).reshape(2, 12))
    assert not np.array_equal(given.value(), plain.value())


def test_after_a_flatten_a_value_of_each_feature_is_in_pytorchs_order():
    norm = layer("BatchNormalization", "bn", {"gamma": (12,)})
    value = keras_units({"bn": norm}, {"bn": (2, 3, 2)})[0].weights["weight"].value()
    assert np.array_equal(value, norm.weights[0].array.reshape(2, 3, 2).transpose(2, 0, 1).reshape(12))


# The rules


@pytest.mark.parametrize(
    ("path", "name"),
    [("conv1", "conv1"), ("layer1.0.fc", "layer1_0_fc"), ("layer1.0.fc", "layer1/0/fc"), ("Head.fc", "head_FC")],
)
def test_a_name_may_be_spelled_in_both_ways(path, name):
    """The others of its kind come first on either side, so order would pair wrongly."""
    theirs = torch_units(network(**{"other": linear(), path: linear()}), [])
    ours = keras_units({n: dense(n) for n in (name, "dense")}, {})
    found = pair(theirs, ours)
    assert sorted(names(found)) == sorted([(path, name), ("other", "dense")])
    assert {one.name: how for one, _, how in found.units} == {path: "name", "other": "structure"}


def test_a_name_counts_only_where_the_shapes_fit():
    found = pair(*units_of({"a": linear(4), "b": linear(5)}, [dense("b", 4), dense("a", 5)]))
    assert {(one.name, other.name, how) for one, other, how in found.units} == {
        ("a", "b", "structure"), ("b", "a", "structure")}  # fmt: skip


def test_a_name_that_two_layers_have_decides_nothing():
    found = pair(*units_of({"x": linear(), "a.b": linear()}, [dense("a_b"), dense("a/b")]))
    assert {(one.name, other.name, how) for one, other, how in found.units} == {
        ("x", "a_b", "structure"), ("a.b", "a/b", "structure")}  # fmt: skip


@pytest.mark.parametrize(
    ("order", "expected"),
    [(["b", "a"], ["b", "a"]), (["b"], ["b", "a"]), ([], ["a", "b"]), (["b", "b", "a", "none"], ["b", "a"])],
    ids=["called", "one-called", "none-called", "called-twice"],
)
def test_order_is_that_of_the_calls(order, expected):
    theirs = torch_units(network(a=linear(), b=linear()), order)
    assert [unit.name for unit in theirs] == expected
    found = pair(theirs, keras_units({n: dense(n) for n in ("first", "second")}, {}))
    assert names(found) == list(zip(expected, ["first", "second"], strict=True))


def test_what_is_given_comes_before_names():
    theirs, ours = units_of({"a": linear(), "b": linear()}, [dense("a"), dense("b")])
    found = pair(theirs, ours, {"a": "b"})
    assert [(one.name, other.name, how) for one, other, how in found.units] == [
        ("a", "b", "given"), ("b", "a", "structure")]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"c": "a"}, "'c' names none of PyTorch's layers: a, b"),
        ({"a": "c"}, "'c' names none of Keras's layers: a, b"),
        ({"a": "b"}, r"a \(linear: weight \(4, 3\).* and b \(linear: weight \(5, 3\).* do not fit each other"),
    ],
    ids=["no-module", "no-layer", "no-fit"],
)
def test_a_wrong_given_name_is_one_line(given, message):
    theirs, ours = units_of({"a": linear(4), "b": linear(5)}, [dense("a", 4), dense("b", 5)])
    with pytest.raises(BlitzError, match=message) as caught:
        pair(theirs, ours, given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        (2, 3, ["PyTorch has a (linear", "b (linear", "Keras has x (linear", "z (linear"]),
        (1, 0, ["PyTorch has a (linear: weight (4, 3), bias (4,))", "Keras has nothing more"]),
        (0, 1, ["PyTorch has nothing more", "Keras has x (linear: weight (4, 3), bias (4,))"]),
    ],
    ids=["fewer", "none-in-keras", "none-in-pytorch"],
)
def test_unequal_counts_are_refused_with_both_sides_named(theirs, ours, said):
    modules = {"conv": module("Conv1d", {"weight": (6, 2, 5)})} | {n: linear() for n in "ab"[:theirs]}
    layers = [layer("Conv1D", "c", {"kernel": (5, 2, 6)}), *(dense(n) for n in "xyz"[:ours])]
    with pytest.raises(UnpairedError) as caught:
        pair(*units_of(modules, layers))
    assert [part for part in said if part not in str(caught.value)] == [], str(caught.value)
    assert names(caught.value) == [("conv", "c")], "what fits is kept"


def test_a_long_refusal_is_cut_and_says_its_cause():
    modules = {f"fc{k}": linear(bias=False) for k in range(40)}
    with pytest.raises(UnpairedError) as caught:
        pair(*units_of(modules, [dense(f"d{k}") for k in range(41)]))
    said = str(caught.value)
    assert "and 34 more" in said
    assert "In 40 of Keras's layers only the bias is in the way" in said
    assert len(said) < 1200


def test_a_refusal_prints_what_would_try_the_nearest():
    with pytest.raises(UnpairedError, match=r'weights=\{"a": "x"'):
        pair(*units_of({"a": linear(), "b": linear()}, [dense("x")]))


def test_a_bias_on_one_side_only_does_not_fit():
    with pytest.raises(UnpairedError, match=r"Keras has d \(linear: weight \(4, 3\)\)"):
        pair(*units_of({"fc": linear()}, [dense("d", bias=False)]))


def test_a_models_own_weight_is_found_by_name_or_shape():
    theirs = torch_units(module("Net", {"scale": (3,), "shift": (3,)}, children={"fc": linear()}), [])
    fc = dense("fc")
    own = [Variable(name, (3,)) for name in ("shift", "scale")]
    model = layer("Model")
    model.weights = [*fc.weights, *own]
    ours = keras_units({"fc": fc}, {})
    loose = loose_units(model, ours)
    assert [(unit.name, unit.kind) for unit in loose] == [("shift", FREE), ("scale", FREE)]
    found = pair(theirs, ours + loose)
    assert sorted(names(found)) == [("fc", "fc"), ("scale", "scale"), ("shift", "shift")]
    assert {w.name: w.variables[0].name for w in found.weights if w.name in ("scale", "shift")} == {
        "scale": "scale", "shift": "shift"}  # fmt: skip


def test_a_count_that_no_unit_has_is_not_the_models_own():
    norm = layer("BatchNorm", "bn", {**MOVING, "num_batches_tracked": ()})
    model = layer("Model")
    model.weights = norm.weights
    assert loose_units(model, keras_units({"bn": norm}, {})) == []


def test_a_tied_weight_is_its_first_owners():
    tied = tensor(9, 4)
    theirs = torch_units(
        network(tokens=module("Embedding", {"weight": tied}), out=module("Linear", {"weight": tied})), []
    )
    assert [unit.name for unit in theirs] == ["tokens"]
    free = network(tokens=module("Embedding", {"weight": (9, 4)}), out=module("Linear", {"weight": (9, 4)}))
    assert [unit.name for unit in torch_units(free, [])] == ["tokens", "out"]


def test_a_buffer_without_a_counterpart_is_left_alone_and_a_parameter_is_not():
    found = pair(*units_of({"own": module("Own", buffers={"table": (7,)}), "fc": linear()}, [dense("d")]))
    assert found.unused == ["own.table"]
    assert "left alone: own.table" in found.notes[0]
    with pytest.raises(UnpairedError, match=r"PyTorch has own.table"):
        pair(*units_of({"own": module("Own", {"table": (7,)}), "fc": linear()}, [dense("d")]))


@pytest.mark.parametrize("trainable", [False, True])
def test_a_weight_that_keras_alone_has_is_left_alone_where_nothing_trains_it(trainable):
    own = layer("Own", "o", {"count": ()})
    own.weights[0].trainable = trainable
    theirs, ours = units_of({"fc": linear()}, [dense("d"), own])
    if trainable:
        with pytest.raises(UnpairedError, match="Keras has o/count"):
            pair(theirs, ours)
    else:
        found = pair(theirs, ours)
        assert [weight.name for weight in found.weights] == ["fc.weight", "fc.bias"]
        assert "not trained, without a counterpart, left alone: o/count" in found.notes[0]


def test_a_frozen_layer_that_keras_alone_has_is_refused():
    """Of a known kind it is a layer that PyTorch lacks, and no state."""
    extra = dense("extra", out=7)
    for variable in extra.weights:
        variable.trainable = False
    with pytest.raises(UnpairedError, match="Keras has extra"):
        pair(*units_of({"fc": linear()}, [dense("d"), extra]))


@pytest.mark.parametrize("buffer", [False, True])
def test_a_free_tensor_is_a_parameter_where_it_is_one_in_pytorch(buffer):
    one = module("Own", buffers={"table": (7,)}) if buffer else module("Own", {"table": (7,)})
    found = pair(*units_of({"own": one}, [layer("Own", "o", {"table": (7,)})]))
    assert [weight.trainable for weight in found.weights] == [not buffer]


def test_a_buffer_with_a_counterpart_is_paired():
    found = pair(*units_of({"own": module("Own", buffers={"table": (7,)})}, [layer("Own", "o", {"table": (7,)})]))
    assert found.unused == found.notes == []
    assert [weight.name for weight in found.weights] == ["own.table"]


def test_a_stacks_weights_have_the_numbers_of_their_layers():
    found = pair(*units_of(*FITTING["lstm-stack"][:2]))
    assert [weight.name for weight in found.weights] == [
        f"lstm.{leaf}_l{k}" for k in (0, 1) for leaf in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    assert found.twins == {f"lstm.bias_hh_l{k}": f"lstm.bias_ih_l{k}" for k in (0, 1)}


def test_a_bidirectional_layers_twins_are_those_of_both_ways():
    found = pair(*units_of(*FITTING["bidirectional"][:2]))
    assert found.twins == {f"lstm.bias_hh_l0{way}": f"lstm.bias_ih_l0{way}" for way in ("", "_reverse")}
    backward = next(weight for weight in found.weights if weight.name == "lstm.weight_ih_l0_reverse")
    assert backward.variables[0].path == "b/backward/kernel"
