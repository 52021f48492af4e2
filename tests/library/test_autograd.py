"""A1–A15 in closed form and against PyTorch in float64, and the tape layer's edges."""

import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import tensorflow as tf

from keras_blitz import autograd
from keras_blitz.autograd import Gradients, demos
from keras_blitz.errors import BlitzError

pytestmark = pytest.mark.covers(
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15"
)

TOLERANCE = 1e-12  # of the largest magnitude in a tensor, float64


def close(found, truth):
    """Compare shapes, then values, relative to the largest magnitude of the truth."""
    found, truth = np.asarray(found), np.asarray(truth)
    assert found.shape == truth.shape
    np.testing.assert_allclose(found, truth, rtol=0, atol=TOLERANCE * np.abs(truth).max(initial=0), equal_nan=False)


def close_all(found, truth):
    for name, value in truth.items():
        close(found[name], value)


# The demos in closed form


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("demo", [demos.a2_powers, demos.a3_powers_summed])
def test_a2_a3_powers(demo, dtype):
    found = demo(dtype=dtype)
    assert found["a.grad"].dtype == dtype
    np.testing.assert_array_equal(found["a.grad"], [36, 81])
    np.testing.assert_array_equal(found["b.grad"], [-12, -8])


def test_a4_products_are_the_matrices_products():
    found = demos.a4_products()
    close(found["jacobian"], [[4, 1, 0], [0, np.cos(2), 1], [6, 3, 2]])
    close(found["hessian"], [[4, 2 + 3, 2], [2 + 3, -np.sin(2), 1], [2, 1, 0]])
    for name, way in (("vjp", "jacobian"), ("jvp", "jacobian"), ("hvp", "hessian")):
        close(found[name], found[f"{name} by the {way}"])


def test_a5_graph_has_cube_square_scale_and_difference():
    found = demos.a5_graph()
    assert sorted(found["operations"]) == ["MulBackward0", "PowBackward0", "PowBackward0", "SubBackward0"]
    assert list(found["leaves"]) == ["a", "b"]
    assert found["text"].splitlines() == [
        "SubBackward0 (2,)",
        "├─ MulBackward0 (2,)",
        "│  └─ PowBackward0 (2,)",
        "│     └─ a (2,) leaf",
        "└─ PowBackward0 (2,)",
        "   └─ b (2,) leaf",
    ]
    assert '"sub" -> "mul"' in found["dot"]
    assert '"a" [label="a (2,) leaf", fillcolor=lightblue]' in found["dot"]


def test_a6_gradients_follow_the_branch_taken():
    inputs = np.array([0.5, -3.0, 700.0, -0.01])
    found = demos.a6_control_flow(inputs)
    np.testing.assert_array_equal(found["doublings"], [11, 9, 1, 17])
    np.testing.assert_array_equal(found["a.grad"], 2.0 ** found["doublings"] * np.where(inputs > 0, 1, 100))
    close(found["a.grad"], found["c"] / inputs)


def test_a7_a_result_is_tracked_if_an_input_is():
    assert demos.a7_propagation() == {"x + y": False, "x + z": True}


def test_a9_each_row_of_ws_gradient_is_bs():
    found = demos.a9_logits()
    close(found["b.grad"], 1 / (1 + np.exp(-found["z"])) / 3)
    close(found["w.grad"], np.tile(found["b.grad"], (5, 1)))
    assert found["z.grad_fn"] == "AddBackward0"


def test_a10_switches():
    found = demos.a10_switches()
    np.testing.assert_array_equal(found.pop("x.grad"), [1, 4, 9])
    assert found == {
        "before requires_grad_": False, "after requires_grad_": True, "no_grad": False, "enabled in no_grad": True,
        "set_grad_enabled(False)": False, "detach": False, "detached values equal": True,
    }  # fmt: skip


def test_a11_a_second_backward_adds():
    found = demos.a11_backward_twice()
    once = 2 + 2 * np.eye(5)
    for name, times in {"first": 1, "second": 2, "zeroed": 1}.items():
        np.testing.assert_array_equal(found[name], times * once)


@pytest.mark.parametrize("k", [1, 3, 12])
def test_a12_small_batches_add_up_to_a_large_one(k):
    found = demos.a12_small_batches(k=k)
    close(found["accumulated"], found["whole"])
    np.testing.assert_array_equal(found["forgotten"], 2 * found["whole"])


def test_a14_scalars_and_leaves():
    found = demos.a14_scalars_and_leaves()
    assert found["x is a leaf"]
    assert not found["y is a leaf"]
    close_all(found, {"y.grad": [3, 3, 3], "x.grad of y": [2, 0.4, 0.06], "x.grad of z": [6, 12, 18]})
    assert "grad can be implicitly created only for scalar outputs; this one is (3,)" in found["error of y.backward()"]
    assert "retain_graph=True" in found["error of a second backward"]


