"""`torch.nn.Embedding` and `EmbeddingBag`."""

from typing import Any

import keras
import tensorflow as tf


@tf.custom_gradient
def scale_gradient(values: tf.Tensor, factor: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Return the values; their gradient is multiplied by a factor."""
    return tf.identity(values), lambda upstream: (upstream * factor, None)


class _Table(keras.layers.Layer):
    """What both share: a table of vectors, and what a look-up does to it."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        **options,
    ):
        super().__init__(**options)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be from {-num_embeddings} to {num_embeddings - 1}, not {padding_idx}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, float(norm_type), scale_grad_by_freq

    def build(self, input_shape):
        """Make the table: N(0, 1), with zeros for the padding."""

        def initial(shape, dtype=None):
            values = keras.initializers.RandomNormal(0.0, 1.0)(shape, dtype)
            if self.padding_idx is None:
                return values
            return values * tf.cast(tf.range(shape[0]) != self.padding_idx, values.dtype)[:, tf.newaxis]

        shape = (self.num_embeddings, self.embedding_dim)
        self.embeddings = self.add_weight(name="embeddings", shape=shape, initializer=initial)

    def _look_up(self, ids):
        """Return the vectors of ids (…,), (…, embedding_dim)."""
        if self.max_norm is not None:
            self._shorten(tf.reshape(ids, (-1,)))
        vectors = tf.gather(tf.convert_to_tensor(self.embeddings), ids)
        if self.scale_grad_by_freq:
            counts = tf.math.bincount(tf.reshape(ids, (-1,)), minlength=self.num_embeddings, dtype=vectors.dtype)
            vectors = scale_gradient(vectors, 1 / tf.gather(counts, ids)[..., tf.newaxis])
        if self.padding_idx is not None:
            vectors = scale_gradient(vectors, tf.cast(ids != self.padding_idx, vectors.dtype)[..., tf.newaxis])
        return vectors

    def _shorten(self, ids):
        """Scale the vectors that are looked up and longer than `max_norm`, in the table itself."""
        table = tf.stop_gradient(tf.convert_to_tensor(self.embeddings))
        norms = tf.norm(table, self.norm_type, axis=1, keepdims=True)
        looked_up = tf.scatter_nd(ids[:, tf.newaxis], tf.ones_like(ids), (self.num_embeddings,)) > 0
        limit = tf.constant(self.max_norm, table.dtype)
        shortened = tf.where(norms > limit, table * (limit / (norms + 1e-7)), table)
        self.embeddings.assign(tf.where(looked_up[:, tf.newaxis], shortened, table))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "padding_idx": self.padding_idx,
            "max_norm": self.max_norm,
            "norm_type": self.norm_type,
            "scale_grad_by_freq": self.scale_grad_by_freq,
        }


