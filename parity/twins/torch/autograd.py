"""A2–A15 (A1 and A8 are networks) in PyTorch's own autograd, written as its tutorials write them."""

from typing import Any

import torch
from torch.autograd import functional

from parity.twins.torch.lenet import Net


def powers(a, b, gradient) -> dict:
    """A2."""
    a.requires_grad_()
    b.requires_grad_()
    Q = 3 * a**3 - b**2
    Q.backward(gradient=gradient)
    return {"output:Q": Q, "grad:a": a.grad, "grad:b": b.grad}


def powers_summed(a, b) -> dict:
    """A3."""
    a.requires_grad_()
    b.requires_grad_()
    total = (3 * a**3 - b**2).sum()
    total.backward()
    return {"output:Q.sum": total, "grad:a": a.grad, "grad:b": b.grad}


def products(x, vector) -> dict:
    """A4."""

    def function(x):
        return torch.stack([x[0] ** 2 * x[1], torch.sin(x[1]) + x[2], x[0] * x[1] * x[2]])

    def summed(x):
        return function(x).sum()

    jacobian, hessian = functional.jacobian(function, x), functional.hessian(summed, x)
    return {
        "output:jacobian": jacobian,
        "output:hessian": hessian,
        "output:vjp": functional.vjp(function, x, vector)[1],
        "output:vjp by the jacobian": vector @ jacobian,
        "output:jvp": functional.jvp(function, x, vector)[1],
        "output:jvp by the jacobian": jacobian @ vector,
        "output:hvp": functional.hvp(summed, x, vector)[1],
        "output:hvp by the hessian": hessian @ vector,
    }


def graph() -> dict:
    """A5: walked from `grad_fn` along `next_functions`."""
    a, b = torch.tensor([2.0, 3.0], requires_grad=True), torch.tensor([6.0, 4.0], requires_grad=True)
    leaf = {id(a): "a", id(b): "b"}

    def name(node) -> str:
        return leaf[id(node.variable)] if hasattr(node, "variable") else node.name()

    edges: list[str] = []
    stack: list[Any] = [(3 * a**3 - b**2).grad_fn]
    while stack:
        node = stack.pop()
        sources = [source for source, _ in node.next_functions if source is not None]
        edges += [f"{name(node)} -> {name(source)}" for source in sources]
        stack += sources
    return {"fact:edges": sorted(edges), "fact:leaves": ["a", "b"]}


def control_flow(inputs) -> dict:
    """A6."""
    outputs, slopes, doublings = [], [], []
    for value in inputs:
        a = value.clone().requires_grad_()
        b, count = a * 2, 1
        while b.abs() < 1000:
            b, count = b * 2, count + 1
        c = b if b > 0 else 100 * b
        c.backward()
        outputs.append(c)
        slopes.append(a.grad)
        doublings.append(count)
    return {
        "output:c": torch.stack(outputs),
        "grad:a": torch.stack(slopes),
        "output:doublings": torch.tensor(doublings),
    }


def propagation(x, y, z) -> dict:
    """A7."""
    z.requires_grad_()
    return {"fact:x + y": (x + y).requires_grad, "fact:x + z": (x + z).requires_grad}


def logits(x, w, b, y) -> dict:
    """A9."""
    w.requires_grad_()
    b.requires_grad_()
    z = torch.matmul(x, w) + b
    loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
    loss.backward()
    return {
        "output:z": z,
        "output:loss": loss,
        "grad:w": w.grad,
        "grad:b": b.grad,
        "fact:z.grad_fn": z.grad_fn.name(),
    }


def switches(x) -> dict:
    """A10."""
    before = x**2
    found = {"fact:before requires_grad_": before.requires_grad}
    x.requires_grad_()
    after = x**2
    with torch.no_grad():
        silent = x**2
        with torch.set_grad_enabled(True):
            enabled = x**2
    with torch.set_grad_enabled(False):
        disabled = x**2
    y = after.detach() * x
    y.backward(torch.ones_like(y))
    return found | {
        "fact:after requires_grad_": after.requires_grad,
        "fact:no_grad": silent.requires_grad,
        "fact:enabled in no_grad": enabled.requires_grad,
        "fact:set_grad_enabled(False)": disabled.requires_grad,
        "fact:detach": after.detach().requires_grad,
        "fact:detached values equal": torch.equal(after.detach(), after),
        "grad:x": x.grad,
    }


