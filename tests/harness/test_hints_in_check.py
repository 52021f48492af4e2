"""What `parity.check` says of a mistake's reason: sequences, functions of PyTorch's, optimizer steps, places."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import parity
from keras_blitz.losses import CrossEntropyLoss

pytestmark = [pytest.mark.covers("H12"), pytest.mark.torch]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn, F = torch.nn, torch.nn.functional
RANDOM = np.random.RandomState(0)
X, Y = RANDOM.randn(6, 4), RANDOM.randn(6, 2)
WORDS = np.array([[3, 7, 1, 9, 4], [5, 2, 0, 0, 0], [8, 8, 6, 0, 0]])


def said(torch_side, model, inputs, **options):
    report = parity.check(torch_side, model, inputs, **{"dtypes": ["float64"]} | options)
    assert report.location is not None, str(report)
    return report.first_divergence, "; ".join(report.location.explained)


class Tagger(nn.Module):
    def __init__(self, padding=None, **options):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(10, 6, padding_idx=padding)
        self.lstm = nn.LSTM(6, 5, **{"batch_first": True} | options)
        self.fc = nn.Linear(5, 2)

    def forward(self, x):
        return self.fc(self.lstm(self.embedding(x))[0])


def tagger(mask=False, **options):
    return keras.Sequential([
        keras.Input((5,), dtype="int32"), layers.Embedding(10, 6, mask_zero=mask, name="embedding"),
        layers.LSTM(5, return_sequences=True, name="lstm", **options), layers.Dense(2, name="fc"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours", "place", "words"),
    [
        ({}, {"mask": True}, "activation:lstm", "skips the masked steps"),
        ({"batch_first": False}, {}, "activation:lstm", "batch_first is False"),
        ({}, {"recurrent_activation": "hard_sigmoid"}, "activation:lstm", "recurrent_activation is sigmoid in PyTorch"),
        ({"padding": 0}, {}, "grad:embedding.weight", "embedding-padding-idx"),
        ({}, {"mask": True, "recurrent_activation": "relu"}, "activation:lstm", ""),
    ],
    ids=["mask", "batch-first", "gates", "padding-idx", "two-mistakes"],
)
def test_reasons_of_sequences(theirs, ours, place, words):
    found, reason = said(Tagger(**theirs), tagger(**ours), WORDS)
    assert found == place
    assert words in reason if words else not reason or "it agrees" in reason


class Functional(nn.Module):
    """Activations called as functions, of which no module tells."""

    def __init__(self, middle, end=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.middle, self.end = nn.Linear(4, 5), nn.Linear(5, 2), middle, end

    def forward(self, x):
        return self.end(self.last(self.middle(self.first(x))))


def functional(middle, end=None):
    return keras.Sequential([
        keras.Input((4,)), layers.Dense(5, activation=middle, name="first"),
        layers.Dense(2, activation=end, name="last"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        ((lambda x: F.gelu(x, approximate="tanh"),), ("gelu",), "see `parity gaps gelu-tanh`"),
        ((F.relu, lambda x: torch.clip(0.2 * x + 0.5, 0, 1)), ("relu", "sigmoid"), "hard_sigmoid (0.2·x + 0.5)"),
        ((F.relu,), ("relu", "softmax"), "ce-softmax-in-model"),
        ((F.softshrink,), ("tanh",), ""),
    ],
    ids=["gelu", "hard-sigmoid", "softmax", "unknown"],
)
def test_reasons_where_pytorch_calls_a_function(theirs, ours, words):
    _, reason = said(Functional(*theirs), functional(*ours), X)
    assert words in reason if words else not reason


def test_a_resize_by_a_function_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

        def forward(self, x):
            h = F.interpolate(self.conv1(x), scale_factor=2, mode="bilinear", align_corners=True)
            return self.conv2(h)

    model = keras.Sequential([
        keras.Input((5, 6, 3)), layers.Conv2D(4, 1, name="conv1"), layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Conv2D(2, 1, name="conv2"),
    ])  # fmt: skip
    _, reason = said(Net(), model, RANDOM.randn(2, 3, 5, 6))
    assert "upsample-align-corners" in reason


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


def port():
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(2)])


class Clipped(torch.optim.SGD):
    def step(self, closure=None):
        nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], 0.1)
        return super().step(closure)


def undecayed(cls, **options):
    def optimizer(parameters):
        kernels, biases = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim < 2]
        return cls([{"params": kernels}, {"params": biases, "weight_decay": 0.0}], **options)

    return optimizer


def made(cls, **options):
    return lambda parameters: cls(parameters, **options)


def excluding(optimizer):
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


K = keras.optimizers
OPTIMIZERS = {
    "rate": (made(torch.optim.SGD, lr=0.1), K.SGD(0.2), "learning_rate is 0.1 in PyTorch, 0.2 in Keras"),
    "momentum": (made(torch.optim.SGD, lr=0.1, momentum=0.9), K.SGD(0.1, momentum=0.8), "momentum is 0.9 in PyTorch"),
    "two-settings": (
        made(torch.optim.SGD, lr=0.1, momentum=0.9), K.SGD(0.2, momentum=0.8), "learning_rate is 0.1 in PyTorch, 0.2",
    ),
    "dampening": (
        made(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.5), K.SGD(0.1, momentum=0.9), "opt-sgd-dampening",
    ),
    "epsilon": (made(torch.optim.Adam, lr=0.1), K.Adam(0.1), "epsilon is 1e-08 in PyTorch, 1e-07 in Keras"),
    "place-of-epsilon": (made(torch.optim.Adam, lr=0.1), K.Adam(0.1, epsilon=1e-8), "opt-adam-eps-position"),
    "coupled-decay": (
        made(torch.optim.Adam, lr=0.1, weight_decay=0.3), K.Adam(0.1, weight_decay=0.3, epsilon=1e-8),
        "opt-adam-weight-decay",
    ),
    "clipped-each": (made(Clipped, lr=0.1), K.SGD(0.1, clipnorm=0.1), "clip-grad-norm-each"),
    "clipped-together": (made(Clipped, lr=0.1), K.SGD(0.1, global_clipnorm=0.1), "see `parity gaps clip-grad-norm`"),
    "accumulated": (
        made(torch.optim.SGD, lr=0.1), K.SGD(0.1, gradient_accumulation_steps=2), "updates once in 2 steps",
    ),
    "excluded-alike": (
        undecayed(torch.optim.AdamW, lr=0.1, weight_decay=0.3),
        excluding(K.AdamW(0.1, weight_decay=0.3, epsilon=1e-8)), "which keras_blitz.optim.AdamW has, it agrees",
    ),
    "decayed-too": (
        undecayed(torch.optim.AdamW, lr=0.1, weight_decay=0.3), K.AdamW(0.1, weight_decay=0.3, epsilon=1e-8),
        "and with its parameter groups (weight_decay) it agrees",
    ),
    "clipped-in-keras-alone": (made(torch.optim.SGD, lr=0.1), K.SGD(0.1, clipvalue=1e-3), "without it agrees"),
    "groups": (
        undecayed(torch.optim.SGD, lr=0.1, weight_decay=0.3), K.SGD(0.1, weight_decay=0.3), "exclude_from_weight_decay",
    ),
    "accumulator": (
        made(torch.optim.Adagrad, lr=0.1), K.Adagrad(0.1, epsilon=1e-10), "initial_accumulator_value is 0 in PyTorch",
    ),
    "another-optimizer": (made(torch.optim.SGD, lr=0.1), K.Lion(0.1), "by PyTorch's rule"),
    "two-mistakes": (made(Clipped, lr=0.1), K.SGD(0.2, clipvalue=0.5), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reasons_of_a_step(name):
    theirs, ours, words = OPTIMIZERS[name]
    loss = (nn.MSELoss(), keras.losses.MeanSquaredError())
    found, reason = said(net(), port(), X, loss=loss, target=Y, optimizer=(theirs, ours), steps=2)
    assert ":param:" in found
    assert words in reason if words else not reason


def test_a_loss_is_explained_in_a_check():
    loss = (nn.MSELoss(reduction="sum"), "mse")
    found, reason = said(net(), port(), X, loss=loss, target=Y)
    assert found == "loss"
    assert "12 × Keras's, the number of values" in reason


def test_an_input_that_differs_by_little_is_not_made_in_the_layer():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Rescaling(1 + 3e-7), layers.Dense(4)])
    text = str(parity.check(module, model, RANDOM.randn(8, 6)))
    assert "differs already" in text
    assert "in this layer" not in text


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_patches_in_the_batch_or_on_an_axis_hide_no_reason(epsilon):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.proj, self.norm, self.out = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 2)

        def forward(self, x):
            patches = self.norm(self.proj(x.flatten(0, 1)))
            return self.out(patches.unflatten(0, x.shape[:2]))

    i = keras.Input((4, 5, 6))
    norm = layers.LayerNormalization(epsilon=epsilon, name="norm")
    model = keras.Model(i, layers.Dense(2, name="out")(norm(layers.Dense(6, name="proj")(i))))
    report = parity.check(Net(), model, RANDOM.randn(2, 4, 5, 6))
    assert report.passed is (epsilon == 1e-5)
    if not report.passed:
        assert report.first_divergence == "activation:norm"
        assert "layernorm-eps" in str(report)


def test_a_small_epsilon_is_the_reason_and_no_constant_in_float32():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    norm = layers.BatchNormalization(epsilon=1.001e-5)
    model = keras.Sequential([keras.Input((9, 8, 3)), layers.Conv2D(4, 3), norm])
    text = str(parity.check(module, model, RANDOM.randn(2, 3, 9, 8)))
    assert "bn-eps-default" in text
    assert "a constant goes through float32" not in text


def test_the_models_optimizer_and_loss_are_left_as_they_were():
    optimizer, model = K.SGD(0.2), port()
    model.compile(optimizer, "mse")
    said(
        net(),
        model,
        X,
        loss=(nn.MSELoss(), "compiled"),
        target=Y,
        optimizer=(OPTIMIZERS["rate"][0], "compiled"),
        steps=1,
    )
    assert model.optimizer is optimizer
    assert not optimizer.built
    assert float(tf.convert_to_tensor(optimizer.learning_rate)) == pytest.approx(0.2)


def test_a_constraint_is_the_reason_of_a_step():
    constraint = keras.constraints.MaxNorm(0.3)
    model = keras.Sequential([
        keras.Input((4,)), layers.Dense(5, activation="tanh", kernel_constraint=constraint), layers.Dense(2),
    ])  # fmt: skip
    options = {"loss": (nn.MSELoss(), "mse"), "target": Y, "steps": 1}
    found, reason = said(net(), model, X, **options, optimizer=(made(torch.optim.SGD, lr=0.1), K.SGD(0.1)))
    assert found == "step1:param:0.weight"
    assert "MaxNorm constrains" in reason
    assert model.layers[0].kernel.constraint is constraint
    found, reason = said(net(), model, X, **options, optimizer=(made(torch.optim.SGD, lr=0.1), K.SGD(0.2)))
    assert "MaxNorm" not in reason


class Times(keras.losses.Loss):
    """Without a configuration that says by what."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def call(self, y_true, y_pred):
        return self.by * tf.reduce_mean((y_true - y_pred) ** 2, -1)


