"""PyTorch's `.grad`, `backward`, `no_grad` and hooks over `tf.GradientTape`.

    a = tf.constant([2.0, 3.0])
    gradients = Gradients([a])
    with gradients.record() as recording:
        q = 3 * a**3
    recording.backward(q, gradient=tf.ones(2))
    gradients.grad(a)  # [36, 81]; a second backward adds to it

A tensor of TensorFlow has no `.grad` and no `requires_grad`: `Gradients` keeps the first for its leaves, and what a
`Recording` tracks is what depends on them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import as_tensor


class Gradients:
    """What PyTorch keeps in `.grad` of each leaf: None at first, then the sum over all backward passes.

    grad ← grad + ∂output/∂leafᵀ · gradient

    `tf.GradientTape.gradient` returns each gradient afresh (gap grad-accumulate).

    Args:
        leaves: tensors, `tf.Variable`s or Keras variables, floating; those that have `requires_grad` in PyTorch. A
            frozen parameter is left out.

    Raises:
        BlitzError: a leaf is not floating; TensorFlow only warns (gap int-requires-grad).
    """

    def __init__(self, leaves: Iterable):
        self.leaves = [_plain(leaf) for leaf in leaves]
        for leaf in self.leaves:
            if not (leaf.dtype.is_floating or leaf.dtype.is_complex):
                raise BlitzError(f"only floating and complex tensors can require gradients, not {leaf.dtype.name}")
        self._grads: list[tf.Tensor | None] = [None] * len(self.leaves)

    def grad(self, leaf) -> Any:  # not `| None`: after a backward pass every caller would have to rule it out
        """Return the sum so far, of the leaf's shape; None where no backward pass has reached the leaf.

        Raises:
            BlitzError: it is not one of the leaves.
        """
        return self._grads[self._index(leaf)]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the sums.

        Args:
            set_to_none: they are None, as before any pass; otherwise those that are not None become zeros.

        Source: torch/optim/optimizer.py.
        """
        self._grads = [None if set_to_none or grad is None else tf.zeros_like(grad) for grad in self._grads]

    def record(self) -> "Recording":
        """Return a context manager that records what its block does with the leaves."""
        return Recording(self)

    def add(self, gradients: Iterable[tf.Tensor | None]) -> None:
        """Add a gradient to each leaf's; None, a leaf that took no part, changes nothing."""
        self._grads = [
            old if new is None else new if old is None else old + new
            for old, new in zip(self._grads, gradients, strict=True)
        ]

    def _index(self, leaf) -> int:
        plain = _plain(leaf)
        for index, known in enumerate(self.leaves):
            if known is plain:
                return index
        raise BlitzError("this tensor is not one of the leaves; use Recording.gradient for the gradient of a non-leaf")


