"""Products with derivatives, as `torch.autograd.functional` has them: vjp, jvp, hvp, and the Jacobian itself.

Each takes a function of tensors and a list of its inputs. An input that the output does not depend on has zeros, as
PyTorch's functions give with `strict=False`.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_blitz.autograd.tape import Gradients
from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import as_tensor


def vjp(function: Callable, inputs: Sequence, vector=None) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Return the output and the vector-Jacobian product, one pass backward.

    vᵀJ = Σ_i v_i · ∂y_i/∂x

    Args:
        function: of the inputs, to one tensor y.
        inputs: floating tensors x.
        vector: v, of y's shape; None: 1, for one value alone.

    Raises:
        BlitzError: a `vector` of another shape, or none for several values.
    """
    inputs = _tensors(inputs)
    with Gradients(inputs).record() as recording:
        output = function(*inputs)
    return output, recording.gradient(output, inputs, vector, materialize_grads=True)


def jvp(function: Callable, inputs: Sequence, tangents: Sequence) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the output and the Jacobian-vector product, in one pass forward.

    Jt = Σ_j ∂y/∂x_j · t_j

    Args:
        function: of the inputs, to one tensor y.
        inputs: floating tensors x.
        tangents: t, one for each input, of its shape.

    Raises:
        BlitzError: the tangents' number or shapes are not the inputs'.
    """
    inputs = _tensors(inputs)
    tangents = _matching("tangents", inputs, tangents)
    with tf.autodiff.ForwardAccumulator(inputs, tangents) as accumulator:
        output = function(*inputs)
    return output, accumulator.jvp(output, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def hvp(function: Callable, inputs: Sequence, vectors: Sequence) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Return the output and the Hessian-vector product, two passes backward.

    Hv = ∂(∂y/∂x · v)/∂x

    Args:
        function: of the inputs, to one value y.
        inputs: floating tensors x.
        vectors: v, one for each input, of its shape.

    Raises:
        BlitzError: the output is not one value, or the vectors' number or shapes are not the inputs'.
    """
    inputs = _tensors(inputs)
    vectors = _matching("vectors", inputs, vectors)
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        output, gradients = vjp(function, inputs)
    zero = tf.UnconnectedGradients.ZERO
    return output, outer.gradient(gradients, inputs, output_gradients=vectors, unconnected_gradients=zero)


def jacobian(function: Callable, inputs: Sequence) -> list[tf.Tensor]:
    """Return the Jacobian for each input, of the shape of the output followed by the input's.

    J[i, j] = ∂y_i/∂x_j

    Args:
        function: of the inputs, to one tensor y.
        inputs: floating tensors x.
    """
    inputs = _tensors(inputs)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        output = function(*inputs)
    return tape.jacobian(output, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _tensors(values: Sequence) -> list[tf.Tensor]:
    return [as_tensor(value) for value in values]


def _matching(argument: str, inputs: list[tf.Tensor], values: Sequence) -> list[tf.Tensor]:
    values = _tensors(values)
    shapes = [tuple(tensor.shape) for tensor in inputs]
    found = [tuple(tensor.shape) for tensor in values]
    if found != shapes:
        raise BlitzError(f"{argument} must have the shapes of the inputs, {shapes}, not {found}")
    return [tf.cast(value, tensor.dtype) for value, tensor in zip(values, inputs, strict=True)]
