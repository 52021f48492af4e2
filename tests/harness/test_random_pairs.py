"""Random pairs: what is right is known without `parity.check`, and its verdict is that."""

import pytest

pytestmark = pytest.mark.covers("H12")

pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from parity.faults.random import draw, in_keras, in_torch, truth  # noqa: E402
from parity.faults.random.network import Network, Node, Shape  # noqa: E402
from parity.faults.random.run import RIGHT, UNCLEAR, WRONG, check, pair  # noqa: E402

FIXED = range(16)


def small(*nodes: Node, layout="maps", sizes=(3, 6, 5)) -> Network:
    return Network({"x": Shape(layout, sizes)}, nodes, (nodes[-1].name,))


def test_a_number_gives_the_same_pair_again():
    assert str(pair(3).network) == str(pair(3).network)
    assert str(pair(3).ours) == str(pair(3).ours)
    assert str(pair(3).network) != str(pair(4).network)


def test_half_of_the_pairs_have_a_mistake():
    assert [number for number in range(6) if pair(number).mistake] == [1, 3, 5]


def test_both_sides_know_every_kind_of_node():
    kinds = {node.kind for number in range(200) for node in draw.network(number).nodes}
    assert {
        "conv", "linear", "batchnorm", "groupnorm", "layernorm", "embedding", "lstm", "gru", "activation", "maxpool",
        "avgpool", "globalavg", "globalmax", "flatten", "upsample", "gate", "add", "subtract", "multiply", "concat",
        "dropout", "softmax", "scale", "to_maps", "to_sequence", "last",
    } == kinds  # fmt: skip


@pytest.mark.parametrize("number", range(0, 40, 2))
def test_two_emitters_write_one_function(number):
    network = draw.network(number)
    assert truth.distance(network, network, number) < truth.OTHER


@pytest.mark.parametrize(
    ("settings", "known"),
    [({"eps": 1e-3}, WRONG), ({"momentum": 0.01}, RIGHT)],
    ids=["epsilon", "momentum-does-nothing-in-eval"],
)
def test_a_mistake_counts_where_it_changes_the_function(settings, known):
    right = small(Node("bn", "batchnorm", ("x",), {"eps": 1e-5, "momentum": 0.1}))
    assert (truth.distance(right, right.with_node(right.node("bn").but(**settings)), 0) > truth.OTHER) == (
        known == WRONG
    )


def test_exchanged_equal_branches_are_right_with_their_weights_exchanged():
    line = {"units": 4, "bias": True}
    right = small(
        Node("a", "linear", ("x",), line), Node("b", "linear", ("x",), line), Node("cat", "concat", ("a", "b")),
        layout="vector", sizes=(5,),
    )  # fmt: skip
    ours = right.with_node(Node("cat", "concat", ("b", "a")))
    assert truth.distance(right, ours, 0) > truth.OTHER
    assert truth.distance(right, ours, 0, {"a": "b", "b": "a"}) < truth.SAME


def test_an_output_with_as_many_channels_as_steps_is_moved_by_its_layout():
    right = small(Node("conv", "conv", ("x",), {
        "filters": 6, "kernel": (3,), "stride": (1,), "padding": (1,), "dilation": (1,), "groups": 1, "bias": True,
    }), sizes=(3, 6))  # fmt: skip
    assert truth.distance(right, right, 0) < truth.SAME


def test_a_flatten_in_another_order_is_a_mistake():
    right = small(Node("flat", "flatten", ("x",)), Node("fc", "linear", ("flat",), {"units": 3, "bias": True}))
    assert truth.distance(right, right, 0) < truth.SAME
    assert truth.distance(right, right.with_node(Node("flat", "flatten", ("x",), {"order": (2, 1, 3)})), 0) > 1e-2


def test_outputs_are_those_of_the_description():
    import torch

    network = draw.network(12)
    value = in_torch.emit(network, 12)(*map(torch.tensor, in_torch.inputs_of(network, 12)))
    assert value.shape[1:] == network.shapes()[network.outputs[0]].sizes


def test_keras_names_and_order_are_its_own():
    network = draw.network(4)
    names = {tuple(layer.name for layer in in_keras.emit(network, seed).model.layers) for seed in range(6)}
    assert len(names) > 3


@pytest.mark.parametrize("number", FIXED)
def test_a_verdict_is_right(number):
    result = check(number)
    assert result.problem in ("", "refused"), result.said


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 500, 100))
def test_no_false_alarm_and_no_false_pass_in_100_pairs(first):
    results = [check(number) for number in range(first, first + 100)]
    wrong = {r.pair.number: f"{r.problem}: {r.said}" for r in results if r.problem}
    assert not wrong
    assert sum(r.truth == UNCLEAR for r in results) <= 2
