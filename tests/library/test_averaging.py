"""SWA and EMA beside `torch.optim.swa_utils`: the averages, the running statistics after them, the rate."""

import keras
import numpy as np
import pytest

import keras_blitz
from keras_blitz import optim
from keras_blitz.errors import BlitzError
from keras_blitz.layers import BatchNorm
from keras_blitz.optim import schedules
from keras_blitz.weights.mapping import load_state_dict, state_dict

pytestmark = pytest.mark.covers("O6")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
swa_utils = pytest.importorskip("torch.optim.swa_utils")

DATA = np.random.RandomState(0).randn(12, 4)


@pytest.fixture(scope="module", autouse=True)
def float64():
    with keras_blitz.precision("float64"):
        yield


def networks():
    """Return a small network with BatchNorm in PyTorch, and the same in Keras."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2)).double()
    model = keras.Sequential([
        keras.Input((4,)), keras.layers.Dense(3, name="0"), BatchNorm(name="1"), keras.layers.Dense(2, name="2")
    ])  # fmt: skip
    load_state_dict(model, as_arrays(module))
    return module, model


def as_arrays(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def assert_same(model, module):
    ours = state_dict(model)
    for name, value in as_arrays(module).items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("decay", [None, 0.9, 0.3, 1.0])
def test_the_averages_are_pytorchs(decay, use_buffers):
    module, model = networks()
    function = None if decay is None else swa_utils.get_ema_multi_avg_fn(decay)
    theirs = swa_utils.AveragedModel(module, multi_avg_fn=function, use_buffers=use_buffers)
    ours = optim.AveragedModel(model, decay=decay, use_buffers=use_buffers)
    stream = np.random.RandomState(1)
    for number in range(4):
        changed = {
            name: value + (3 if value.dtype.kind == "i" else stream.rand(*value.shape))
            for name, value in as_arrays(module).items()
        }
        module.load_state_dict({name: torch.tensor(value) for name, value in changed.items()})
        load_state_dict(model, changed)
        theirs.update_parameters(module)
        ours.update_parameters()
        assert ours.n_averaged == theirs.n_averaged == number + 1
        assert_same(ours.module, theirs.module)
    np.testing.assert_allclose(
        ours(DATA).numpy(), theirs.eval()(torch.tensor(DATA)).detach().numpy(), rtol=1e-12, atol=1e-14
    )


def test_the_model_itself_is_left_alone():
    _, model = networks()
    before = model.get_weights()
    averaged = optim.AveragedModel(model)
    averaged.update_parameters()
    averaged.module.layers[0].kernel.assign(averaged.module.layers[0].kernel * 2)
    assert all(np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True))


def test_running_statistics_become_the_mean_over_the_batches():
    module, model = networks()
    batches = [DATA[:4], DATA[4:9], DATA[9:]]
    swa_utils.update_bn([(torch.tensor(batch), None) for batch in batches], module)
    optim.update_bn([(batch, None) for batch in batches], model)
    assert_same(model, module)
    assert model.layers[1].momentum == 0.1, "as before"


def test_keras_normalization_cannot_take_the_mean_over_the_batches():
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(name="norm")])
    with pytest.raises(BlitzError, match="norm is Keras's own"):
        optim.update_bn([DATA], model)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 10])
def test_swalr_is_pytorchs_to_the_last_bit(strategy, epochs):
    parameter = torch.nn.Parameter(torch.zeros(1))
    reference, optimizer = torch.optim.SGD([parameter], 0.3), optim.SGD(0.3)
    steps = torch.optim.lr_scheduler.StepLR(reference, 2, 0.7), schedules.StepLR(optimizer, 2, 0.7)
    swa = swa_utils.SWALR(reference, 0.05, epochs, strategy), schedules.SWALR(optimizer, 0.05, epochs, strategy)
    for epoch in range(16):
        reference.step()
        for schedule in steps if epoch < 3 else swa:
            schedule.step()
        assert optimizer.param_lrs == [reference.param_groups[0]["lr"]]


def test_a_callback_averages_in_fit():
    _, model = networks()
    averaged = optim.AveragedModel(model)
    model.compile(optim.SGD(0.1), "mse")
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(model.layers[0].kernel.numpy()))
    model.fit(DATA, np.zeros((12, 2)), epochs=4, verbose=0, callbacks=[note, averaged.callback(start=2)])
    assert averaged.n_averaged == 2
    np.testing.assert_allclose(averaged.module.layers[0].kernel.numpy(), (seen[2] + seen[3]) / 2, rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda model: optim.AveragedModel(model, decay=1.5), r"decay must be in \[0, 1\], not 1.5"),
        (
            lambda model: optim.AveragedModel(keras.Sequential([keras.layers.Dense(2)], name="net")),
            "net has no weights yet",
        ),
        (lambda model: optim.AveragedModel(model).callback("step"), 'per must be "epoch" or "batch"'),
        (lambda model: schedules.SWALR(0.1, 0.05, anneal_strategy="step"), 'must be "cos" or "linear"'),
        (lambda model: schedules.SWALR(0.1, 0.05, -1), "anneal_epochs must be a whole number ≥ 0"),
    ],
)
def test_what_cannot_be_is_one_line(make, says):
    with pytest.raises(BlitzError, match=says):
        make(networks()[1])
