"""One step of PyTorch's recurrent networks: the formulas, and `torch.nn.LSTMCell`, `GRUCell` and `RNNCell`."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform

Step = Callable[[tf.Tensor, Any, tf.Tensor, Any], Any]


def step_rnn(given: tf.Tensor, state: tf.Tensor, weight: Any, bias: Any, activation: Callable = tf.tanh) -> tf.Tensor:
    """Return h′ = tanh(given + W_hh·h + b_hh), where given = W_ih·x + b_ih."""
    return activation(given + _linear(state, weight, bias))


def step_relu(given: tf.Tensor, state: tf.Tensor, weight: Any, bias: Any) -> tf.Tensor:
    """Return h′ = relu(given + W_hh·h + b_hh)."""
    return step_rnn(given, state, weight, bias, tf.nn.relu)


def step_gru(given: tf.Tensor, state: tf.Tensor, weight: Any, bias: Any) -> tf.Tensor:
    """Return h′ = (1 − z)·n + z·h, where n = tanh(given_n + r·(W_hn·h + b_hn)); the gates stand as r, z, n."""
    given_r, given_z, given_n = tf.split(given, 3, -1)
    own_r, own_z, own_n = tf.split(_linear(state, weight, bias), 3, -1)
    reset, update = tf.sigmoid(given_r + own_r), tf.sigmoid(given_z + own_z)
    new = tf.tanh(given_n + reset * own_n)
    return (1 - update) * new + update * state


def step_lstm(
    given: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor], weight: Any, bias: Any, projection: Any = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return h′ = o·tanh(c′), c′ = f·c + i·g; the gates stand as i, f, g, o; h′ is projected to W_hr·h′ where given."""
    hidden, cell = state
    i, f, g, o = tf.split(given + _linear(hidden, weight, bias), 4, -1)
    cell = tf.sigmoid(f) * cell + tf.sigmoid(i) * tf.tanh(g)
    hidden = tf.sigmoid(o) * tf.tanh(cell)
    return (hidden if projection is None else tf.matmul(hidden, projection, transpose_b=True)), cell


def _linear(inputs: tf.Tensor, weight: Any, bias: Any) -> tf.Tensor:
    outputs = tf.matmul(inputs, weight, transpose_b=True)
    return outputs if bias is None else outputs + bias


class _Cell(keras.layers.Layer):
    """What the three cells share: their weights, which have PyTorch's names and layouts."""

    gates = 1

    def __init__(self, hidden_size: int, bias: bool = True, **options):
        super().__init__(**options)
        if hidden_size < 1:
            raise ValueError(f"hidden_size must be a whole number ≥ 1, not {hidden_size!r}")
        self.hidden_size, self.use_bias = hidden_size, bias

    def build(self, input_shape):
        """Make the weights, and the biases if any."""
        width, initial = self.gates * self.hidden_size, fan_in_uniform(self.hidden_size)
        self.weight_ih = self.add_weight(name="weight_ih", shape=(width, input_shape[-1]), initializer=initial)
        self.weight_hh = self.add_weight(name="weight_hh", shape=(width, self.hidden_size), initializer=initial)
        self.bias_ih = self.bias_hh = None
        if self.use_bias:
            self.bias_ih = self.add_weight(name="bias_ih", shape=(width,), initializer=initial)
            self.bias_hh = self.add_weight(name="bias_hh", shape=(width,), initializer=initial)

    def _step(self, given, state):
        raise NotImplementedError

    def call(self, inputs, hx=None):
        """Return the next state, from `hx` or from zeros."""
        state = self._zeros(inputs) if hx is None else hx
        return self._step(_linear(inputs, self.weight_ih, self.bias_ih), state)

    def _zeros(self, inputs):
        return tf.zeros((tf.shape(inputs)[0], self.hidden_size), inputs.dtype)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "hidden_size": self.hidden_size, "bias": self.use_bias}


@keras.saving.register_keras_serializable("keras_blitz")
class RNNCell(_Cell):
    """h′ = tanh(W_ih·x + b_ih + W_hh·h + b_hh)

    `keras.layers.SimpleRNNCell` has one bias, whose update is half of what PyTorch's two make (gap rnn-gradients).

    Args:
        hidden_size: ≥ 1.
        bias: learn both biases.
        nonlinearity: "tanh" or "relu".

    Shapes:
        inputs (N, C), hx and the result (N, hidden_size).

    Source: torch/nn/modules/rnn.py.
    """

    def __init__(self, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **options):
        super().__init__(hidden_size, bias, **options)
        self.nonlinearity = nonlinearity
        self._step_of = rnn_step(nonlinearity)

    def _step(self, given, state):
        return self._step_of(given, state, self.weight_hh, self.bias_hh)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "nonlinearity": self.nonlinearity}


@keras.saving.register_keras_serializable("keras_blitz")
class GRUCell(_Cell):
    """h′ = (1 − z)·n + z·h, with n = tanh(W_in·x + b_in + r·(W_hn·h + b_hn)); gates r, z, n.

    `keras.layers.GRUCell` has the gates in another order (gap gru-map: a copied weight differs by 0.4).

    Args:
        hidden_size: ≥ 1.
        bias: learn both biases.

    Shapes:
        inputs (N, C), hx and the result (N, hidden_size).

    Source: torch/nn/modules/rnn.py.
    """

    gates = 3

    def _step(self, given, state):
        return step_gru(given, state, self.weight_hh, self.bias_hh)


@keras.saving.register_keras_serializable("keras_blitz")
class LSTMCell(_Cell):
    """h′ = o·tanh(c′), c′ = f·c + i·g; gates i, f, g, o.

    `keras.layers.LSTMCell` has one bias, whose update is half of what PyTorch's two make (gap rnn-gradients).

    Args:
        hidden_size: ≥ 1.
        bias: learn both biases.

    Shapes:
        inputs (N, C), hx and the result a pair (h, c), each (N, hidden_size).

    Source: torch/nn/modules/rnn.py.
    """

    gates = 4

    def _step(self, given, state):
        return step_lstm(given, state, self.weight_hh, self.bias_hh)

    def _zeros(self, inputs):
        return super()._zeros(inputs), super()._zeros(inputs)


def rnn_step(nonlinearity: str) -> Step:
    """Return the step of an RNN.

    Raises:
        ValueError: neither "tanh" nor "relu".
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'nonlinearity must be "tanh" or "relu", not {nonlinearity!r}')
    return step_rnn if nonlinearity == "tanh" else step_relu
