"""`parity.transfer` on every pair, there and back: proven, and every bit of every weight is kept."""

import numpy as np
import pytest

import parity

pytestmark = pytest.mark.covers("H16")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from pairs import PAIRS, Pair  # noqa: E402
from pairs.pair import trained  # noqa: E402

from parity.pair.options import arrays_of, typed  # noqa: E402
from parity.record.torch_recorder import run  # noqa: E402

QUICK = {"deepfm", "gnn", "vae"}  # half a second of CPU time each
ROWS = [pytest.param(pair, id=pair.name, marks=[pytest.mark.slow] * (pair.name not in QUICK)) for pair in PAIRS]


def state(module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def bits(array) -> list[int]:
    """Return the values of an array by their bits, in an order that no transpose changes."""
    return sorted(np.asarray(array, "float32").reshape(-1).view("uint32").tolist())


def part_of(array: np.ndarray, name: str) -> np.ndarray:
    """Return the part that a row of the table names: "[0:8]" or "[:, 3]" after a name."""
    places = name.partition("[")[2].removesuffix("]")
    ends = [[int(end) if end else None for end in place.split(":")] for place in places.split(", ") if place]
    return array[tuple(slice(*each) if len(each) > 1 else each[0] for each in ends)]


def values_of(row, tensors) -> np.ndarray:
    """Return the values that a row of the table says that a Keras weight has: those of a tensor, or the sum of two."""
    first, *second = [part_of(tensors[name.partition("[")[0]], name) for name in row.tensors]
    return first + second[0] if second else first


def outputs(module, inputs) -> list[np.ndarray]:
    """Return a module's float32 outputs."""
    return list(run(module, typed(arrays_of(inputs), "float32")).outputs.values())


@pytest.mark.parametrize("pair", ROWS)
def test_weights_go_to_keras_and_back_without_a_changed_bit(pair: Pair):
    module, model, inputs = pair.right()
    before, untouched = state(module), {v.path: v.numpy() for v in model.weights}
    given = {key: value for key, value in pair.options.items() if key == "weights"}
    done = parity.transfer(module, model, inputs, **given)
    assert done, str(done)
    assert all(np.array_equal(before[name], value) for name, value in state(module).items())

    variables = {variable.path: variable.numpy() for variable in model.weights}
    assert {row.weight.partition("[")[0] for row in done.rows} == set(variables) - set(done.left)
    assert all(np.array_equal(variables[path], untouched[path]) for path in done.left if path in variables)
    for row in done.rows:
        assert bits(part_of(variables[row.weight.partition("[")[0]], row.weight)) == bits(values_of(row, before)), row

    torch.manual_seed(7)
    second = trained(pair.torch())
    others = state(second)
    back = parity.transfer(second, model, inputs, reverse=True, **given)
    assert back, str(back)
    assert all(np.array_equal(variables[variable.path], variable.numpy()) for variable in model.weights)
    after = state(second)
    sums = {row.tensors[0]: row.tensors[1] for row in back.rows if row.tensors[1:]}
    for name, value in after.items():
        expected = others[name] if name in back.left else before[name]
        if name in sums:  # one bias for two: the first has the sum, the second is zero
            expected = before[name] + before[sums[name]]
        elif name in sums.values():
            expected = np.zeros_like(value)
        assert value.tobytes() == expected.tobytes(), name
    moved = [name for name, value in others.items() if value.tobytes() != after[name].tobytes()]
    assert moved  # the second module had other values
    for one, other in zip(outputs(module, inputs), outputs(second, inputs), strict=True):
        if sums:
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
        else:
            assert other.tobytes() == one.tobytes()