def test_a15_hand_written_backpropagation_is_the_tapes():
    found = demos.a15_two_layers_by_hand()
    assert found["numpy.losses"].shape == (5,)
    for name in ("losses", "w1.grad", "w2.grad", "w1", "w2"):
        close(found[f"tensorflow.{name}"], found[f"numpy.{name}"])


@pytest.mark.parametrize("training", [False, True])
def test_a8_frozen_layers_have_no_gradient_and_running_statistics_follow_the_mode(training):
    found = demos.a8_frozen_resnet(training=training, steps=1)
    assert len(found["absent"]) == 60
    assert not any(name.startswith("fc.") for name in found["absent"])
    assert found["running statistics moved"] is training
    close(found["momentum.fc.weight"], found["grad.fc.weight"])


# The demos against PyTorch


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")


def leaf(torch, values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_a2_a3_against_pytorch(torch):
    a, b = leaf(torch, [2.5, -3.0]), leaf(torch, [6.0, 0.4])
    q = 3 * a**3 - b**2
    q.backward(gradient=torch.tensor([0.3, -2.0]).double(), retain_graph=True)
    gradient = torch.tensor([0.3, -2.0]).double().numpy()
    found = demos.a2_powers(a.detach().numpy(), b.detach().numpy(), gradient)
    close_all(found, {"Q": q.detach(), "a.grad": a.grad, "b.grad": b.grad})
    a.grad = b.grad = None
    q.sum().backward()
    close_all(
        demos.a3_powers_summed(a.detach().numpy(), b.detach().numpy()),
        {"Q.sum": q.sum().detach(), "a.grad": a.grad, "b.grad": b.grad},
    )


def test_a4_against_pytorch(torch):
    def function(x):
        return torch.stack([x[0] ** 2 * x[1], torch.sin(x[1]) + x[2], x[0] * x[1] * x[2]])

    def summed(x):
        return function(x).sum()

    functional = torch.autograd.functional
    x, v = torch.tensor([1.3, -0.2, 2.1]).double(), torch.tensor([0.1, 1.0, 0.01]).double()
    truth = {
        "jacobian": functional.jacobian(function, x),
        "hessian": functional.hessian(summed, x),
        "vjp": functional.vjp(function, x, v)[1],
        "jvp": functional.jvp(function, x, v)[1],
        "hvp": functional.hvp(summed, x, v)[1],
    }
    close_all(demos.a4_products(x.numpy(), v.numpy()), truth)


def test_a5_against_pytorchs_graph(torch):
    """PyTorch's nodes and edges, walked from `grad_fn`."""
    a, b = leaf(torch, [2.0, 3.0]), leaf(torch, [6.0, 4.0])
    truth, stack = [], [(3 * a**3 - b**2).grad_fn]
    while stack:
        node = stack.pop()
        sources = [source for source, _ in node.next_functions if source is not None]
        truth += [(node.name().rpartition("::")[2], source.name().rpartition("::")[2]) for source in sources]
        stack += sources
    graph = autograd.trace(demos.powers.powers, a=tf.zeros(2), b=tf.zeros(2))
    label = {name: "AccumulateGrad" if node.leaf else node.label for name, node in graph.nodes.items()}
    assert sorted((label[node], label[source]) for node, source in graph.edges()) == sorted(truth)


def test_a6_against_pytorch(torch):
    inputs, slopes = [0.7, -3.1, 650.0], []
    for value in inputs:
        a = leaf(torch, value)
        b = a * 2
        while b.abs() < 1000:
            b = b * 2
        (b if b > 0 else 100 * b).backward()
        slopes.append(a.grad.item())
    close(demos.a6_control_flow(inputs)["a.grad"], slopes)


def test_a7_a10_a14_against_pytorch(torch):
    x, z = torch.ones(3).double(), leaf(torch, [1.0, 2.0, 3.0])
    assert demos.a7_propagation() == {"x + y": (x + x).requires_grad, "x + z": (x + z).requires_grad}
    y = (z**2).detach() * z
    y.backward(torch.ones(3).double())
    close(demos.a10_switches()["x.grad"], z.grad)
    with torch.no_grad(), torch.set_grad_enabled(True):
        assert demos.a10_switches()["enabled in no_grad"] is (z**2).requires_grad
    y = z**2
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        y.backward()
    found = demos.a14_scalars_and_leaves()
    assert (found["x is a leaf"], found["y is a leaf"]) == (z.is_leaf, y.is_leaf)
    z.grad = None
    y.backward(torch.tensor([1.0, 0.1, 0.01], dtype=torch.float64))
    close(found["x.grad of y"], z.grad)


def test_a9_against_pytorch(torch):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True)
    z = (torch.ones(1, 5).double() @ w)[0] + b
    loss = torch.nn.functional.binary_cross_entropy_with_logits(z, torch.zeros(3).double())
    loss.backward()
    found = demos.a9_logits()
    close_all(found, {"z": z.detach(), "loss": loss.detach(), "w.grad": w.grad, "b.grad": b.grad})
    assert found["z.grad_fn"] == z.grad_fn.name()


