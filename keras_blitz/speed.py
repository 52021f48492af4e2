"""Which shortcuts are taken for speed on a CPU: one explicit choice for layers, losses and optimizers.

A shortcut gives what the plain rule gives, to rounding, by other operations. The files of the layers, losses and
optimizers show the plain rule; `layers/cpu.py`, `losses/cpu.py` and `optim/fused.py` have the shortcuts, each with its
measurement.

    with speed.plain():                      every layer, loss and optimizer follows its plain rule
    with speed.using(small_maps=False):      all shortcuts but one
    speed.choose(halved_products=True)       for the whole process, from here on

The choice is read when a layer is called. A compiled function keeps the choice it was traced with.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Choice:
    """The shortcuts by name; True: take it wherever it applies."""

    # layers/cpu.py: `Conv2d` whose padding keeps the size of the map, with TensorFlow's own padding
    same_padding: bool = True
    # layers/cpu.py: `Conv2d` of a small map, as one product of matrices
    small_maps: bool = True
    # layers/cpu.py: that product in two halves, for one image. It is faster only where an operation has one thread and
    # two operations run at a time, which `training.tune_cpu(1, 2)` sets up.
    halved_products: bool = False
    # layers/cpu.py: the gradient of `Conv2d(…, banded=True)`, by whole rows
    gradient_by_rows: bool = True
    # layers/cpu.py: `BatchNorm` of eval mode, in one operation
    fused_batch_norm: bool = True
    # layers/cpu.py: `AdaptiveAvgPool2d` whose windows are all of one size, as ordinary pooling
    equal_windows: bool = True
    # losses/cpu.py: the divisor of a mean without class weights, by counting
    counted_targets: bool = True
    # losses/cpu.py: `CrossEntropyLoss.of_parts`, each part by itself
    parts_apart: bool = True
    # optim/fused.py: `SGD` without dampening and Nesterov's momentum, in one operation
    fused_sgd: bool = True


_PLAIN = Choice(**{field.name: False for field in fields(Choice)})

# What a block has chosen, in its own thread and its tasks alone; None: what the process has.
_of_block: ContextVar[Choice | None] = ContextVar("choice", default=None)
_of_process = Choice()


def choice() -> Choice:
    """Return the choice that holds here."""
    return _of_block.get() or _of_process


def choose(**shortcuts: bool) -> None:
    """Change the choice of the process: that of every thread, outside of the blocks below.

    Args:
        shortcuts: True or False by the names in `Choice`; the others stay as they are.
    """
    global _of_process
    _of_process = replace(_of_process, **shortcuts)


@contextmanager
def using(**shortcuts: bool) -> Iterator[None]:
    """Change the choice inside the block and restore it after.

    It holds in the thread that enters the block. A thread that is started inside, as `tf.distribute` starts one for
    each replica, has the choice of the process.

    Args:
        shortcuts: True or False by the names in `Choice`; the others stay as they are.
    """
    with _hold(replace(choice(), **shortcuts)):
        yield


@contextmanager
def plain() -> Iterator[None]:
    """Take no shortcut inside the block, in the thread that enters it: what the plain rules give, or how fast they are.

    For the whole process, name each shortcut in `choose`.
    """
    with _hold(_PLAIN):
        yield


@contextmanager
def _hold(chosen: Choice) -> Iterator[None]:
    before = _of_block.set(chosen)
    try:
        yield
    finally:
        _of_block.reset(before)
