"""Cases with every shortcut for speed switched off: the plain rules are PyTorch's too."""

from dataclasses import replace

import pytest

from keras_blitz import speed
from keras_blitz.layers import cpu
from parity.suite import networks
from parity.suite.run import run
from parity.suite.select import select

IDS = (
    "lenet-float64-eager", "lenet-float32-graph", "cifar-float64-graph", "mnist-float64-graph", "mnist-float32-eager",
    "small-float64-eager", "small-train-float64-eager", "small-sgd-float64-eager", "resnet18-float64-eager",
    "sgd-momentum-clip-norm-functions-changed-float64-graph", "cross-entropy-mean-float64-eager",
)  # fmt: skip


@pytest.fixture
def no_shortcut(monkeypatch):
    """No shortcut of a layer is taken: one that is would raise. Recorders of other tests have graphs with them."""

    def refuse(*_):
        raise AssertionError("a shortcut was taken")

    for name in ("convolve_same_size", "convolve_small_map", "convolve_by_rows"):
        monkeypatch.setattr(cpu, name, refuse)
    networks._recorder.cache_clear()
    with speed.plain():
        yield
    networks._recorder.cache_clear()


def test_the_plain_rules_pass_the_golden_cases(no_shortcut, assert_passed):
    # In this process, also what otherwise has one of its own: the choice would not hold there.
    cases = [replace(case, heavy=False) for case in select(list(IDS))]
    assert {case.id for case in cases} == set(IDS)
    for result in run(cases, live=False):
        assert_passed(result)


@pytest.mark.parametrize("id_", ["mnist-float64-graph", "small-float64-eager"])
def test_a_shortcut_that_is_taken_would_show(id_, no_shortcut):
    """The test above can fail: without the switch the same cases take shortcuts."""
    with speed.using(**vars(speed.Choice())):
        (result,) = run(select([id_]), live=False)
    assert "a shortcut was taken" in result.error
