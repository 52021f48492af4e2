"""A changed bit is seen: mistakes planted in a working port fail at the right tensor, in the verdict and on the screen.

Each is planted in the real port and run through the real command.
"""

import keras
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from keras_blitz import optim
from keras_blitz.weights import layout
from keras_blitz.weights.layout import Layout
from parity.cases import networks, select
from parity.cli import app
from parity.keras_recorder import KerasRecorder
from parity.run import run


@pytest.fixture(autouse=True)
def _fresh_recorders():
    """A recorder kept from before would not have the mistake, one kept from here would have it still."""
    networks._recorder.cache_clear()
    yield
    networks._recorder.cache_clear()


def plant(monkeypatch, family: str, name: str, replacement):
    """Replace one layer of a network: `replacement(original class, *args, name=, **options)`."""

    class Layers:
        def __getattr__(self, kind):
            original = getattr(keras.layers, kind)

            def make(*args, **options):
                if options.get("name") == name:
                    return replacement(original, *args, **options)
                return original(*args, **options)

            return make

    monkeypatch.setattr(f"keras_blitz.models.{family}.layers", Layers())


class NanConv(keras.layers.Conv2D):
    def call(self, inputs):
        outputs = super().call(inputs)
        return tf.where(tf.range(tf.shape(outputs)[-1]) == 2, tf.cast(float("nan"), outputs.dtype), outputs)


class ZeroBiasGradient(keras.layers.Dense):
    def call(self, inputs):
        return tf.matmul(inputs, self.kernel) + tf.stop_gradient(self.bias) + 0 * self.bias


class StoppedBias(keras.layers.Dense):
    def call(self, inputs):
        return tf.matmul(inputs, self.kernel) + tf.stop_gradient(self.bias)


class TiedGradientSign(keras.layers.Dense):
    def call(self, inputs):
        return tf.matmul(inputs, self.kernel) - self.bias + 2 * tf.stop_gradient(self.bias)


def transposed_square_kernel(monkeypatch):
    monkeypatch.setitem(layout.PARAMETERS["Conv2D"], "kernel", ("weight", Layout((3, 2, 1, 0))))


def swapped_flatten_order(monkeypatch):
    monkeypatch.setattr(layout, "dense_kernel", lambda sizes: Layout((1, 0)))


def dropped_relu(monkeypatch):
    plant(monkeypatch, "lenet", "relu1", lambda _, **options: keras.layers.Identity(**options))


def nan_on_one_side(monkeypatch):
    plant(monkeypatch, "lenet", "conv2", lambda _, *args, **options: NanConv(*args, **options))


def removed_parameter(monkeypatch):
    plant(monkeypatch, "lenet", "conv2", lambda kind, *args, **options: kind(*args, use_bias=False, **options))


def zeroed_gradient(monkeypatch):
    plant(monkeypatch, "lenet", "fc2", lambda _, *args, **options: ZeroBiasGradient(*args, **options))


def absent_gradient(monkeypatch):
    plant(monkeypatch, "lenet", "fc2", lambda _, *args, **options: StoppedBias(*args, **options))


def flipped_gradient(monkeypatch):
    plant(monkeypatch, "lenet", "fc2", lambda _, *args, **options: TiedGradientSign(*args, **options))


def halved_upstream_gradient(monkeypatch):
    class Halved(keras.layers.ReLU):
        def call(self, inputs):
            outputs = super().call(inputs)
            return outputs * 0.5 + tf.stop_gradient(outputs * 0.5)

    plant(monkeypatch, "lenet", "relu3", lambda _, **options: Halved(**options))


def shifted_label(monkeypatch):
    record = KerasRecorder.record

    def shifted(self, state, inputs, target, *rest):
        return record(self, state, inputs, (target + 1) % 10, *rest)

    monkeypatch.setattr(KerasRecorder, "record", shifted)


def sum_for_mean(monkeypatch):
    class Summed(keras.losses.SparseCategoricalCrossentropy):
        def __init__(self, **options):
            super().__init__(reduction="sum", **options)

    monkeypatch.setattr(keras.losses, "SparseCategoricalCrossentropy", Summed)