class Recording:
    """The operations on the leaves within a `with` block, and the passes backward through them.

    Exactly the leaves are watched: neither other variables nor, as `tape.watch` would, what is watched too late.

    Args:
        gradients: the leaves, and where `backward` adds.
    """

    def __init__(self, gradients: Gradients):
        self._gradients = gradients
        self._tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        self._enabled = False

    def __enter__(self) -> "Recording":
        self._tape.__enter__()
        self._enabled = True
        for leaf in self._gradients.leaves:
            self._tape.watch(leaf)
        return self

    def __exit__(self, *error) -> None:
        self._enabled = False
        if self._tape is not None:  # a backward pass within the block has let it go
            self._tape.__exit__(*error)

    def backward(self, output: tf.Tensor, gradient=None, retain_graph: bool = False) -> None:
        """Add Jᵀ · gradient to the `.grad` of every leaf that `output` depends on; J = ∂output/∂leaf.

        Args:
            output: a tensor of this recording.
            gradient: of the shape of `output`; None: 1, for one value alone. TensorFlow takes ones for any shape
                (gap grad-nonscalar).
            retain_graph: keep the recording for another pass.

        Raises:
            BlitzError: no `gradient` for several values, one of another shape, an output that depends on no leaf, or
                a recording already used.

        Source: torch/autograd/__init__.py.
        """
        found = self._products(output, self._gradients.leaves, gradient)
        if all(grad is None for grad in found):
            raise BlitzError("the output does not require grad: it depends on none of the leaves")
        self._gradients.add(found)
        if not retain_graph:
            self._free()

    def gradient(
        self,
        output: tf.Tensor,
        sources: Iterable,
        gradient=None,
        *,
        allow_unused: bool = False,
        materialize_grads: bool = False,
    ) -> list[Any]:  # of tensors; None only with allow_unused
        """Return Jᵀ · gradient for leaves or intermediate tensors, adding to no `.grad`; the recording is retained.

        It is `torch.autograd.grad`, and for an intermediate tensor `retain_grad` (gap hook).

        Args:
            output: a tensor of this recording.
            sources: leaves or tensors computed from them.
            gradient: as for `backward`.
            allow_unused: None for a source that `output` does not depend on.
            materialize_grads: zeros for it.

        Raises:
            BlitzError: as for `backward`, and a source without a gradient where neither is allowed.
        """
        sources = [_plain(source) for source in sources]
        found = self._products(output, sources, gradient)
        if materialize_grads:
            return [tf.zeros_like(s) if grad is None else grad for s, grad in zip(sources, found, strict=True)]
        if not allow_unused and any(grad is None for grad in found):
            raise BlitzError(
                "a source was not used for the output; allow_unused=True gives None, materialize_grads=True zeros"
            )
        return found

    def requires_grad(self, tensor: tf.Tensor) -> bool:
        """Return whether the tensor is a leaf or depends on one, by a way that was recorded.

        `tf.round`, `floor` and their like end such a way; in PyTorch they do not, with zeros for a gradient (gap
        round-floor-grad).
        """
        return any(grad is not None for grad in self._products(tensor, self._gradients.leaves, tf.ones_like(tensor)))

    def is_leaf(self, tensor: tf.Tensor) -> bool:
        """Return PyTorch's `is_leaf`: one of the leaves, or not tracked at all."""
        return any(tensor is leaf for leaf in self._gradients.leaves) or not self.requires_grad(tensor)

    def no_grad(self) -> AbstractContextManager[None]:
        """Record nothing in a block; `torch.no_grad`."""
        return self.set_grad_enabled(False)

    @contextmanager
    def set_grad_enabled(self, mode: bool) -> Iterator[None]:
        """Record, or do not, in a block; they nest, the innermost counts. `torch.set_grad_enabled`.

        Only this recording is meant; another tape around it goes on.
        """
        if mode == self._enabled:
            yield
            return
        tape = self._held()
        self._enabled = mode
        try:
            with tape if mode else tape.stop_recording():
                yield
        finally:
            self._enabled = not mode

    def _products(self, output, sources: list, gradient) -> list[tf.Tensor | None]:
        tape, gradient = self._held(), _checked(output, gradient)
        with self.set_grad_enabled(False):  # else the tape would record its own pass backward
            found = tape.gradient(output, sources, output_gradients=gradient)
        # What a gather gives is IndexedSlices; PyTorch's .grad is dense.
        return [None if grad is None else tf.convert_to_tensor(grad) for grad in found]

    def _held(self) -> tf.GradientTape:
        if self._tape is None:
            raise BlitzError("backward a second time: the recording is gone; pass retain_graph=True the first time")
        return self._tape

    def _free(self) -> None:
        if self._enabled:
            self._tape.__exit__(None, None, None)
            self._enabled = False
        self._tape = None


def detach(tensor) -> tf.Tensor:
    """Return the same values, through which no gradient passes; PyTorch's shares memory, this need not."""
    return tf.stop_gradient(tensor)


def hook(tensor: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor | None]) -> tf.Tensor:
    """Return the same values; a gradient that passes back through them is `function`'s of it. `register_hook`.

    PyTorch hooks the tensor in place; here use the returned tensor instead.

    Args:
        tensor: any.
        function: from the gradient with respect to `tensor` to another of its shape; None: unchanged.
    """

    @tf.custom_gradient
    def identity(values):
        def passed(gradient):
            changed = function(gradient)
            return gradient if changed is None else changed

        return tf.identity(values), passed

    return identity(tensor)


def _plain(leaf):
    """Return the TensorFlow variable of a Keras variable, which a tape knows by its identity."""
    if isinstance(leaf, keras.Variable):
        return leaf.value
    return leaf if isinstance(leaf, tf.Variable) else tf.convert_to_tensor(leaf)


def _checked(output, gradient) -> tf.Tensor:
    """Return the gradient argument as a tensor that fits the output."""
    if gradient is None:
        if output.shape.num_elements() != 1:
            raise BlitzError(
                f"grad can be implicitly created only for scalar outputs; this one is {tuple(output.shape)}: "
                "pass gradient= of that shape"
            )
        return tf.ones_like(output)
    gradient = tf.cast(as_tensor(gradient), output.dtype)
    if gradient.shape != output.shape:
        raise BlitzError(f"gradient must have the output's shape {tuple(output.shape)}, not {tuple(gradient.shape)}")
    return gradient
