"""`torch.nn.LSTM`, `GRU` and `RNN`: stacks of layers in one or both directions, with PyTorch's weights."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform
from keras_blitz.layers.cells import rnn_step, step_gru, step_lstm
from keras_blitz.layers.dropout import Dropout


class _Recurrent(keras.layers.Layer):
    """What the three share: the stack, both directions, and weights with PyTorch's names and layouts."""

    gates = 1

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options,
    ):
        super().__init__(**options)
        for name, value in (("hidden_size", hidden_size), ("num_layers", num_layers)):
            if value < 1:
                raise ValueError(f"{name} must be a whole number ≥ 1, not {value!r}")
        self.hidden_size, self.num_layers, self.use_bias = hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        between = num_layers - 1 if dropout else 0
        self.dropouts = [Dropout(dropout, dtype=self.dtype_policy) for _ in range(between)]

    @property
    def _width(self) -> int:
        """The width of a direction's output."""
        return self.hidden_size

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def build(self, input_shape):
        """Make the weights of every layer and direction, in PyTorch's order."""
        self._weights_of: list[dict[str, Any]] = []
        width = input_shape[-1]
        for number in range(self.num_layers):
            for direction in self._directions:
                shapes = self._shapes(width)
                self._weights_of.append(
                    {name: self._make(f"{name}_l{number}{direction}", shape) for name, shape in shapes.items()}
                )
            width = self._width * len(self._directions)

    def _shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, self._width)}
        return {**shapes, "bias_ih": (rows,), "bias_hh": (rows,)} if self.use_bias else shapes

    def _make(self, name: str, shape: tuple[int, ...]):
        return self.add_weight(name=name, shape=shape, initializer=fan_in_uniform(self.hidden_size))

    def call(self, inputs, hx=None, lengths=None, training=False):
        """Return (output, the states after the last step)."""
        values = tf.transpose(inputs, (1, 0, 2)) if self.batch_first else inputs  # (L, N, C)
        starts = self._starts(values, hx)
        ends = []
        for number in range(self.num_layers):
            sides = []
            for side in range(len(self._directions)):
                index = number * len(self._directions) + side
                output, end = self._run(values, starts[index], self._weights_of[index], lengths, bool(side))
                sides.append(output)
                ends.append(end)
            values = tf.concat(sides, -1) if self.bidirectional else sides[0]
            if number < len(self.dropouts):
                values = self.dropouts[number](values, training=training)
        states = tuple(map(tf.stack, zip(*ends, strict=True)))
        output = tf.transpose(values, (1, 0, 2)) if self.batch_first else values
        return output, self._arrange_result(states)

    def _run(self, values, start, weights, lengths, reverse):
        """Run one direction of one layer.

        Args:
            values: (L, N, C).
            start: its states, a tuple.
            lengths: (N,) steps of each sequence, or None: all.

        Returns:
            Its output (L, N, H), zero after a sequence's end, and its states after the last step of each.
        """
        given = tf.einsum("lnc,gc->lng", values, weights["weight_ih"])
        given = given + weights["bias_ih"] if self.use_bias else given
        step = tf.range(tf.shape(values)[0])

        def advance(before, now):
            after = self._step(now[0], before, weights)
            if lengths is None:
                return after
            valid = (now[1] < tf.cast(lengths, step.dtype))[:, tf.newaxis]
            return tuple(tf.where(valid, new, old) for new, old in zip(after, before, strict=True))

        states = tf.scan(advance, (given, step), start, reverse=reverse)
        ends = tuple(each[0 if reverse else -1] for each in states)
        if lengths is None:
            return states[0], ends
        valid = (step[:, tf.newaxis] < tf.cast(lengths, step.dtype))[..., tf.newaxis]
        return tf.where(valid, states[0], tf.zeros_like(states[0])), ends

    def _step(self, given, state, weights):
        raise NotImplementedError

    def _starts(self, values, hx) -> list[tuple]:
        """Return the states that each layer and direction starts from."""
        count = self.num_layers * len(self._directions)
        if hx is None:
            zeros = tuple(tf.zeros((tf.shape(values)[1], width), values.dtype) for width in self._state_widths())
            return [zeros] * count
        states = hx if isinstance(hx, tuple | list) else (hx,)
        if len(states) != len(self._state_widths()):
            raise ValueError(f"{self.name}: hx must be {len(self._state_widths())} states, not {len(states)}")
        return [tuple(state[index] for state in states) for index in range(count)]

    def _state_widths(self) -> tuple[int, ...]:
        return (self.hidden_size,)

    def _arrange_result(self, states):
        return states[0]

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": self.use_bias,
            "batch_first": self.batch_first,
            "dropout": self.dropout,
            "bidirectional": self.bidirectional,
        }


