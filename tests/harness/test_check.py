"""`parity.check` on pairs of models as users write them, Keras's layers under Keras's own names."""

import re
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_blitz
import parity
from keras_blitz import optim
from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison, Row
from parity.core.verdict import Verdict
from parity.pair import equivalence
from parity.pytest_plugin import Door

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn
from parity.faults.door import layers as door  # noqa: E402
from parity.faults.door.handed import configured, keras_model, rebuilt, replaced  # noqa: E402
from parity.faults.door.images import SeparableKeras  # noqa: E402
from parity.faults.door.pairs import handed  # noqa: E402
from parity.faults.door.plain import cross_entropy, numbers, two_heads  # noqa: E402
from parity.faults.door.sequences import tokens  # noqa: E402

pytest_plugins = "pytester"


# The pair, one mistake in it, what the report must say of it
PAIRS: dict[str, tuple] = {
    "text": (door.text_with(recurrent_activation="hard_sigmoid"), ["at activation:lstm:", "is in this layer"]),
    "conv1d": (configured("norm", epsilon=1e-3), ["at activation:bn1:", "looks like bn-eps-default"]),
    "instance-norm": (configured("group", epsilon=1e-3), ["at activation:norm:", "looks like groupnorm"]),
    "unet": (
        rebuilt({"crop": door.nothing, "right": door.SAME}), ["at activation:up:", "looks like convtranspose-same"]
    ),
    "separable": (
        keras_model(lambda _: SeparableKeras("valid", 1)), ["at activation:pool:", "looks like maxpool-ceil-mode"]
    ),
    "two-heads": (
        configured("facts_dense", activation="sigmoid"),
        ["at activation:label:", "differs already", "look between activation:facts and it"],
    ),
    "across": (replaced("key", lambda _: layers.Rescaling(1.1)), ["at activation:attention:"]),
    "transformer": (
        replaced("gelu", door.tanh_gelu), ["at activation:mlp.1:", "PyTorch's is gelu (erf)", "gelu (tanh)"]
    ),
}  # fmt: skip


def models(name: str, mistake: bool = False):
    change, says = PAIRS[name]
    given = handed(name)
    given = change(given) if mistake else given
    return given.module, given.model, given.inputs, says


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_passes_in_both_precisions(name):
    module, model, given, _ = models(name)
    report = parity.check(module, model, given)
    assert report.passed, str(report)
    assert list(report.comparisons) == ["float64", "float32"]
    names = {row.name for row in report.comparisons["float64"].rows}
    assert {f"grad:{name}" for name, _ in module.named_parameters()} <= names
    assert report.first_divergence is None


@pytest.mark.parametrize("name", PAIRS)
def test_a_mistake_is_caught_and_located(name):
    module, model, given, says = models(name, mistake=True)
    with pytest.raises(AssertionError) as caught:
        parity.assert_equivalent(module, model, given)
    assert [part for part in says if part not in str(caught.value)] == [], str(caught.value)