def backward_twice(inputs) -> dict:
    """A11."""
    inputs.requires_grad_()
    out = (inputs + 1).pow(2)
    out.backward(torch.ones_like(out), retain_graph=True)
    found = {"grad:first": inputs.grad.clone()}
    out.backward(torch.ones_like(out), retain_graph=True)
    found["grad:second"] = inputs.grad.clone()
    inputs.grad.zero_()
    out.backward(torch.ones_like(out))
    return found | {"grad:zeroed": inputs.grad}


def small_batches(x, y, w, *, k: int) -> dict:
    """A12."""
    mse = torch.nn.MSELoss()
    w.requires_grad_()
    mse(x @ w, y).backward()
    found = {"grad:whole": w.grad.clone()}
    mse(x @ w, y).backward()
    found["grad:forgotten"] = w.grad.clone()
    w.grad = None
    for inputs, targets in zip(x.chunk(k), y.chunk(k), strict=True):
        (mse(inputs @ w, targets) / k).backward()
    return found | {"grad:accumulated": w.grad}


def net(images, gradient, target, **state) -> dict:
    """A13."""
    module: Any = Net()  # by its type each `p.grad` below may be None
    module.load_state_dict(state)
    output = module(images)
    output.backward(gradient, retain_graph=True)
    by_random = {f"grad:random:{name}": p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    absent = module.conv1.bias.grad is None
    loss = torch.nn.MSELoss()(output, target)
    loss.backward()
    for f in module.parameters():
        f.data.sub_(f.grad.data * 0.01)
    return {
        "output": output,
        "loss": loss,
        "fact:absent before": absent,
        **by_random,
        **{f"grad:{name}": p.grad for name, p in module.named_parameters()},
        **{f"step1:param:{name}": p for name, p in module.named_parameters()},
    }


def leaves(x, gradient) -> dict:
    """A14."""
    x.requires_grad_()
    y = x**2
    y.retain_grad()
    z = y.sum() * 3
    z.backward(retain_graph=True)
    found = {"grad:x of z": x.grad, "grad:y": y.grad}
    x.grad = None
    error = _error(y.backward)
    y.backward(gradient)
    return found | {
        "fact:x is a leaf": x.is_leaf,
        "fact:y is a leaf": y.is_leaf,
        "fact:error": error,
        "fact:second backward fails": bool(_error(z.backward)),
        "grad:x of y": x.grad,
    }


def hooks(x, unused) -> dict:
    """Hooks, absent gradients and the two ways of zeroing."""
    leaves = [x.requires_grad_(), unused.requires_grad_()]
    optimizer = torch.optim.SGD(leaves)
    hooked = x.clone()
    hooked.register_hook(lambda gradient: 3 * gradient)
    loss = (hooked**2 + 0 * x).sum()
    loss.backward()
    found = {"loss": loss, "grad:x": x.grad.clone(), "grad:unused": unused.grad}
    optimizer.zero_grad(set_to_none=False)
    found |= {"fact:x is zeroed": not x.grad.any().item(), "grad:unused zeroed": unused.grad}
    optimizer.zero_grad()
    found["grad:x forgotten"] = x.grad
    (0 * x).sum().backward()
    return found | {"fact:x times 0 is zeros": not x.grad.any().item()}


def two_layers(x, y, w1, w2, *, lr: float, steps: int) -> dict:
    """A15: what the port computes twice, by hand and by its tape."""
    w1.requires_grad_()
    w2.requires_grad_()
    losses = []
    for _ in range(steps):
        w1.grad = w2.grad = None
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        loss.backward()
        losses.append(loss.detach())
        with torch.no_grad():
            w1 -= lr * w1.grad
            w2 -= lr * w2.grad
    once = {"output:{}.losses": torch.stack(losses), "output:{}.w1": w1, "output:{}.w2": w2}
    once |= {"grad:{}.w1": w1.grad, "grad:{}.w2": w2.grad}
    return {name.format(side): value for side in ("numpy", "tensorflow") for name, value in once.items()}


def _error(action) -> str:
    try:
        action()
    except RuntimeError as error:
        return str(error)
    return ""
