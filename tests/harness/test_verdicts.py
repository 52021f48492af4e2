"""Three verdicts: what agrees is equivalent only where the agreement proves something; right and wrong side by side."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from parity.core.compare import Comparison, Row
from parity.core.difference import Difference
from parity.core.trace import Trace
from parity.core.vacuous import Content
from parity.core.verdict import Verdict, worst
from parity.pair import reduced
from parity.pair.equivalence import Report
from parity.pair.reference import Reference
from parity.report import html
from parity.report.json import joined

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn
pytest_plugins = "pytester"

X = np.random.RandomState(0).randn(4, 5).astype("float32")
ONE_NAN = np.where(np.arange(4)[:, None] == 1, np.nan, X)  # one example of four
EQUIVALENT, NOT_EQUIVALENT, NOT_DECIDED = Verdict


def sequential(*stack, inputs=(5,)):
    return keras.Sequential([keras.Input(inputs), *stack])


TOKENS = np.random.RandomState(0).randint(1, 9, (4, 6))


class Bag(nn.Module):
    """Embedded tokens, added up, through a layer whose units may all be dead."""

    def __init__(self, bias=0.0):
        super().__init__()
        self.embedding, self.fc1, self.fc2 = nn.Embedding(9, 5), nn.Linear(5, 6), nn.Linear(6, 3)
        self.fc1.bias.data.fill_(bias)

    def forward(self, tokens):
        return self.fc2(torch.relu(self.fc1(self.embedding(tokens).sum(1))))


def bag_port(factor=1.0):
    tokens = keras.Input((6,), dtype="int64")
    summed = layers.Lambda(lambda x: ops.sum(x, 1))(layers.Embedding(9, 5, name="embedding")(tokens))
    x = layers.Rescaling(factor)(layers.Dense(6, "relu", name="fc1")(summed))
    return keras.Model(tokens, layers.Dense(3, name="fc2")(x))


def relu_net(bias=None):
    net = nn.Sequential(nn.Linear(5, 3), nn.ReLU())
    if bias is not None:
        net[0].bias.data.fill_(bias)
    return net


def relu_port(*more, activation=layers.ReLU):
    return sequential(layers.Dense(3), activation(), *more)


def hidden(bias=None):
    """A network whose hidden units are all dead where the bias is far below zero."""
    net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    if bias is not None:
        net[0].bias.data.fill_(bias)
    return net


def hidden_port(factor=1.0):
    return sequential(layers.Dense(6), layers.ReLU(), layers.Rescaling(factor), layers.Dense(3))


def hinge(output, target):
    return torch.relu(output - target).sum()


def keras_hinge(target, output):
    return ops.sum(ops.relu(output - target))


def cubed_hinge(target, output):
    return ops.sum(ops.relu(output - target) ** 3)


FAR, NEAR = np.full((4, 3), 1e3, "float32"), np.zeros((4, 3), "float32")


# What the inputs or the weights make of a right and of a wrong port: neither can be told from the other.
@pytest.mark.parametrize(
    ("net", "right", "wrong", "inputs", "options", "reason"),
    [
        (relu_net, relu_port, lambda: relu_port(activation=layers.ELU), X * np.nan, {"loss": False}, "check the data"),
        (relu_net, relu_port, lambda: relu_port(activation=layers.ELU), X[:0], {}, "give a batch with examples"),
        (relu_net, relu_port, lambda: relu_port(activation=layers.ELU), X[:0], {"loss": False}, "input has no values"),
        (
            lambda: nn.Linear(5, 3, bias=False), lambda: sequential(layers.Dense(3, use_bias=False)),
            lambda: sequential(layers.Dense(3, use_bias=False), layers.Rescaling(7.0)), X * 0, {"loss": False},
            "input is zero; give random inputs",
        ),
        (
            lambda: nn.Sequential(nn.Linear(5, 3)), lambda: sequential(layers.Dense(3)),
            lambda: sequential(layers.Rescaling(7.0), layers.Dense(3)), X * 0, {"loss": False}, "input is zero",
        ),
        (lambda: relu_net(-1e3), relu_port, lambda: relu_port(layers.Rescaling(3.0)), X, {}, "check the weights"),
        (lambda: hidden(-1e3), hidden_port, lambda: hidden_port(3.0), X, {}, "the same for every example"),
        (
            lambda: hidden(-1e3), hidden_port, lambda: hidden_port(3.0), X, {"loss": False},
            "the same for every example",
        ),
        (lambda: Bag(-1e3), bag_port, lambda: bag_port(3.0), TOKENS, {}, "the same for every example"),
    ],
    ids=[
        "nan", "empty", "empty-forward", "zeros-no-bias", "zeros-with-bias", "dead", "dead-hidden",
        "dead-hidden-forward", "dead-tokens",
    ],
)  # fmt: skip
def test_agreement_that_proves_nothing_is_not_decided(net, right, wrong, inputs, options, reason):
    torch.manual_seed(0)
    reference = net()
    for port in (right(), wrong()):
        report = parity.check(reference, port, inputs, **options)
        assert report.verdict is NOT_DECIDED, report
        assert any(reason in line for line in report.undecided), report.undecided
        assert not report
        assert not report.passed


@pytest.mark.parametrize(
    ("net", "right", "wrong", "inputs", "options"),
    [
        (relu_net, relu_port, lambda: relu_port(activation=layers.ELU), X, {}),
        (relu_net, relu_port, lambda: relu_port(activation=layers.ELU), X, {"loss": False}),
        (relu_net, relu_port, lambda: relu_port(activation=layers.ELU), ONE_NAN, {"loss": False}),
        (Bag, bag_port, lambda: bag_port(3.0), TOKENS, {}),
        (Bag, bag_port, lambda: bag_port(3.0), TOKENS[:1] * 0, {"loss": False}),
    ],
    ids=["gradients", "forward", "one-example-nan", "tokens", "token-zero"],
)
def test_the_same_ports_on_inputs_that_tell(net, right, wrong, inputs, options):
    torch.manual_seed(0)
    net = net()
    report = parity.check(net, right(), inputs, **options)
    assert report.verdict is EQUIVALENT, report
    assert report
    assert parity.check(net, wrong(), inputs, **options).verdict is NOT_EQUIVALENT


def test_a_loss_without_a_gradient_is_not_decided_and_with_one_it_is():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 3))
    for loss in (keras_hinge, cubed_hinge):
        report = parity.check(net, sequential(layers.Dense(3)), X, loss=(hinge, loss), target=FAR)
        assert report.verdict is NOT_DECIDED
        assert "the gradient of every parameter is zero" in report.undecided[0]
    for loss, verdict in ((keras_hinge, EQUIVALENT), (cubed_hinge, NOT_EQUIVALENT)):
        assert parity.check(net, sequential(layers.Dense(3)), X, loss=(hinge, loss), target=NEAR).verdict is verdict


def test_losses_that_return_none_are_not_decided():
    nothing = (lambda output, target: None, lambda target, output: None)
    report = parity.check(relu_net(), relu_port(), X, loss=nothing, target=NEAR)
    assert report.verdict is NOT_DECIDED
    assert "returned None" in report.undecided[0]


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_steps_that_move_nothing_are_not_decided(rate):
    """A wrong optimizer, Adam for SGD, shows only with a learning rate."""
    torch.manual_seed(0)
    net = relu_net()

    def check(optimizer):
        pair = (lambda parameters: torch.optim.SGD(parameters, lr=rate), optimizer)
        return parity.check(net, relu_port(), X, optimizer=pair, steps=2)

    right, wrong = check(keras.optimizers.SGD(rate)), check(keras.optimizers.Adam(rate))
    if rate:
        assert (right.verdict, wrong.verdict) == (EQUIVALENT, NOT_EQUIVALENT)
    else:
        assert (right.verdict, wrong.verdict) == (NOT_DECIDED, NOT_DECIDED)
        assert "learning rate above 0" in right.undecided[0]


class Auxiliary(nn.Module):
    """A second output, a loss that is zero in eval mode."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y = self.fc(x)
        return y, y.sum() * 0.0