@pytest.mark.parametrize(
    ("theirs", "words"), [(nn.MSELoss(), "all gradients differ by one factor: Keras's is 3 ×"), (nn.L1Loss(), "")]
)
def test_a_factor_of_a_loss_is_that_of_its_gradients(theirs, words):
    found, reason = said(net(), port(), X, loss=(theirs, Times(3.0)), target=Y)
    assert found == "loss"
    assert words in reason if words else not reason


class Pixels(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        return self.conv(x / 127.5 - 1)


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ([], "PyTorch's is 0.00784314 × Keras's − 1"),
        ([layers.Rescaling(1 / 127.5)], "PyTorch's is 1 × Keras's − 1"),
        ([layers.Rescaling(1 / 127.5, -1), layers.Lambda(lambda x: x**3)], ""),
    ],
    ids=["forgotten", "offset-forgotten", "something-else"],
)
def test_the_factor_between_two_inputs(stack, words):
    model = keras.Sequential([keras.Input((6, 5, 3)), *stack, layers.Conv2D(2, 3)])
    found, reason = said(Pixels(), model, 255 * RANDOM.rand(2, 3, 6, 5))
    assert found == "activation:conv"
    assert words in reason if words else not reason


class Bordered(nn.Module):
    def __init__(self, pad):
        super().__init__()
        torch.manual_seed(0)
        self.pad, self.conv = pad, nn.Conv2d(3, 2, 3, stride=2)

    def forward(self, x):
        return self.conv(self.pad(x))