def test_a11_a12_against_pytorch(torch):
    inputs = leaf(torch, np.random.RandomState(0).randn(4, 3))
    out = (inputs + 1).pow(2)
    truth = {}
    for name in ("first", "second"):
        out.backward(torch.ones_like(out), retain_graph=True)
        truth[name] = inputs.grad.clone()
    close_all(demos.a11_backward_twice(inputs.detach().numpy()), truth)

    values = np.random.RandomState(1)
    x, y, start = values.randn(8, 3), values.randn(8, 2), values.randn(3, 2)
    w = leaf(torch, start)
    for rows in np.split(np.arange(8), 4):
        torch.nn.functional.mse_loss(torch.tensor(x[rows]) @ w, torch.tensor(y[rows])).div(4).backward()
    close(demos.a12_small_batches(x, y, start, k=4)["accumulated"], w.grad)


def test_a15_against_pytorch(torch):
    generator = torch.Generator().manual_seed(0)
    shapes = ((64, 1000), (64, 10), (1000, 100), (100, 10))
    x, y, w1, w2 = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    w1.requires_grad_()
    w2.requires_grad_()
    for _ in range(5):
        w1.grad = w2.grad = None
        ((x @ w1).clamp(min=0) @ w2 - y).pow(2).sum().backward()
        with torch.no_grad():
            w1 -= 1e-6 * w1.grad
            w2 -= 1e-6 * w2.grad
    truth = {"w1": w1.detach(), "w2": w2.detach(), "w1.grad": w1.grad, "w2.grad": w2.grad}
    found = demos.a15_two_layers_by_hand()
    for side in ("numpy", "tensorflow"):
        close_all(found, {f"{side}.{name}": value for name, value in truth.items()})


def state_of(network):
    return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


def nhwc(images):
    return images.numpy().transpose(0, 2, 3, 1)


@pytest.fixture
def resnet(torch):
    if not find_spec("torchvision"):  # not imported here: the reference prepares for that
        pytest.skip("needs torchvision: pip install 'keras-blitz[torch]'")
    from parity.twins.torch import families

    def build(**options):
        torch.manual_seed(3)
        return families.build("resnet18", **options).double()

    return build


def compare(found, truth, names):
    """Compare what the demo returns under these prefixes, and nothing less, with the truth."""
    assert {name for name in found if name.startswith(names)} == set(truth)
    close_all(found, truth)


def test_a1_against_pytorch(torch, resnet):
    network = resnet()
    state = state_of(network)
    images, labels = torch.rand(1, 3, 64, 64).double(), torch.rand(1, 1000).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2, momentum=0.9)
    prediction = network(images)
    (prediction - labels).sum().backward()
    optimizer.step()
    truth = {f"grad.{name}": parameter.grad for name, parameter in network.named_parameters()}
    truth |= {f"state.{name}": value for name, value in state_of(network).items()}
    found = demos.a1_resnet_step(state, nhwc(images), labels.numpy())
    close(found["prediction"], prediction.detach())
    compare(found, truth, ("grad.", "state."))


@pytest.mark.parametrize("training", [False, True])
def test_a8_against_pytorch(torch, resnet, training):
    network = resnet(num_classes=10).train(training)
    state = state_of(network)
    images, labels = torch.randn(2, 3, 64, 64).double(), torch.tensor([7, 2])
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))
    optimizer = torch.optim.SGD(network.fc.parameters(), lr=1e-2, momentum=0.9)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    parameters = dict(network.named_parameters())
    truth = {f"grad.{name}": p.grad for name, p in parameters.items() if p.grad is not None}
    truth |= {f"momentum.fc.{key}": optimizer.state[p]["momentum_buffer"] for key, p in network.fc.named_parameters()}
    truth |= {f"state.{name}": value for name, value in state_of(network).items()}
    found = demos.a8_frozen_resnet(state, nhwc(images), labels.numpy(), training=training)
    assert set(found["absent"]) == {name for name, parameter in parameters.items() if parameter.grad is None}
    close(found["losses"], losses)
    compare(found, truth, ("grad.", "momentum.", "state."))