def auxiliary_port(activation=None):
    x = keras.Input((5,))
    y = layers.Dense(3, activation)(x)
    return keras.Model(x, [y, layers.Lambda(lambda value: ops.sum(value) * 0.0)(y)])


class Classes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        return self.fc(x).argmax(-1)


def classes_port(choose=ops.argmax):
    x = keras.Input((5,))
    return keras.Model(x, layers.Lambda(lambda y: ops.cast(choose(y, -1), "int64"))(layers.Dense(3)(x)))


def zero_head():
    net = hidden()
    nn.init.zeros_(net[2].weight)
    nn.init.zeros_(net[2].bias)
    return net


def zero_gamma():
    net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    nn.init.zeros_(net[1].weight)
    return net


def some_dead():
    net = hidden()
    net[0].bias.data[:4] = -1e3
    return net


def frozen():
    return hidden().requires_grad_(False)


def frozen_port():
    port = hidden_port()
    port.trainable = False
    return port


# Zeros and constants that a right port has on sensible inputs; the wrong port beside each is found all the same.
@pytest.mark.parametrize(
    ("net", "right", "wrong"),
    [
        (zero_head, hidden_port, lambda: hidden_port(3.0)),
        (
            zero_gamma,
            lambda: sequential(layers.Dense(6), layers.BatchNormalization(epsilon=1e-5), layers.Dense(3)),
            lambda: sequential(layers.Dense(6), layers.BatchNormalization(epsilon=1e-3), layers.Dense(3)),
        ),
        (some_dead, hidden_port, lambda: hidden_port(3.0)),
        (frozen, frozen_port, lambda: hidden_port(3.0)),
        (Auxiliary, auxiliary_port, lambda: auxiliary_port("tanh")),
        (Classes, classes_port, lambda: classes_port(ops.argmin)),
        (lambda: nn.Sequential(nn.ReLU()), lambda: sequential(layers.ReLU()), lambda: sequential(layers.ELU())),
        (lambda: nn.Linear(5, 1), lambda: sequential(layers.Dense(1)), lambda: sequential(layers.Dense(1, "tanh"))),
    ],
    ids=["zero-head", "zero-gamma", "some-dead", "frozen", "auxiliary", "argmax", "no-weights", "one-value"],
)
def test_zeros_that_a_right_port_has_are_decided(net, right, wrong):
    torch.manual_seed(0)
    reference = net().eval()
    report = parity.check(reference, right(), X)
    assert report.verdict is EQUIVALENT, report
    assert parity.check(reference, wrong(), X).verdict is NOT_EQUIVALENT