@keras.saving.register_keras_serializable("keras_blitz")
class Embedding(_Table):
    """A table of vectors, looked up by their numbers.

    `keras.layers.Embedding` starts from U(−0.05, 0.05) (gap embedding-init); its `mask_zero` masks what follows, while
    the row still learns (gap embedding-padding-idx: 1.1); its constraint shortens every row (gap embedding-max-norm).

    Args:
        num_embeddings: ≥ 1.
        embedding_dim: ≥ 1.
        padding_idx: a row that is 0 at first and has no gradient; negative: from the end.
        max_norm: a row that is looked up and longer is scaled to this length in the table, whatever the mode.
        norm_type: p of that length, > 0.
        scale_grad_by_freq: divide a row's gradient by how often it is looked up in the batch.

    Called with `reverse=True` it is the layer tied to it, which multiplies by the transposed table: every row has that
    gradient, the padding's too. The padding's row of `keras.layers.ReversibleEmbedding` learns from the looking up, as
    well (gap embedding-tied: 1.7e-1).

    Shapes:
        input (…,) of whole numbers, output (…, embedding_dim); reversed (…, embedding_dim) and (…, num_embeddings).

    Source: torch/nn/modules/sparse.py.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        **options,
    ):
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, **options)

    def call(self, inputs, reverse=False):
        """Look up, or multiply by the transposed table."""
        if reverse:
            return tf.matmul(inputs, tf.convert_to_tensor(self.embeddings), transpose_b=True)
        return self._look_up(tf.cast(inputs, "int32") if inputs.dtype.is_floating else inputs)

    def compute_output_spec(self, inputs, reverse=False):
        """Return (…, embedding_dim), or (…, num_embeddings)."""
        shape = (*inputs.shape[:-1], self.num_embeddings) if reverse else (*inputs.shape, self.embedding_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("keras_blitz")
class EmbeddingBag(_Table):
    """The sum, mean or maximum of the vectors in each bag.

    Keras has no such layer. An empty bag gives zeros; of equal maxima the first has the gradient.

    Args:
        num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq: as for `Embedding`.
        mode: "mean", "sum" or "max".
        include_last_offset: the last offset is where the last bag ends.
        padding_idx: entries that are left out of every bag, and whose row has no gradient.

    Shapes:
        input (N, L), N bags; or (T,) with offsets (N,), where each begins; per_sample_weights as the input, for "sum".
        output (N, embedding_dim).

    Raises:
        ValueError: unknown mode, weights with another mode than "sum", or offsets with bags of two axes.

    Source: torch/nn/modules/sparse.py.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        **options,
    ):
        super().__init__(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, **options)
        if mode not in ("mean", "sum", "max"):
            raise ValueError(f'mode must be "mean", "sum" or "max", not {mode!r}')
        self.mode, self.include_last_offset = mode, include_last_offset

    def call(self, inputs, offsets=None, per_sample_weights=None):
        """Look up, and reduce each bag."""
        if per_sample_weights is not None and self.mode != "sum":
            raise ValueError(f'{self.name}: per_sample_weights need mode "sum", not {self.mode!r}')
        if (len(inputs.shape) == 2) != (offsets is None):
            raise ValueError(f"{self.name}: offsets are for inputs of one axis, not of shape {inputs.shape}")
        places, inside = self._bags(inputs, offsets)
        ids = inputs if places is None else tf.gather(inputs, places)
        if self.padding_idx is not None:
            inside &= ids != self.padding_idx
        vectors = self._look_up(inputs)
        vectors = vectors if places is None else tf.gather(vectors, places)
        counted = tf.cast(inside, vectors.dtype)[..., tf.newaxis]
        if per_sample_weights is not None:
            shares = per_sample_weights if places is None else tf.gather(per_sample_weights, places)
            vectors *= tf.cast(shares, vectors.dtype)[..., tf.newaxis]
        return self._reduce(vectors, counted)

    def _bags(self, inputs, offsets):
        """Return where each bag's entries are, (N, longest), None: as they stand; and which places are its own."""
        if offsets is None:
            return None, tf.ones_like(inputs, tf.bool)
        total = tf.cast(tf.shape(inputs)[0], offsets.dtype)
        starts = offsets[:-1] if self.include_last_offset else offsets
        ends = offsets[1:] if self.include_last_offset else tf.concat([offsets[1:], [total]], 0)
        places = starts[:, tf.newaxis] + tf.range(tf.reduce_max(ends - starts))
        return tf.minimum(places, total - 1), places < ends[:, tf.newaxis]

    def _reduce(self, vectors, counted):
        if self.mode != "max":
            sums = tf.reduce_sum(vectors * counted, 1)
            return sums if self.mode == "sum" else sums / tf.maximum(tf.reduce_sum(counted, 1), 1)
        lowest = tf.constant(vectors.dtype.min, vectors.dtype)
        first = tf.argmax(tf.where(counted > 0, vectors, lowest), 1)
        chosen = tf.one_hot(first, tf.shape(vectors)[1], axis=1, dtype=vectors.dtype) * counted
        return tf.reduce_sum(vectors * chosen, 1)

    def compute_output_shape(self, inputs_shape, offsets_shape=None, per_sample_weights_shape=None):
        """Return (N, embedding_dim)."""
        bags = inputs_shape[0] if offsets_shape is None else offsets_shape[0]
        known = bags if offsets_shape is None or bags is None else bags - self.include_last_offset
        return (known, self.embedding_dim)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mode": self.mode, "include_last_offset": self.include_last_offset}
