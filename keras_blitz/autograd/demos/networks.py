"""Backward through whole networks: ResNet18, ResNet18 frozen but for its head, and the blitz's LeNet."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_blitz import models, random
from keras_blitz.autograd.tape import Gradients
from keras_blitz.losses import CrossEntropyLoss, MSELoss
from keras_blitz.optim import SGD
from keras_blitz.weights import load_state_dict, state_dict, weights


def a1_resnet_step(
    state: Mapping | None = None, images=None, labels=None, *, lr: float = 1e-2, momentum: float = 0.9,
    dtype: str = "float64",
) -> dict:  # fmt: skip
    """A1: ResNet18 forward, loss = Σ (prediction − labels), backward, one step of SGD, in train mode.

    Args:
        state: PyTorch's `state_dict` of the network; None: the initial values of seed 0.
        images: (N, H, W, 3); None: (1, 64, 64, 3) from 0 to 1.
        labels: (N, 1000); None: from 0 to 1.
        lr, momentum: of the step.
        dtype: "float32" or "float64".

    Returns:
        `prediction`, `loss`, "grad.…" of every parameter, "state.…" after the step.

    Source: blitz/autograd_tutorial, "Usage in PyTorch".
    """
    generator = random.Generator().manual_seed(0)
    images = _images(generator, images, (1, 3, 64, 64), dtype)
    labels = tf.constant(generator.rand(1, 1000, dtype=dtype) if labels is None else labels, dtype)
    network = _build("resnet18", state, dtype, input_shape=images.shape[1:])
    parameters = network.trainable_variables
    gradients = Gradients(parameters)
    with gradients.record() as recording:
        prediction = network(images, training=True)
        loss = tf.reduce_sum(prediction - labels)
    recording.backward(loss)
    SGD(lr, momentum).apply([gradients.grad(variable) for variable in parameters], parameters)
    return {"prediction": prediction.numpy(), "loss": loss.numpy(), **_grads(network, gradients), **_state(network)}


def a8_frozen_resnet(
    state: Mapping | None = None, images=None, labels=None, *, training: bool = True, steps: int = 2,
    lr: float = 1e-2, momentum: float = 0.9, dtype: str = "float64",
) -> dict:  # fmt: skip
    """A8: ResNet18 frozen, with a new head of 10 classes that alone is trained.

    A frozen parameter has no gradient, which is not a gradient of 0. Running statistics are not parameters: they move
    in train mode, frozen or not.

    Args:
        state: PyTorch's `state_dict` with the head of 10 classes; None: the initial values of seed 0.
        images: (N, H, W, 3); None: normal, (2, 64, 64, 3).
        labels: N class indices; None: 0, 1, …
        training: BatchNorm in train mode.
        steps: of SGD on the head.
        lr, momentum: of the steps.
        dtype: "float32" or "float64".

    Returns:
        `losses`, the names of the parameters whose gradient is `absent`, "grad.…" of the others at the last step,
        "momentum.…" and "state.…" at the end, and whether `running statistics moved`.

    Source: blitz/autograd_tutorial, "Exclusion from the DAG".
    """
    images = _images(random.Generator().manual_seed(0), images, (2, 3, 64, 64), dtype, "randn")
    labels = tf.constant(np.arange(len(images)) % 10 if labels is None else labels)
    network = _build("resnet18", state, dtype, input_shape=images.shape[1:], num_classes=10)
    for layer in network.layers:
        layer.trainable = layer.name == "fc"
    before, head = _running(network), network.trainable_variables
    gradients, optimizer, losses = Gradients(head), SGD(lr, momentum), []
    everything = [weight for weight in weights(network) if weight.trainable]
    reached: list[Any] = [None] * len(everything)
    for _ in range(steps):
        gradients.zero_grad()
        with gradients.record() as recording:
            loss = CrossEntropyLoss()(labels, network(images, training=training))
        reached = recording.gradient(loss, [weight.variable for weight in everything], allow_unused=True)
        recording.backward(loss)
        losses.append(loss.numpy())
        optimizer.apply([gradients.grad(variable) for variable in head], head)
    by_path = {weight.variable.path: weight for weight in everything}
    buffers = {
        f"momentum.{by_path[slot.parameter.path].name}": by_path[slot.parameter.path].joined([slot.variable.numpy()])
        for slot in optimizer.slots()
        if slot.key == "momentum_buffer"
    }
    return {
        "losses": np.array(losses),
        "absent": np.array([w.name for w, gradient in zip(everything, reached, strict=True) if gradient is None]),
        "running statistics moved": not all(np.array_equal(before[k], v) for k, v in _running(network).items()),
        **_grads(network, gradients, ("fc.weight", "fc.bias")),
        **buffers,
        **_state(network),
    }


def a13_lenet_step(
    state: Mapping | None = None, images=None, gradient=None, target=None, *, lr: float = 0.01, dtype: str = "float64"
) -> dict:
    """A13: the blitz's `Net`: backward with a random gradient, then of a squared error, and SGD by hand.

    w ← w − lr · ∂MSE(net(images), target)/∂w

    Args:
        state: PyTorch's `state_dict` of the network; None: the initial values of seed 0.
        images: (N, 32, 32, 1); None: normal, N = 1.
        gradient, target: (N, 10); None: normal.
        lr: learning rate.
        dtype: "float32" or "float64".

    Returns:
        `output`, `loss`, "random.…" the first pass's gradients, whether conv1.bias.grad `is None before` the second,
        "grad.…" after it, "state.…" after the step.

    Source: blitz/neural_networks_tutorial.
    """
    generator = random.Generator().manual_seed(0)
    images = _images(generator, images, (1, 1, 32, 32), dtype, "randn")
    gradient = generator.randn(1, 10, dtype=dtype) if gradient is None else gradient
    target = tf.constant(generator.randn(1, 10, dtype=dtype) if target is None else target, dtype)
    network = _build("lenet", state, dtype)
    gradients = Gradients(network.trainable_variables)
    with gradients.record() as recording:
        output = network(images)
        loss = MSELoss()(target, output)
    recording.backward(output, gradient, retain_graph=True)
    by_random = _grads(network, gradients, prefix="random")
    gradients.zero_grad()
    absent = gradients.grad(network.conv1.bias) is None
    recording.backward(loss)
    for variable in network.trainable_variables:
        variable.assign_sub(lr * gradients.grad(variable))
    found = {"output": output.numpy(), "loss": loss.numpy(), "conv1.bias.grad is None before": absent}
    return found | by_random | _grads(network, gradients) | _state(network)


def _images(generator, images, shape: tuple[int, ...], dtype: str, drawn: str = "rand") -> tf.Tensor:
    """Return the images, or PyTorch's draw of a shape (N, C, H, W) as (N, H, W, C)."""
    if images is None:
        images = getattr(generator, drawn)(*shape, dtype=dtype).transpose(0, 2, 3, 1)
    return tf.constant(images, dtype)


def _build(name: str, state: Mapping | None, dtype: str, **options):
    with random.fork_rng():
        random.manual_seed(0)
        network = models.build(name, dtype=dtype, **options)
    if state is not None:
        load_state_dict(network, state)
    return network


def _grads(network, gradients: Gradients, names: tuple[str, ...] | None = None, prefix: str = "grad") -> dict:
    """Return the gradients of the parameters, all or those named, as PyTorch names and lays them out."""
    return {
        f"{prefix}.{weight.name}": weight.joined([gradients.grad(weight.variable).numpy()])
        for weight in weights(network)
        if weight.trainable and (names is None or weight.name in names)
    }


def _state(network) -> dict:
    return {f"state.{name}": value for name, value in state_dict(network).items()}


def _running(network) -> dict:
    return {name: value for name, value in state_dict(network).items() if ".running_" in name}