def test_weak_evidence_is_in_every_form_of_the_report(tmp_path):
    torch.manual_seed(0)
    report = parity.check(zero_head(), hidden_port(), X)
    lines = str(report).splitlines()
    weak = [number for number, line in enumerate(lines) if "weak evidence, " in line]
    names = {row.name for row in report.comparisons["float64"].rows if any("all zero" in w for w in row.warnings)}
    assert [lines[number].strip() for number in weak if "all zero" in lines[number]] == [
        f"weak evidence, {len(names)} tensors: all zero: a lost factor or a dead ReLU would not be seen "
        "(first: param:2.weight)"
    ]
    begins = [next(n for n, line in enumerate(lines) if word in line) for word in ("float64:", "weights:", "no loss")]
    assert begins[0] < begins[1] < weak[0] <= weak[-1] < begins[2]
    document = report.to_dict()
    assert any("warnings" in row for case in document["cases"] for row in case["tensors"])
    report.write_html(tmp_path / "page.html")
    assert "Weak evidence" in (tmp_path / "page.html").read_text(encoding="utf-8")


ROW = Row("output", 3, True, 0.0, 0.0, 1e-12)
WRONG = replace(ROW, passed=False, problem="differs")


def made(*rows, undecided=()):
    found = {"float64": Comparison(tuple(rows))} if rows else {}
    return Report("Net and Keras's net", found, [("fc", "fc", "name")], ["a note"], None, 0.1, undecided=undecided)


def test_of_many_pairs_those_of_one_name_are_a_count():
    pairs = [(f"conv{n}", f"conv{n}", "flow") for n in range(9)]

    def line(weights):
        (found,) = [line for line in str(replace(made(ROW), weights=weights)).splitlines() if "weights:" in line]
        return found.strip()

    assert line(pairs) == "weights: 9 modules and layers of the same names"
    assert line([*pairs, ("0", "dense", "flow")]).endswith(
        "9 modules and layers of the same names; 1 other: 0 = dense (flow)"
    )
    assert line(pairs[:8]) == "weights: " + ", ".join(name for name, _, _ in pairs[:8])
    assert len(replace(made(ROW), weights=pairs).to_dict()["weights"]) == 9