def wrong_rate(monkeypatch):
    original = keras.optimizers.SGD
    monkeypatch.setattr(keras.optimizers, "SGD", lambda rate, **options: original(rate * (1 + 1e-9), **options))


def eps_hat(monkeypatch):
    """Adam as its paper abbreviates it, and Keras has it: eps added before the bias correction."""

    def update(self, p, g, slots, options):
        m, v, (beta1, beta2) = slots["exp_avg"], slots["exp_avg_sq"], options["betas"]
        m.assign(beta1 * m + (1 - beta1) * g)
        v.assign(beta2 * v + (1 - beta2) * g * g)
        rate = options["lr"] * tf.sqrt(1 - beta2 ** options["step"]) / (1 - beta1 ** options["step"])
        p.assign_sub(rate * m / (tf.sqrt(v) + options["eps"]))

    monkeypatch.setattr(optim.Adam, "_update", update)


def velocity_holds_the_rate(monkeypatch):
    """Keras's velocity: the same while the rate stays, another once it changes."""

    def update(self, p, g, slots, options):
        slots["momentum_buffer"].assign(options["momentum"] * slots["momentum_buffer"] - options["lr"] * g)
        p.assign_add(slots["momentum_buffer"])

    monkeypatch.setattr(optim.SGD, "_update", update)


def clipped_apart(monkeypatch):
    """Each gradient clipped by its own norm, as Keras's `clipnorm` does, not all by their common one."""

    def clip(gradients, max_norm):
        return [tf.clip_by_norm(gradient, max_norm) for gradient in gradients], None

    monkeypatch.setattr(optim, "clip_grad_norm_", clip)


MISTAKES = [
    (transposed_square_kernel, "lenet", "activation:conv1", "of its scale"),
    (swapped_flatten_order, "lenet", "activation:fc1", "of its scale"),
    (dropped_relu, "lenet", "activation:conv2", "of its scale"),
    (nan_on_one_side, "lenet", "activation:conv2", "NaN or infinite on one side only"),
    (removed_parameter, "lenet", "param:conv2.bias", "missing in the port"),
    (zeroed_gradient, "lenet", "grad:fc2.bias", "differs by 1.0e+00 of its scale"),
    (absent_gradient, "lenet", "grad:fc2.bias", "the port has an absent gradient (None)"),
    (flipped_gradient, "lenet", "grad:fc2.bias", "differs by 2.0e+00 of its scale"),
    (halved_upstream_gradient, "lenet", "grad:fc1.bias", "differs by 5.0e-01 of its scale"),
    (shifted_label, "cifar", "loss", "of its scale"),
    (sum_for_mean, "cifar", "loss", "of its scale"),
    (wrong_rate, "lenet", "step1:param", "of its scale"),
]


@pytest.mark.parametrize(
    ("mistake", "subject", "name", "problem"), MISTAKES, ids=[mistake.__name__ for mistake, *_ in MISTAKES]
)
def test_mistake_fails_at_the_right_tensor(monkeypatch, mistake, subject, name, problem):
    mistake(monkeypatch)
    case = f"{subject}-float64-eager"
    shown = CliRunner().invoke(app, ["show", case, "--golden"])
    assert shown.exit_code == 1
    assert f"first divergence at {name}" in shown.output
    lines = [line for line in shown.output.splitlines() if line.startswith(name) and "FAIL" in line]
    assert lines
    assert problem in lines[0]


@pytest.mark.parametrize(
    ("mistake", "subject", "names"),
    [
        (eps_hat, "adam-functions", ["step1:param"]),
        (velocity_holds_the_rate, "sgd-momentum-functions", ["step1:slot:momentum_buffer"]),
        (clipped_apart, "sgd-momentum-clip-norm-functions", ["step1:param", "step1:slot:momentum_buffer"]),
    ],
    ids=["eps-hat", "velocity", "clipnorm"],
)  # fmt: skip
def test_mistake_in_an_optimizer_shows_at_the_first_step(monkeypatch, mistake, subject, names):
    mistake(monkeypatch)
    (result,) = run(select([f"{subject}-changed-float64-graph"]), live=False)
    found = [row.name for row in result.comparison.failures if row.name.startswith("step1:")]
    assert found
    assert {name.rpartition(":")[0] for name in found} <= set(names)
    assert not [row for row in result.comparison.failures if row.kind in ("gradient", "activation", "output")]