def test_a_model_can_be_compared_compiled_too():
    """A mistake that eager mode does not make is seen in the graph alone, and said to be there."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.fc = layers.Dense(2)

        def call(self, x):
            return self.fc(x) * (1.0 if tf.executing_eagerly() else 2.0)

    module, given = nn.Sequential(nn.Linear(3, 2)), numbers(4, 3)
    right = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    report = parity.check(module, right, given, modes=("eager", "graph"))
    assert report.passed, str(report)
    assert list(report.comparisons) == ["float64", "float32", "float64-graph", "float32-graph"]
    cases = [(case["dtype"], case["mode"]) for case in report.to_dict()["cases"]]
    assert cases == [("float64", "eager"), ("float32", "eager"), ("float64", "graph"), ("float32", "graph")]
    assert parity.check(module, Net(), given).passed
    report = parity.check(module, Net(), given, modes=("eager", "graph"))
    failed = [name for name, found in report.comparisons.items() if not found.passed]
    assert failed == ["float64-graph", "float32-graph"]
    assert report.first_divergence == "output"
    with pytest.raises(BlitzError, match="modes must be some of eager, graph, xla, not \\['fast'\\]"):
        parity.check(module, right, given, modes=["fast"])


def test_the_users_models_stay_as_they_are():
    module, model, given, _ = models("conv1d")
    before = {name: value.clone() for name, value in module.state_dict().items()}, model.get_weights()
    dtypes = {p.dtype for p in module.parameters()}
    parity.check(module, model, given, train=True, optimizer=(partial(torch.optim.SGD, lr=0.1), sgd()), steps=2)
    assert all(torch.equal(value, before[0][name]) for name, value in module.state_dict().items())
    assert all(map(np.array_equal, model.get_weights(), before[1]))
    assert module.training
    assert {p.dtype for p in module.parameters()} == dtypes
    assert not any(inner._forward_hooks for inner in module.modules())
    assert all("call" not in vars(layer) for layer in model.layers)


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate, momentum=0.9)


def plain_conv1d():
    """Without BatchNorm, whose running variance Keras cannot keep as PyTorch does."""
    given = handed("dropout-train")
    return given.module, given.model


@pytest.mark.covers("H4")
@pytest.mark.parametrize("rate", [0.1, 0.11])
def test_training_with_a_loss_an_optimizer_and_dropout(rate):
    module, model = plain_conv1d()
    report = parity.check(
        module, model, numbers(5, 3, 20), cross_entropy(), train=True, target=np.array([0, 3, 1, 2, 2]), steps=4,
        optimizer=(partial(torch.optim.SGD, lr=0.1, momentum=0.9), sgd(rate)),
    )  # fmt: skip
    assert report.passed is (rate == 0.1), str(report)
    assert any(row.name == "step4:param:0.weight" for row in report.comparisons["float64"].rows)
    if rate != 0.1:
        assert report.first_divergence.startswith("step1:param:")


def test_another_dropout_rate_is_seen_in_train_mode():
    module, model = plain_conv1d()
    module[5].p = 0.31
    assert parity.check(module, model, numbers(5, 3, 20), dtypes=["float64"]).passed
    report = parity.check(module, model, numbers(5, 3, 20), train=True, dtypes=["float64"])
    assert report.first_divergence == "activation:5"


def test_the_biased_running_variance_is_named():
    module, model, given, _ = models("conv1d")
    report = parity.check(module, model, given, train=True, dtypes=["float64"])
    assert report.first_divergence == "buffer:bn1.running_var"
    assert "looks like bn-unbiased-running-var" in str(report)


def test_a_dropout_that_pytorch_lacks_is_named_in_train_mode():
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    drop = layers.Dropout(0.5, name="drop")
    model = keras.Sequential([keras.Input((4,)), layers.Embedding(5, 3), drop, layers.Dense(2)])
    report = parity.check(module, model, tokens(2, 4) % 5, train=True)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert "drop: Keras draws random numbers in train mode that PyTorch's module does not draw" in str(report)


class Stacked(nn.Module):
    """Two layers, time first."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2)

    def forward(self, x):
        return self.lstm(x.transpose(0, 1))[0].transpose(0, 1)


@pytest.mark.parametrize("steps", [0, 1])
def test_two_biases_move_twice_as_far_as_their_sum(steps):
    model = keras.Sequential([keras.Input((6, 3)), *(layers.LSTM(4, return_sequences=True) for _ in range(2))])
    optimizer = (partial(torch.optim.SGD, lr=0.1), keras.optimizers.SGD(0.1)) if steps else None
    report = parity.check(Stacked(), model, numbers(5, 6, 3), optimizer=optimizer, steps=steps, dtypes=["float64"])
    wrong = {row.name for row in report.comparisons["float64"].failures}
    assert wrong == ({f"step1:param:lstm.bias_hh_l{k}" for k in (0, 1)} if steps else set()), str(report)
    assert not steps or "looks like lstm-map" in str(report)


def test_a_function_of_the_dtype_and_a_dict_of_inputs():
    module, _, (picture, facts), _ = models("two-heads")
    report = parity.check(module, lambda dtype: two_heads().model, {"facts": facts, "picture": picture})
    assert report.passed, str(report)
    assert "float64" in report.comparisons