@pytest.mark.parametrize(
    ("report", "verdict", "reasons"),
    [
        (made(ROW), EQUIVALENT, []),
        (made(WRONG), NOT_EQUIVALENT, []),
        (made(ROW, undecided=["it is random"]), NOT_DECIDED, ["it is random"]),
        (made(WRONG, undecided=["it is random"]), NOT_EQUIVALENT, ["it is random"]),
        (made(), NOT_DECIDED, ["nothing was compared"]),
        (replace(made(ROW), comparisons={"float64": Comparison(())}), NOT_DECIDED, ["nothing was compared"]),
    ],
    ids=["right", "wrong", "undecided", "undecided-and-wrong", "nothing", "no-rows"],
)
def test_a_verdict_is_the_same_wherever_it_is_read(report, verdict, reasons, tmp_path):
    assert (report.verdict, list(report.reasons)) == (verdict, reasons)
    assert bool(report) == report.passed == (verdict is EQUIVALENT)
    lines = str(report).splitlines()
    assert lines[0] == f"Net and Keras's net: {verdict.headline}"
    assert lines[1 : 1 + len(reasons)] == [f"  {reason}" for reason in reasons]
    document = json.loads(json.dumps(report.to_dict()))
    assert (document["verdict"], document["undecided"]) == (verdict.value, reasons)
    assert type(report.to_dict()["verdict"]) is str  # pytest-xdist takes no subclass
    assert document["summary"]["failed"] == (0 if verdict is EQUIVALENT else 1)
    assert document["summary"]["undecided"] == (1 if verdict is NOT_DECIDED else 0)
    report.write_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f'<strong class="{looks(verdict)}">{verdict.headline}: ' in page
    assert all(f"<li>{reason}</li>" in page for reason in reasons)
    assert "Net and Keras&#39;s net" in page.partition("<h2>Details</h2>")[2]  # shown, though it may have no tensor


def looks(verdict):
    """The class of a page's headline: green, red, amber."""
    return {EQUIVALENT: "passed", NOT_EQUIVALENT: "failed", NOT_DECIDED: "weak"}[verdict]


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ([EQUIVALENT, EQUIVALENT], EQUIVALENT), ([EQUIVALENT, NOT_DECIDED], NOT_DECIDED),
        ([NOT_DECIDED, NOT_EQUIVALENT, EQUIVALENT], NOT_EQUIVALENT), ([], NOT_DECIDED),
    ],
)  # fmt: skip
def test_the_worst_of_several(verdicts, together):
    assert worst(verdicts) is together
    assert worst(verdict.value for verdict in verdicts) is together