@keras.saving.register_keras_serializable("keras_blitz")
class RNN(_Recurrent):
    """A stack of layers h′ = tanh(W_ih·x + b_ih + W_hh·h + b_hh), see `RNNCell`.

    `keras.layers.SimpleRNN` is one layer with one bias (gap rnn-map). It takes no lengths; with a mask it repeats the
    last output after a sequence's end (gap rnn-padded-steps: differs by 0.6). Its initial values are others:
    U(−1/√hidden_size, 1/√hidden_size) in PyTorch.

    Args:
        hidden_size: ≥ 1.
        num_layers: of the stack, ≥ 1.
        nonlinearity: "tanh" or "relu".
        bias: learn both biases.
        batch_first: inputs and outputs are (N, L, C). True, as everywhere in Keras; PyTorch's default is False.
        dropout: probability, 0–1, between the layers of a stack in train mode.
        bidirectional: a second direction, from the last step to the first, whose outputs follow the first's.

    Shapes:
        inputs (N, L, C); hx (num_layers · directions, N, hidden_size), zeros where it is None; lengths (N,), None: L.
        output (N, L, directions · hidden_size) and the last states, as hx.

    `lengths` does what `pack_padded_sequence` and `pad_packed_sequence` do: steps after a sequence's end are zeros in
    the output, the state is that of its last step, and the second direction starts there.

    Source: torch/nn/modules/rnn.py.
    """

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options,
    ):
        super().__init__(hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options)
        self.nonlinearity = nonlinearity
        self._step_of = rnn_step(nonlinearity)

    def _step(self, given, state, weights):
        return (self._step_of(given, state[0], weights["weight_hh"], weights.get("bias_hh")),)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "nonlinearity": self.nonlinearity}


@keras.saving.register_keras_serializable("keras_blitz")
class GRU(_Recurrent):
    """A stack of layers h′ = (1 − z)·n + z·h, see `GRUCell`.

    `keras.layers.GRU` is one layer, with its gates in another order (gap gru-map). Arguments, shapes and `lengths` as
    for `RNN`, without `nonlinearity`.

    Source: torch/nn/modules/rnn.py.
    """

    gates = 3

    def _step(self, given, state, weights):
        return (step_gru(given, state[0], weights["weight_hh"], weights.get("bias_hh")),)


@keras.saving.register_keras_serializable("keras_blitz")
class LSTM(_Recurrent):
    """A stack of layers h′ = o·tanh(c′), c′ = f·c + i·g, see `LSTMCell`.

    `keras.layers.LSTM` is one layer with one bias, which an optimizer moves half as far (gaps lstm-map, rnn-gradients);
    `keras.layers.Bidirectional` returns the states of other steps (gap birnn-last). Neither projects.

    Args:
        hidden_size, num_layers, bias, batch_first, dropout, bidirectional: as for `RNN`.
        proj_size: project h′ to this width, 1 … hidden_size − 1; 0: not.

    Shapes:
        As for `RNN`, but hx and the last states are pairs (h, c), and h and the output have width proj_size, if any.

    Source: torch/nn/modules/rnn.py.
    """

    gates = 4

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options,
    ):
        super().__init__(hidden_size, num_layers, bias, batch_first, dropout, bidirectional, **options)
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be a whole number from 0 to hidden_size − 1, not {proj_size!r}")
        self.proj_size = proj_size

    @property
    def _width(self) -> int:
        return self.proj_size or self.hidden_size

    def _shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._shapes(width)
        return {**shapes, "weight_hr": (self.proj_size, self.hidden_size)} if self.proj_size else shapes

    def _step(self, given, state, weights):
        return step_lstm(given, state, weights["weight_hh"], weights.get("bias_hh"), weights.get("weight_hr"))

    def _state_widths(self) -> tuple[int, ...]:
        return self._width, self.hidden_size

    def _arrange_result(self, states):
        return states

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "proj_size": self.proj_size}