class Net:
    """The blitz's `Net` as plain functions of its `state_dict`."""

    def __init__(self, torch):
        layers = {"conv1": torch.nn.Conv2d(1, 6, 5), "conv2": torch.nn.Conv2d(6, 16, 5)}
        layers |= {"fc1": torch.nn.Linear(400, 120), "fc2": torch.nn.Linear(120, 84), "fc3": torch.nn.Linear(84, 10)}
        self.module, self.relu = torch.nn.ModuleDict(layers).double(), torch.relu
        self.pool = torch.nn.functional.max_pool2d

    def __call__(self, x):
        for name in ("conv1", "conv2"):
            x = self.pool(self.relu(self.module[name](x)), 2)
        x = x.flatten(1)
        for name in ("fc1", "fc2"):
            x = self.relu(self.module[name](x))
        return self.module["fc3"](x)


def test_a13_against_pytorch(torch):
    torch.manual_seed(5)
    net = Net(torch)
    state = state_of(net.module)
    images, gradient, target = (torch.randn(*shape).double() for shape in ((1, 1, 32, 32), (1, 10), (1, 10)))
    output = net(images)
    output.backward(gradient, retain_graph=True)
    truth = {f"random.{name}": p.grad.clone() for name, p in net.module.named_parameters()}
    net.module.zero_grad()
    before = net.module["conv1"].bias.grad is None
    loss = torch.nn.functional.mse_loss(output, target)
    loss.backward()
    truth |= {f"grad.{name}": p.grad for name, p in net.module.named_parameters()}
    with torch.no_grad():
        for parameter in net.module.parameters():
            parameter -= 0.01 * parameter.grad
    truth |= {f"state.{name}": value for name, value in state_of(net.module).items()}
    found = demos.a13_lenet_step(state, nhwc(images), gradient.numpy(), target.numpy())
    assert found["conv1.bias.grad is None before"] is before is True
    close_all(found, {"output": output.detach(), "loss": loss.detach()})
    compare(found, truth, ("random.", "grad.", "state."))


# The tape layer's edges


@pytest.fixture
def x():
    return tf.constant([1.0, 2.0, 3.0], tf.float64)


def test_an_integer_cannot_require_a_gradient():
    with pytest.raises(BlitzError, match="only floating and complex tensors can require gradients, not int32"):
        Gradients([tf.constant([1, 2])])


def test_a_gradient_is_absent_until_a_pass_reaches_the_leaf(x):
    unused = tf.Variable(1.0)
    gradients = Gradients([x, unused])
    with gradients.record() as recording:
        total = tf.reduce_sum(x * 0)
    recording.backward(total)
    np.testing.assert_array_equal(gradients.grad(x), [0, 0, 0])  # a product with 0 is a way, of gradient 0
    assert gradients.grad(unused) is None
    gradients.zero_grad(set_to_none=False)
    assert gradients.grad(unused) is None
    np.testing.assert_array_equal(gradients.grad(x), [0, 0, 0])
    gradients.zero_grad()
    assert gradients.grad(x) is None


def test_an_unused_source_is_an_error_none_or_zeros(x):
    other = tf.constant(2.0)
    with Gradients([x, other]).record() as recording:
        total = tf.reduce_sum(x)
    with pytest.raises(BlitzError, match="allow_unused=True"):
        recording.gradient(total, [other])
    assert recording.gradient(total, [other], allow_unused=True) == [None]
    assert recording.gradient(total, [other], materialize_grads=True)[0].numpy() == 0


def test_what_backward_refuses(x):
    gradients = Gradients([x])
    with gradients.record() as recording:
        y = x**2
    with pytest.raises(BlitzError, match=r"only for scalar outputs; this one is \(3,\)"):
        recording.backward(y)
    with pytest.raises(BlitzError, match=r"gradient must have the output's shape \(3,\), not \(2,\)"):
        recording.backward(y, gradient=[1.0, 2.0])
    with pytest.raises(BlitzError, match="does not require grad"):
        recording.backward(tf.constant(1.0))
    assert gradients.grad(x) is None
    with pytest.raises(BlitzError, match="not one of the leaves"):
        gradients.grad(y)


def test_one_value_of_any_shape_needs_no_gradient():
    x = tf.constant([[3.0]])
    gradients = Gradients([x])
    with gradients.record() as recording:
        recording.backward(x**2)  # within the block, as in PyTorch
    assert gradients.grad(x).numpy() == [[6]]
    with pytest.raises(BlitzError, match="a second time"):
        recording.backward(x)