def test_a_joined_page_counts_a_pair_of_which_nothing_was_compared(tmp_path):
    reports = {"test_right": made(ROW), "test_nothing": made(), "test_random": made(ROW, undecided=["it is random"])}
    document = joined([(name, report.to_dict()) for name, report in reports.items()])
    assert document["verdict"] == "not decided"
    assert document["undecided"] == ["test_nothing: nothing was compared", "test_random: it is random"]
    html.write(document, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<strong class="weak">1 of 3 cases passed, 2 not decided</strong>' in page
    assert all(f"{name}: Net and Keras&#39;s net" in page for name in reports)
    assert joined([("test_right", made(ROW).to_dict()), ("test_wrong", made(WRONG).to_dict())])["verdict"] == (
        "not equivalent"
    )


def test_pytest_fails_what_is_not_decided_and_joins_the_pages(pytester, request):
    pytester.makepyfile(
        """
        import numpy as np, keras, torch
        from keras import layers

        X = np.random.RandomState(0).randn(4, 5)

        def check(parity, inputs):
            net = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.ReLU())
            port = keras.Sequential([keras.Input((5,)), layers.Dense(3), layers.ReLU()])
            parity.assert_equivalent(net, port, inputs)

        def test_right(parity):
            check(parity, X)

        def test_empty(parity):
            check(parity, X[:0])

        def test_bare_assert(parity):
            assert parity.check(torch.nn.ReLU(), keras.Sequential([keras.Input((5,)), layers.ReLU()]), X[:0])
        """
    )
    plugin = [] if request.config.pluginmanager.hasplugin("parity") else ["-p", "parity.pytest_plugin"]
    done = pytester.runpytest_inprocess(*plugin, "--parity-html", "parity.html", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(
        ["*NOT decided*", "*give a batch with examples*", "*assert <Report: *NOT decided; every*"]
    )
    page = (pytester.path / "parity.html").read_text(encoding="utf-8")
    assert "2 of 6 cases passed, 4 not decided" in page
    assert "<li>test_empty: every output is empty" in page


def test_compare_exits_with_0_only_for_what_is_proven(tmp_path):
    from typer.testing import CliRunner

    from parity.cli import app

    status = {}
    for name, values in (("tells", X.astype("float64")), ("nan", np.full((4, 5), np.nan)), ("zero", np.zeros((4, 5)))):
        Trace([("input", X.astype("float64")), ("output", values)]).save(tmp_path / f"{name}.npz")
        files = [str(tmp_path / f"{name}.npz")] * 2
        done = CliRunner().invoke(app, ["compare", *files, "--html", str(tmp_path / f"{name}.html")])
        status[name] = done.exit_code
        assert ("NOT decided" in done.output) == (name != "tells")
        assert ("1 not decided" in (tmp_path / f"{name}.html").read_text(encoding="utf-8")) == (name != "tells")
    assert status == {"tells": 0, "nan": 1, "zero": 1}


def test_content_is_of_the_ports_tensor():
    from parity.core.compare import compare

    trace = Trace([("input", X.astype("float64")), ("output", np.ones((4, 2))), ("grad:fc.weight", np.zeros(3))])
    found = compare(trace, trace, case="check", dtype="float64")
    assert [row.content for row in found.rows] == [Content.VARIED, Content.REPEATED, Content.ZERO]


class TwoHeads(nn.Module):
    """A head for train mode alone, called in the middle, as in Inception v3."""

    def __init__(self):
        super().__init__()
        self.a, self.aux, self.b, self.fc = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        h = torch.relu(self.a(x))
        aux = self.aux(h) if self.training else None
        y = self.fc(torch.relu(self.b(h)))
        return (y, aux) if self.training else y


@pytest.mark.torch
@pytest.mark.parametrize(("weight", "right"), [(0.4, True), (0.3, False)])
def test_a_head_that_train_mode_alone_has_is_compared_in_train_mode(weight, right):
    inputs = keras.Input((5,))
    h = keras.layers.Dense(6, "relu", name="a")(inputs)
    y = keras.layers.Dense(3, name="fc")(keras.layers.Dense(6, "relu", name="b")(h))
    model = keras.Model(inputs, [y, keras.layers.Dense(3, name="aux")(h)])
    numbers = np.random.RandomState(0)
    report = parity.check(
        TwoHeads(), model, numbers.randn(4, 5), train=True, target=numbers.randn(4, 3),
        loss=(
            lambda output, target: ((output[0] - target) ** 2).mean() + 0.4 * ((output[1] - target) ** 2).mean(),
            lambda target, output: keras.ops.mean((output[0] - target) ** 2)
            + weight * keras.ops.mean((output[1] - target) ** 2),
        ),
    )  # fmt: skip
    assert report.passed is right, str(report)
    assert any(row.name == "activation:aux" for row in report.comparisons["float64"].rows)


def test_float64_is_measured_where_float32_loses_all_digits():
    """And only there: a cast to float32 in a module has float32's error in float64, too."""
    truth = Trace([("grad:lost", np.ones(3)), ("grad:cast", np.ones(3))])
    state = {"lost": np.ones(3, "float32"), "running": np.array(1)}

    def record(dtype, weights):
        assert (dtype, weights["lost"].dtype, weights["running"].dtype) == ("float64", "float64", np.array(1).dtype)
        assert 0 < np.abs(weights["lost"] - 1).max() <= 4 * 2.0**-52
        return Trace([("grad:lost", truth["grad:lost"] + 1e-7), ("grad:cast", truth["grad:cast"] + 1e-7)])

    errors = {"grad:lost": Difference(0.7, 0.5, 1.0), "grad:cast": Difference(2e-7, 1e-7, 1.0)}
    reference = Reference(state, truth, {}, errors, None, set(), record, reduced.SAMPLES)
    assert reference.finest["grad:cast"] == errors["grad:cast"]
    assert reference.finest["grad:lost"].max_abs == pytest.approx(1e-7 * 2.0**29)
    nothing_lost = replace(reference, errors=errors | {"grad:lost": Difference(5e-3, 1e-3, 1.0)})
    assert nothing_lost.finest == nothing_lost.errors