@pytest.mark.parametrize(
    ("pad", "words"),
    [
        (nn.ReflectionPad2d(1), "PyTorch pads 'reflect' by ((1, 1), (1, 1)) before it"),
        (nn.ReplicationPad2d(2), "PyTorch pads 'replicate' by ((2, 2), (2, 2))"),
        (nn.ZeroPad2d(1), "PyTorch pads 'zeros' by ((1, 1), (1, 1)) before it"),
        (nn.ConstantPad2d(1, 0.5), ""),
    ],
    ids=["reflected", "repeated", "zeros-on-both-sides", "another-number"],
)
def test_a_border_that_pytorch_makes_before_a_convolution(pad, words):
    model = keras.Sequential([keras.Input((6, 8, 3)), layers.Conv2D(2, 3, strides=2, padding="same")])
    found, reason = said(Bordered(pad), model, RANDOM.randn(2, 3, 6, 8))
    assert found == "activation:conv"
    assert words in reason if words else not reason


class Attended(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.fc = nn.Embedding(10, 4), nn.Linear(4, 2)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        x = self.table(x)
        return self.fc(self.attention(x, x, x)[0].mean(1))


def attended(factor=1.0):
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Rescaling(factor)(layers.Embedding(10, 4, mask_zero=True, name="table")(tokens))
    x = layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    return keras.Model(tokens, layers.Dense(2, name="fc")(layers.GlobalAveragePooling1D()(x)))


class Averaged(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.fc = nn.Embedding(10, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.table(x).mean(1))


def averaged(*between):
    return keras.Sequential([
        keras.Input((5,), dtype="int32"), layers.Embedding(10, 4, mask_zero=True, name="table"), *between,
        layers.GlobalAveragePooling1D(), layers.Dense(2, name="fc"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "right", "wrong"),
    [(Attended, attended, lambda: attended(1.1)), (Averaged, averaged, lambda: averaged(layers.Rescaling(1.1)))],
    ids=["attention", "average"],
)
def test_a_mask_is_the_reason_wherever_it_goes(theirs, right, wrong):
    assert "without the mask it agrees" in said(theirs(), right(), WORDS)[1]
    assert "mask" not in said(theirs(), wrong(), WORDS)[1]


class Packed(nn.Module):
    def __init__(self, batch_first, padding):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(10, 6, padding_idx=padding)
        self.lstm, self.fc = nn.LSTM(6, 5, batch_first=batch_first), nn.Linear(5, 2)

    def forward(self, x):
        first, lengths = self.lstm.batch_first, (x != 0).sum(1)
        given = self.table(x) if first else self.table(x).transpose(0, 1)
        packed = nn.utils.rnn.pack_padded_sequence(given, lengths, batch_first=first, enforce_sorted=False)
        steps, (state, _) = self.lstm(packed)
        steps, _ = nn.utils.rnn.pad_packed_sequence(steps, batch_first=True, total_length=x.shape[1])
        return {"last": state[-1], "steps": self.fc(steps)}


def unpacked(**options):
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Embedding(10, 6, mask_zero=True, name="table")(tokens)
    steps, last, _ = layers.LSTM(5, return_sequences=True, return_state=True, name="lstm", **options)(x)
    return keras.Model(tokens, {"last": last, "steps": layers.Dense(2, name="fc")(steps)})


PADDED = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [1, 2, 3, 4, 5]])


@pytest.mark.parametrize("batch_first", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_packed_sequence_is_compared_step_by_step(batch_first):
    module = Packed(batch_first, 0 if batch_first else None)
    assert parity.check(module, unpacked(zero_output_for_mask=True), PADDED, dtypes=["float64"]).passed
    found, reason = said(module, unpacked(), PADDED)
    assert found == "activation:lstm"
    assert "with zero_output_for_mask=True it agrees" in reason
    found, reason = said(module, unpacked(recurrent_activation="relu"), PADDED)
    assert found == "activation:lstm"
    assert "zero_output_for_mask" not in reason


@pytest.mark.slow
def test_the_last_state_of_a_packed_sequence_is_that_of_each_examples_last_step():
    class Last(Packed):
        def forward(self, x):
            return self.fc(super().forward(x)["last"])

    def last(**options):
        tokens = keras.Input((5,), dtype="int32")
        x = layers.Embedding(10, 6, mask_zero=options.pop("mask", True), name="table")(tokens)
        return keras.Model(tokens, layers.Dense(2, name="fc")(layers.LSTM(5, name="lstm", **options)(x)))

    assert parity.check(Last(True, 0), last(), PADDED, dtypes=["float64"]).passed
    assert not parity.check(Last(True, 0), last(mask=False), PADDED, dtypes=["float64"]).passed


def classifier(activation=None):
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation=activation, name="0")])


@pytest.mark.filterwarnings("ignore:.*output of a softmax or sigmoid")
@pytest.mark.filterwarnings("ignore:.*produced by a Softmax activation")
@pytest.mark.parametrize(
    ("last", "activation", "loss", "is_said"),
    [
        (nn.Softmax(1), "softmax", CrossEntropyLoss(), True),
        (nn.Softmax(1), "softmax", keras.losses.SparseCategoricalCrossentropy(from_logits=True), False),
        (nn.Identity(), None, CrossEntropyLoss(), False),
    ],
    ids=["softmax", "softmax-that-keras-takes-back", "logits"],
)
def test_a_softmax_before_a_loss_of_logits_is_a_note_where_both_have_it(last, activation, loss, is_said):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), last)
    report = parity.check(
        module, classifier(activation), X, loss=(nn.CrossEntropyLoss(), loss), target=np.arange(6) % 3,
        dtypes=["float64"],
    )  # fmt: skip
    assert report.passed is isinstance(loss, CrossEntropyLoss), report
    assert ("softmax or sigmoid" in str(report)) is is_said
