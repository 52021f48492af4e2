"""Updates in one operation of TensorFlow's, which are fast on a CPU. `keras_blitz.speed` has a switch for each."""

import tensorflow as tf

from keras_blitz import speed
from keras_blitz.optim.options import Options, Slots


def update_sgd(p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> bool:
    """Make SGD's update of a parameter and its momentum in one operation; return whether it was made.

    b ← μ · b + g
    p ← p − lr · b        without momentum: p ← p − lr · g

    Starting the operations of the plain rule takes a fifth of a small network's step: SGD_FIGURE. There is no such
    operation for dampening, nor for PyTorch's Nesterov momentum, and TensorFlow's distribution strategies cannot follow
    one.

    Args:
        p: the parameter.
        g: its gradient.
        slots: `momentum_buffer`, where there is a momentum.
        options: those of `SGD._update`.
    """
    if not speed.choice().fused_sgd or options["dampening"] or options["nesterov"] or tf.distribute.has_strategy():
        return False
    lr = tf.cast(options["lr"], p.dtype)
    if slots:
        b, mu = slots["momentum_buffer"], tf.cast(options["momentum"], p.dtype)
        tf.raw_ops.ResourceApplyMomentum(var=p.handle, accum=b.handle, lr=lr, grad=g, momentum=mu)
    else:
        tf.raw_ops.ResourceApplyGradientDescent(var=p.handle, alpha=lr, delta=g)
    return True