@pytest.mark.torch
def test_isolation_names_the_layer_that_is_wrong_by_itself(monkeypatch):
    """In the run every layer from conv2 on differs; given PyTorch's input, conv2 alone does."""

    class Scaled(keras.layers.Conv2D):
        def call(self, inputs):
            return 1.01 * super().call(inputs)

    plant(monkeypatch, "lenet", "conv2", lambda _, *args, **options: Scaled(*args, **options))
    (result,) = run(select(["lenet-float64-eager"]), live=True)
    differing = {row.name for row in result.comparison.failures}
    assert {"activation:conv2", "activation:fc1", "activation:fc2", "activation:fc3"} <= differing
    shown = CliRunner().invoke(app, ["show", "lenet-float64-eager", "--isolate"])
    assert shown.exit_code == 1
    assert "wrong by themselves: conv2\n" in shown.output


@pytest.mark.torch
def test_isolation_looks_elsewhere_where_each_layer_is_right(monkeypatch):
    dropped_relu(monkeypatch)
    shown = CliRunner().invoke(app, ["show", "lenet-float64-eager", "--isolate"])
    assert shown.exit_code == 1
    assert "each layer is right by itself: look between them" in shown.output


@pytest.mark.torch
@pytest.mark.parametrize("case", ["lenet-float64-eager", "mlp-float64-graph", "resnet18-train-float64-graph"])
def test_isolation_of_the_unmutated_port_finds_each_layer_right(case):
    shown = CliRunner().invoke(app, ["show", case, "--isolate"])
    assert shown.exit_code == 0
    assert "layers is right by itself" in shown.output


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_mistake_is_seen_in_compiled_modes(monkeypatch, mode):
    zeroed_gradient(monkeypatch)
    (result,) = run(select([f"lenet-float64-{mode}"]), live=False)
    assert not result.passed
    assert "grad:fc2.bias" in [row.name for row in result.comparison.failures]


# wrong_rate is off by 1e-9, which float32 cannot hold: why float64 is compared at all.
@pytest.mark.parametrize("mistake", [mistake for mistake, *_ in MISTAKES if mistake is not wrong_rate])
def test_mistake_is_seen_in_float32(monkeypatch, mistake):
    mistake(monkeypatch)
    subject = next(subject for planted, subject, *_ in MISTAKES if planted is mistake)
    (result,) = run(select([f"{subject}-float32-eager"]), live=False)
    assert not result.passed


def test_small_float32_inaccuracy_is_seen(monkeypatch):
    """A negative control for the ratio rule: a convolution with half the mantissa (as TF32 has) does not pass."""

    class Coarse(keras.layers.Conv2D):
        def call(self, inputs):
            rounded = tf.cast(tf.cast(inputs, "float16"), inputs.dtype)
            return super().call(rounded)

    plant(monkeypatch, "lenet", "conv2", lambda _, *args, **options: Coarse(*args, **options))
    (result,) = run(select(["lenet-float32-eager"]), live=False)
    assert "activation:conv2" in [row.name for row in result.comparison.failures]


def test_the_unmutated_port_passes():
    results = list(run(select(["lenet-float64-eager", "cifar-float64-eager"]), live=False))
    assert [result.passed for result in results] == [True, True]


def test_run_counts_and_names_the_failure(monkeypatch):
    dropped_relu(monkeypatch)
    done = CliRunner().invoke(app, ["run", "lenet-float64-eager", "cifar-float64-eager", "--golden"])
    assert done.exit_code == 1
    assert "1 of 2 cases passed" in done.output
    assert "lenet-float64-eager: first divergence at activation:conv2" in done.output


def test_a_port_that_raises_fails_alone(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("out of paper\nand more")

    plant(monkeypatch, "lenet", "conv2", broken)
    done = CliRunner().invoke(app, ["run", "lenet-float64-eager", "cifar-float64-eager", "--golden"])
    assert done.exit_code == 1
    assert "lenet-float64-eager: RuntimeError: out of paper" in done.output
    assert "and more" not in done.output
    assert "1 of 2 cases passed" in done.output