def test_repeated_indices_of_a_gather_add_up():
    table = tf.Variable([[1.0], [2.0], [3.0]])
    gradients = Gradients([table])
    with gradients.record() as recording:
        total = tf.reduce_sum(tf.gather(table, [1, 1, 2]))
    recording.backward(total)
    np.testing.assert_array_equal(gradients.grad(table), [[0], [2], [1]])


def test_a_hook_changes_the_gradient_and_not_the_values(x):
    seen = []
    gradients = Gradients([x])
    with gradients.record() as recording:
        doubled = autograd.hook(x, lambda gradient: 2 * gradient)
        watched = autograd.hook(doubled, lambda gradient: seen.append(gradient.numpy()))
        total = tf.reduce_sum(watched**2)
    np.testing.assert_array_equal(watched, x)
    recording.backward(total)
    np.testing.assert_array_equal(seen, [2 * x])
    np.testing.assert_array_equal(gradients.grad(x), 4 * x)


def test_recording_goes_on_after_an_error_within_no_grad(x):
    with Gradients([x]).record() as recording:
        with pytest.raises(KeyError), recording.no_grad():
            raise KeyError
        y = x * 2
    assert recording.requires_grad(y)


def test_products_of_an_input_that_is_not_used_are_zeros(x):
    def function(x, unused):
        return tf.reduce_sum(x**2)

    inputs = [x, tf.ones((2,), tf.float64)]
    np.testing.assert_array_equal(autograd.vjp(function, inputs)[1][1], [0, 0])
    np.testing.assert_array_equal(autograd.hvp(function, inputs, inputs)[1][1], [0, 0])
    np.testing.assert_array_equal(autograd.jacobian(function, inputs)[1], [0, 0])
    with pytest.raises(BlitzError, match=r"tangents must have the shapes of the inputs, .*not \[\(3,\)\]"):
        autograd.jvp(function, inputs, [x])


# The graph


def test_a_graph_stops_at_what_is_cut_off_and_shows_a_shared_node_once(x):
    def function(x, y):
        shared = tf.exp(x)
        return shared * shared + autograd.detach(tf.sin(y))

    graph = autograd.trace(function, x=x, y=x)
    assert [node.label for node in graph.nodes.values() if node.leaf] == ["x"]
    assert graph.text().splitlines()[1:] == [
        "└─ MulBackward0 (3,)",
        "   ├─ ExpBackward0 (3,)",
        "   │  └─ x (3,) leaf",
        "   └─ ExpBackward0 (3,) (see above)",
    ]
    with pytest.raises(BlitzError, match="depends on none of the leaves"):
        autograd.trace(lambda x: tf.ones(2), x=x)
    with pytest.raises(BlitzError, match="cannot trace a Python branch"):
        autograd.trace(lambda x: x * 2 if x[0] > 0 else x, x=x)


def test_a_networks_parameters_are_leaves_unless_frozen(lenet):
    graph = autograd.trace(lambda x: lenet(x), frozen=lenet.fc1.weights, x=tf.zeros((1, 32, 32, 1)))
    leaves = {node.label for node in graph.nodes.values() if node.leaf}
    assert leaves == {"x"} | {
        f"{name}/{kind}" for name in ("conv1", "conv2", "fc2", "fc3") for kind in ("kernel", "bias")
    }


def test_a_graph_is_written_as_text_and_dot(tmp_path, x):
    graph = autograd.trace(lambda x: x**2, x=x)
    for ending, content in {"txt": graph.text(), "dot": graph.dot()}.items():
        graph.write(tmp_path / f"graph.{ending}")
        assert (tmp_path / f"graph.{ending}").read_text(encoding="utf-8") == content + "\n"
    with pytest.raises(BlitzError, match=r"written as \.txt, \.dot, \.svg or \.png"):
        graph.write(tmp_path / "graph.pdf")


def test_a_picture_without_graphviz_is_one_clear_error(tmp_path, x, monkeypatch):
    pytest.importorskip("pydot")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BlitzError, match="needs Graphviz's dot on the PATH"):
        autograd.trace(lambda x: x**2, x=x).write(tmp_path / "graph.svg")
    assert not (tmp_path / "graph.svg").exists()


def test_a_picture_is_drawn_by_graphviz(tmp_path, x):
    pytest.importorskip("pydot")
    if not shutil.which("dot"):
        pytest.skip("needs Graphviz's dot")
    autograd.trace(lambda x: x**2, x=x).write(tmp_path / "graph.svg")
    assert "PowBackward0" in (tmp_path / "graph.svg").read_text(encoding="utf-8")
