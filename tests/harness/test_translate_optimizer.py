"""`port.optimizer`: a run that was begun in PyTorch goes on in Keras, step by step the same."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorflow as tf  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402

pytestmark = pytest.mark.torch


class Flattened(nn.Module):
    """The first Linear's features have another order in Keras; `spare` is never called."""

    def __init__(self):
        super().__init__()
        self.conv, self.spare = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.fc, self.out = nn.Linear(3 * 4 * 5, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.fc(torch.flatten(torch.tanh(self.conv(x)), 1))))


class Tied(nn.Module):
    """The output layer has the embedding's weight."""

    def __init__(self):
        super().__init__()
        self.words, self.norm, self.head = nn.Embedding(7, 4), nn.LayerNorm(4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.norm(self.words(tokens))))


class Recurrent(nn.Module):
    """Several tensors of one layer, in a bidirectional stack."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 2, 2, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


STREAM = np.random.RandomState(0)
INPUTS = {
    Flattened: STREAM.randn(3, 2, 4, 5),
    Tied: STREAM.randint(0, 7, (3, 6)),
    Recurrent: STREAM.randn(3, 4, 3),
}


def in_two_groups(cls, **options):
    """Return what makes an optimizer without decay of vectors, and with another rate for them."""

    def make(module):
        matrices = [p for p in module.parameters() if p.dim() > 1]
        vectors = [p for p in module.parameters() if p.dim() <= 1]
        rows = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0, "lr": 0.002}]
        return cls(rows, lr=0.01, **options)

    return make


def started(net, make):
    """Return a float64 module after 3 steps, its optimizer, and what takes one step more."""
    torch.manual_seed(0)
    module, inputs = net().double(), torch.from_numpy(INPUTS[net])
    optimizer = make(module)

    def step():
        optimizer.zero_grad()
        (module(inputs) ** 2).sum().backward()
        optimizer.step()

    for _ in range(3):
        step()
    return module, optimizer, step


def port_of(net, module):
    return parity.translate(module, INPUTS[net], check=False)


def gone_on(net, module, optimizer, step, model, twin):
    """Take 3 steps on both sides; return the largest relative difference of a tensor."""
    images = INPUTS[net]
    images = np.moveaxis(images, 1, -1) if images.ndim == 4 else images
    for _ in range(3):
        step()
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images) ** 2)
        variables = model.trainable_variables
        twin.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    again = port_of(net, module).build("float64")  # has PyTorch's weights of now
    pairs = zip(again.trainable_variables, model.trainable_variables, strict=True)
    return max(float(tf.reduce_max(abs(a - b)) / tf.reduce_max(abs(a))) for a, b in pairs)


SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW


@pytest.mark.parametrize(
    ("net", "make"),
    [
        (Flattened, lambda module: SGD(module.parameters(), lr=0.01, momentum=0.9, dampening=0.1)),
        (Flattened, lambda module: Adam(module.fc.parameters(), lr=torch.tensor(0.01).double(), amsgrad=True)),
        (Flattened, in_two_groups(AdamW)),
        (Tied, in_two_groups(AdamW)),
        (Tied, in_two_groups(SGD, momentum=0.9, nesterov=True)),
        pytest.param(
            Recurrent, in_two_groups(torch.optim.RMSprop, momentum=0.9, centered=True), marks=pytest.mark.slow
        ),
        pytest.param(Tied, in_two_groups(torch.optim.NAdam), marks=pytest.mark.slow),
        pytest.param(Flattened, in_two_groups(torch.optim.Adagrad), marks=pytest.mark.slow),
        pytest.param(Flattened, in_two_groups(torch.optim.RAdam), marks=pytest.mark.slow),
        pytest.param(Flattened, in_two_groups(torch.optim.Adadelta), marks=pytest.mark.slow),
        pytest.param(Flattened, in_two_groups(torch.optim.Adamax), marks=pytest.mark.slow),
        pytest.param(Flattened, in_two_groups(torch.optim.ASGD), marks=pytest.mark.slow),
        pytest.param(Flattened, in_two_groups(torch.optim.Adafactor), marks=pytest.mark.slow),
        pytest.param(Flattened, lambda module: torch.optim.Rprop(module.fc.parameters()), marks=pytest.mark.slow),
        pytest.param(Flattened, lambda module: torch.optim.ASGD(module.fc.parameters()), marks=pytest.mark.slow),
        pytest.param(Flattened, lambda module: torch.optim.Adafactor(module.fc.parameters()), marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_in_keras(net, make):
    module, optimizer, step = started(net, make)
    port = port_of(net, module)
    model = port.build("float64")
    assert gone_on(net, module, optimizer, step, model, port.optimizer(optimizer, model)) < 1e-12


def test_without_its_state_the_run_would_not_be_the_same():
    module, optimizer, step = started(Flattened, in_two_groups(AdamW))
    port = port_of(Flattened, module)
    model = port.build("float64")
    fresh = in_two_groups(AdamW)(module)
    assert gone_on(Flattened, module, optimizer, step, model, port.optimizer(fresh, model)) > 1e-6


def test_groups_rates_and_steps_are_pytorchs():
    module, optimizer, _ = started(Tied, in_two_groups(AdamW, betas=(0.8, 0.99)))
    port = port_of(Tied, module)
    twin = port.optimizer(optimizer)
    assert twin.param_lrs == [0.01, 0.002]
    assert twin.momenta == [0.8, 0.8]
    assert {int(slot.variable) for slot in twin.slots() if slot.key == "step"} == {3}
    assert int(twin.iterations) == 3
    port.model.compile(twin, "mse")
    port.model.fit(INPUTS[Tied], np.zeros((3, 6, 7), "f"), verbose=0)
    assert int(twin.iterations) == 4


def test_what_the_optimizer_does_not_have_is_not_updated():
    module, optimizer, _ = started(Flattened, lambda module: SGD(module.fc.parameters(), lr=0.1, momentum=0.9))
    port = port_of(Flattened, module)
    port.model.compile(port.optimizer(optimizer), "mse")
    before = {variable.path: variable.numpy() for variable in port.model.trainable_variables}
    port.model.fit(np.moveaxis(INPUTS[Flattened], 1, -1), np.ones((3, 2), "f"), verbose=0)
    changed = {v.path for v in port.model.trainable_variables if not np.array_equal(before[v.path], v.numpy())}
    assert changed == {"fc/kernel", "fc/bias"}


class Own(torch.optim.SGD):
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (torch.optim.LBFGS, ["LBFGS", "no twin", "AdamW"]),
        (lambda parameters: Own(parameters, lr=0.1), ["Own", "no twin"]),
        (lambda _: SGD(nn.Linear(3, 2).parameters(), lr=0.1), ["(2, 3)", "not one of Linear's"]),
        (
            lambda parameters: SGD([{"params": parameters, "lr": 0.1, "trust": 2.0}]),
            ["group 0", "'trust'", "SGD"],
        ),
    ],
)
def test_an_optimizer_without_a_twin_is_one_line(make, words):
    module = nn.Linear(3, 2)
    port = parity.translate(module, np.ones((2, 3), "f"), check=False)
    with pytest.raises(BlitzError) as caught:
        port.optimizer(make(module.parameters()))
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)