def test_a_model_that_cannot_be_rebuilt_is_compared_in_float32_and_kept():
    class Own(keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x):
            return self.inner(x) * tf.ones(2)  # float32, whatever x is

    module, model = nn.Linear(3, 2), Own(layers.Dense(2))
    given = numbers(4, 3)
    before = model(given).numpy()
    report = parity.check(nn.Sequential(module), model, given)
    assert report.passed, str(report)
    assert list(report.comparisons) == ["float32"]
    assert report.unproven in str(report).splitlines()[1]
    assert "only float32 was compared: the Keras model could not be rebuilt in float64 (" in report.unproven
    np.testing.assert_array_equal(model(given).numpy(), before)
    report = parity.check(nn.Sequential(module), model, given, dtypes=["float64"])
    assert report.verdict is Verdict.NOT_DECIDED
    assert "the Keras model could not be rebuilt in float64 (" in report.undecided[0]


@pytest.mark.parametrize(("approximate", "agrees"), [(False, True), (True, False)])
def test_a_copy_holds_what_the_constructor_was_given(approximate, agrees):
    """Keras's default configuration of a subclassed model has the defaults instead: the mistake would be gone."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.g, self.b = nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3)

        def forward(self, x):
            return self.b(self.g(self.a(x)))

    class Port(keras.Model):
        def __init__(self, approximate=False):
            super().__init__()
            self.a, self.b, self.approximate = layers.Dense(8), layers.Dense(3), approximate

        def call(self, x):
            return self.b(keras.activations.gelu(self.a(x), approximate=self.approximate))

    report = parity.check(Block(), Port(approximate), numbers(5, 6))
    assert report.comparisons["float32"].passed is agrees
    assert report.comparisons["float64"].passed is agrees


def channels_first(epsilon=1e-5, **flatten):
    options = {"data_format": "channels_first"}
    inputs = keras.Input((3, 8, 12))
    x = layers.Conv2D(8, 3, padding="same", name="conv1", **options)(inputs)
    x = layers.BatchNormalization(axis=1, epsilon=epsilon, name="bn1")(x)
    x = layers.MaxPooling2D(2, **options)(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(5, name="fc")(layers.Flatten(**flatten)(x)))


def computes_channels_first():
    """Whether TensorFlow has convolutions of channels first here: on a CPU it needs oneDNN, and float32."""
    try:
        tf.nn.conv2d(tf.zeros((1, 1, 2, 2)), tf.zeros((1, 1, 1, 1)), 1, "SAME", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


def test_a_channels_first_model():
    if not computes_channels_first():
        with pytest.raises(BlitzError, match="TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported"):
            parity.check(nn.Conv2d(3, 8, 3, padding=1), channels_first(), numbers(2, 3, 8, 12))
        pytest.skip("TensorFlow has no convolutions of channels first on this CPU without TF_ENABLE_ONEDNN_OPTS=1")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1, self.fc = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(192, 5)

        def forward(self, x):
            x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 2)
            return self.fc(torch.flatten(x, 1))

    given = numbers(2, 3, 8, 12)
    report = parity.check(Net().eval(), channels_first(), given)
    assert report.passed, str(report)
    assert "grad:conv1.weight" in {row.name for row in report.comparisons["float32"].rows}
    assert "flattened" not in str(report)
    # This Flatten moves the channels last before it flattens.
    report = parity.check(Net().eval(), channels_first(data_format="channels_first"), given)
    assert report.passed, str(report)
    assert "fc: its input is flattened from (4, 6, 8), its weights permuted" in str(report)
    report = parity.check(Net().eval(), channels_first(epsilon=1e-3), given)
    assert report.first_divergence == "activation:bn1"
    assert "looks like bn-eps-default" in str(report)


def test_kept_weights_copied_by_hand_across_a_flatten():
    """From Keras into PyTorch: a kernel that is only transposed has its rows in the order H, W, C."""
    model = keras.Sequential([
        keras.Input((7, 6, 3)), layers.Conv2D(4, 3, name="0"), layers.Flatten(), layers.Dense(5, name="2"),
    ])  # fmt: skip
    module, given = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 5 * 4, 5)), numbers(2, 3, 7, 6)
    right = {name: torch.tensor(value) for name, value in keras_blitz.state_dict(model).items()}
    module.load_state_dict(right | {"2.weight": torch.tensor(model.get_weights()[2].T)})
    report = parity.check(module, model, given, weights="keep", dtypes=["float64"])
    assert report.first_divergence == "param:2.weight"
    assert "looks like flatten-order" in str(report)
    module.load_state_dict(right)
    assert parity.check(module, model, given, weights="keep", dtypes=["float64"]).passed


def test_weights_can_be_kept_and_then_differ():
    module = nn.Sequential(nn.Linear(3, 2))
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    given = numbers(4, 3)
    assert parity.check(module, model, given).passed
    assert parity.check(module, model, given, weights="keep").first_divergence == "param:0.weight"
    model.set_weights([module[0].weight.detach().numpy().T, module[0].bias.detach().numpy()])
    assert parity.check(module, model, given, weights="keep").passed


def test_weights_that_do_not_fit_are_listed_with_their_shapes():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2, use_bias=False, name="b")])
    with pytest.raises(BlitzError) as caught:
        parity.check(module, model, numbers(4, 3))
    assert "PyTorch has 1 (linear: weight (2, 4), bias (2,)); Keras has b (linear: weight (2, 4))" in str(caught.value)


def branches(order):
    """Two layers of one shape, which Keras calls in another order."""
    given = keras.Input((4,))
    made = {name: layers.Dense(4, name=name) for name in ("one", "two")}
    results = {name: made[name](given) for name in order}
    return keras.Model(given, results["one"] - 2 * results["two"])


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.first(x) - 2 * self.second(x)


def test_weights_can_be_paired_by_hand():
    given, module, model = numbers(3, 4), Branches(), branches(["one", "two"])
    assert parity.check(module, model, given, weights={"first": "one", "second": "two"}).passed
    assert not parity.check(module, model, given, weights={"first": "two"}).passed
    with pytest.raises(BlitzError, match="weights: 'third' names none of PyTorch's layers: first, second"):
        parity.check(module, model, given, weights={"third": "one"})


def test_a_permute_before_flatten_keeps_pytorchs_order():
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    model = keras.Sequential(
        [keras.Input((6, 7, 2)), layers.Conv2D(3, 3), layers.Permute((3, 1, 2)), layers.Flatten(), layers.Dense(2)]
    )
    report = parity.check(module, model, numbers(2, 2, 6, 7))
    assert report.passed, str(report)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"inputs": np.ones((2, 5), "float32")},
            r"the PyTorch module, given \(2, 5\), raises RuntimeError: mat1 and mat2",
        ),
        ({"inputs": (np.ones((2, 3)), np.ones(2))}, "the PyTorch module, .* raises TypeError"),
        ({"keras_model": keras.Input((3,))}, "keras_model must be a Keras model, or a function dtype -> model"),
        ({"torch_module": 3}, "torch_module must be a torch.nn.Module, not int"),
        ({"loss": nn.MSELoss()}, "loss must be a pair"),
        ({"steps": 2}, "steps need an optimizer"),
        ({"dtypes": ["half"]}, "dtypes must be some of float64, float32, mixed_bfloat16"),
        ({"weights": "guess"}, 'weights must be "auto", "keep"'),
        ({"inputs": np.array(["a"])}, "must be numbers"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message):
    usual = {
        "torch_module": nn.Sequential(nn.Linear(3, 2)), "inputs": numbers(4, 3),
        "keras_model": keras.Sequential([keras.Input((3,)), layers.Dense(2)]),
    }  # fmt: skip
    with pytest.raises(BlitzError, match=message) as caught:
        parity.check(**(usual | arguments))
    assert "\n" not in str(caught.value)


def test_an_input_of_another_shape_names_both():
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(
        BlitzError, match=r"input is \(2, 1, 9, 8\) in PyTorch; the Keras model takes \(None, 8, 8, 1\)"
    ):
        parity.check(nn.Sequential(nn.Conv2d(1, 2, 3)), model, numbers(2, 1, 9, 8))


def test_the_report_as_page_and_dictionary(tmp_path):
    module, model, given, _ = models("conv1d", mistake=True)
    report = parity.check(module, model, given, dtypes=["float64"])
    report.write_html(tmp_path / "report.html")
    assert "activation:bn1" in (tmp_path / "report.html").read_text(encoding="utf-8")
    document = report.to_dict()
    assert document["cases"][0]["first_divergence"] == report.first_divergence == "activation:bn1"
    assert document["summary"]["failed"] == 1
    assert ["conv1", "first", "flow"] in document["weights"]


@pytest.mark.covers("H13")
def test_the_fixture_fails_a_test_with_the_report_and_writes_the_page(pytester, request):
    pytester.makepyfile(
        """
        import keras, numpy, torch

        def models(eps):
            model = keras.Sequential([keras.Input((3,)), keras.layers.LayerNormalization(epsilon=eps)])
            return torch.nn.Sequential(torch.nn.LayerNorm(3)), model, numpy.random.randn(4, 3)

        def test_right(parity):
            parity.assert_equivalent(*models(1e-5))

        def test_wrong(parity):
            parity.assert_equivalent(*models(1e-3))
        """
    )
    plugin = [] if request.config.pluginmanager.hasplugin("parity") else ["-p", "parity.pytest_plugin"]
    done = pytester.runpytest_inprocess(*plugin, "--parity-html", "parity.html", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*NOT equivalent*", "*looks like layernorm-eps*", "*parity: 2 reports in parity.html*"])
    assert "test_wrong" in (pytester.path / "parity.html").read_text(encoding="utf-8")


FAKED = """
    import pytest
    from parity.core.compare import Comparison, Row
    from parity.pair.equivalence import Report

    @pytest.fixture(autouse=True)
    def faked(monkeypatch):
        def check(passed=True):
            found = {"float64": Comparison((Row("output", 3, passed, 0.0, 0.0, 1e-12),))}
            return Report("one and other", found, [], [], None, 0.1)

        monkeypatch.setattr("parity.check", check)
    """


def run_faked(pytester, request, tests, *arguments):
    """Run tests of the fixture whose check is replaced by one that takes no time."""
    pytester.makepyfile(FAKED + tests)
    plugin = [] if request.config.pluginmanager.hasplugin("parity") else ["-p", "parity.pytest_plugin"]
    return pytester.runpytest_inprocess(*plugin, "-p", "no:cacheprovider", *arguments)


def test_the_fixture_can_be_called_and_has_the_rest_of_the_package(monkeypatch):
    passed = {"float64": Comparison((Row("output", 3, True, 0.0, 0.0, 1e-12),))}
    failed = {"float64": Comparison((Row("output", 3, False, 0.0, 0.0, 1e-12),))}
    monkeypatch.setattr("parity.check", lambda found: equivalence.Report("a pair", found, [], [], None, 0.1))
    reports = []
    fixture = Door("test_it", reports)
    fixture(passed)
    with pytest.raises(pytest.fail.Exception, match="a pair: NOT equivalent"):
        fixture(failed)
    assert [name for name, _ in reports] == ["test_it", "test_it (2)"]
    assert fixture.transfer is parity.transfer
    with pytest.raises(AttributeError, match="no attribute 'equivalent'"):
        fixture.equivalent  # noqa: B018


def test_a_page_without_a_folder_is_refused_before_the_tests(pytester, request):
    done = run_faked(pytester, request, "\n    def test_it(parity): parity()", "--parity-html", "no/where.html")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: --parity-html no/where.html: the folder no does not exist*"])
    done.stdout.no_fnmatch_line("*passed*")


def test_a_page_that_cannot_be_written_in_the_end_leaves_the_summary(pytester, request):
    (pytester.path / "there").mkdir()
    tests = """
    def test_it(parity):
        import shutil
        parity()
        shutil.rmtree("there")
    """
    done = run_faked(pytester, request, tests, "--parity-html", "there/p.html")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stdout.fnmatch_lines(["parity: there/p.html: the folder there does not exist*", "*1 passed*"])


def test_the_page_has_the_reports_of_all_processes(pytester, request):
    pytester.makepyfile(
        """
        import pytest
        from parity.core.compare import Comparison, Row
        from parity.pair.equivalence import Report

        @pytest.mark.parametrize("number", range(4))
        def test_pair(parity, monkeypatch, number):
            found = {"float64": Comparison((Row("output", 3, True, 0.0, 0.0, 1e-12),))}
            report = Report("one and other", found, [("conv1", "conv", "name")], [f"note {number}"], None, 0.1)
            monkeypatch.setattr("parity.check", lambda: report)
            parity.check()
            parity.check()
        """
    )
    plugin = [] if request.config.pluginmanager.hasplugin("parity") else ["-p", "parity.pytest_plugin"]
    done = pytester.runpytest_inprocess(
        *plugin, "--parity-html", "p.html", "-p", "no:cacheprovider", "-p", "xdist", "-n2"
    )
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["*parity: 8 reports in p.html*"])
    page = (pytester.path / "p.html").read_text(encoding="utf-8")
    assert "8 of 8 cases passed" in page
    assert [
        n for n in range(4) if f"test_pair[{n}] (2): one and other, float64" not in page or f"note {n}" not in page
    ] == []


def test_the_readmes_example_prints_what_it_says():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code, said = re.search(
        r"## Check your own port\n.*?```python\n(.*?)```.*?```\n(.*?)```", readme, flags=re.S
    ).groups()
    torch.manual_seed(0)
    keras.utils.clear_session()  # which counts the layers' names from the start
    with redirect_stdout(StringIO()) as printed:
        exec(compile(code, "README.md", "exec"), {})

    def words(text):
        return [re.sub(r"-?\d+(\.\d+)?(e-?\d+)?", "n", line).split() for line in text.strip().splitlines()]

    assert words(printed.getvalue()) == words(said), printed.getvalue()
    assert len(code.splitlines()) < 10


def pictures():
    """A convolution and a linear layer after a flatten."""
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    model = keras.Sequential(
        [keras.Input((6, 7, 1)), layers.Conv2D(3, 3, activation="tanh"), layers.Flatten(), layers.Dense(2)]
    )
    return module, model, numbers(3, 1, 6, 7)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.fc = nn.MultiheadAttention(8, 2, bias=False, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.attention(x, x, x, need_weights=False)[0])


def attending():
    """PyTorch's in_proj_weight is three variables in Keras."""
    x = keras.Input((5, 8))
    model = keras.Model(x, layers.Dense(3)(layers.MultiHeadAttention(2, 4, use_bias=False)(x, x)))
    return Attending(), model, numbers(2, 5, 8)


