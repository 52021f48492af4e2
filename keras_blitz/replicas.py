"""What a loss, a layer or an optimizer does with the other replicas of a `tf.distribute` strategy."""

from typing import Any

import tensorflow as tf


def count_replicas() -> int:
    """Return how many replicas run this code at the same time; 1 outside of `strategy.run` too."""
    context = tf.distribute.get_replica_context()
    return int(context.num_replicas_in_sync) if context else 1


def sum_over_replicas(values: Any) -> Any:
    """Return a tensor, or a list of tensors, added up over the replicas; as it is where there is but one.

    The gradient of the sum is summed as well. All replicas must come here, in the same order.
    """
    if count_replicas() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce("sum", values)