# The models, the optimizers, their slots by PyTorch's names, options that are wrong, where that is first seen
OWN_OPTIMIZERS = {
    "sgd": (
        pictures, partial(torch.optim.SGD, lr=0.01, momentum=0.9), partial(optim.SGD, lr=0.01, momentum=0.9),
        ["momentum_buffer"], {"momentum": 0.8}, "step2:slot:momentum_buffer:",
    ),
    "adam": (
        attending, partial(torch.optim.Adam, lr=0.01), partial(optim.Adam, lr=0.01), ["exp_avg", "exp_avg_sq", "step"],
        {"betas": (0.8, 0.999)}, "step1:slot:exp_avg:",  # the first step has a bias correction, and is the same
    ),
}  # fmt: skip


@pytest.mark.parametrize("given", ["instance", "function"])
@pytest.mark.parametrize("name", OWN_OPTIMIZERS)
def test_the_slots_of_an_optimizer_of_keras_blitz_are_compared(name, given):
    models, theirs, ours, keys, _, _ = OWN_OPTIMIZERS[name]
    module, model, inputs = models()
    report = parity.check(
        module, model, inputs, optimizer=(theirs, ours() if given == "instance" else ours), steps=3
    )  # fmt: skip
    assert report.passed, str(report)
    expected = {
        f"step{step}:slot:{key}:{path}" for step in (1, 2, 3) for key in keys for path, _ in module.named_parameters()
    }
    for comparison in report.comparisons.values():
        assert {row.name for row in comparison.rows if ":slot:" in row.name} == expected


@pytest.mark.parametrize("name", OWN_OPTIMIZERS)
def test_a_wrong_option_of_an_optimizer_of_keras_blitz_is_seen_in_its_slots(name):
    models, theirs, ours, _, wrong, first = OWN_OPTIMIZERS[name]
    report = parity.check(*models(), optimizer=(theirs, partial(ours, **wrong)), steps=3, dtypes=["float64"])
    assert not report.passed
    assert report.first_divergence.startswith(first), str(report)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(9, 4)
        self.out = nn.Linear(4, 9, bias=False)
        self.out.weight = self.tokens.weight

    def forward(self, text):
        return self.out(self.tokens(text))


class TiedKeras(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens = layers.Embedding(9, 4)

    def call(self, text):
        return ops.matmul(self.tokens(text), ops.transpose(self.tokens.embeddings))


def test_a_tied_weight_is_one():
    report = parity.check(Tied(), TiedKeras(), tokens(2, 5) % 9)
    assert report.passed, str(report)
    assert [path for path, _, _ in report.weights] == ["tokens"]
