"""Tensor operations: making, shaping, selecting, arithmetic, reducing, comparing, linear algebra."""

import numpy as np

from keras_blitz.floatx import precision
from parity.gaps.gap import array_gap, gap, output_gap
from parity.gaps.helpers import channels_last, dtype, float32, numbers, raised, rounded
from parity.gaps.lazy import keras, ops, random, tf, torch

GRID = np.array([[3.0, 1.0, 2.0, 4.0], [4.0, 4.0, 1.0, 0.0]])


def _grid(stream):
    return GRID.copy()


@array_gap(
    "op-default-dtypes",
    "O",
    "whole numbers are int64, others float32",
    "`tf.constant([1, 2])` is int32",
    "`keras_blitz.ops.tensor`",
)
class _:
    def pytorch():
        return {"whole": dtype(torch.tensor([1, 2])), "other": dtype(torch.tensor([1.5]))}

    def naive():
        return {"whole": dtype(tf.constant([1, 2])), "other": dtype(tf.constant([1.5]))}

    def exact():
        with precision("float32"):
            return {"whole": dtype(ops.tensor([1, 2])), "other": dtype(ops.tensor([1.5]))}


@array_gap("op-arange-dtype", "O", "`arange(3)` is int64", "`tf.range(3)` is int32", "`keras_blitz.ops.arange`")
class _:
    def pytorch():
        return torch.arange(3)

    def naive():
        return tf.range(3)

    def exact():
        return ops.arange(3)


@array_gap(
    "op-torch-Tensor",
    "O",
    "`torch.Tensor(3)`: three values, whatever they are",
    "`tf.constant(3.0)`: one",
    "`keras_blitz.ops.Tensor`",
)
class _:
    def pytorch():
        return {"shape": str(tuple(torch.Tensor(3).shape))}

    def naive():
        return {"shape": str(tuple(tf.constant(3.0).shape))}

    def exact():
        return {"shape": str(tuple(ops.Tensor(3).shape))}


@array_gap(
    "op-from-numpy-alias",
    "O",
    "`from_numpy` shares memory: a change of the array shows",
    "`tf.constant` copies",
    "read the array again",
    a=lambda s: np.zeros(2),
)
class _:
    def pytorch(a):
        tensor = torch.from_numpy(a)
        a[0] = 5
        return tensor

    def naive(a):
        tensor = tf.constant(a)
        a[0] = 5
        return tensor

    def exact(a):
        a[0] = 5
        return tf.constant(a)


@array_gap(
    "op-view-alias",
    "O",
    "`view` shares memory: a change of the view shows in the tensor",
    "`tf.reshape` gives a new tensor",
    "`tf.tensor_scatter_nd_update` of the tensor itself",
)
class _:
    def pytorch():
        tensor = torch.zeros(4)
        tensor.view(2, 2)[0, 1] = 1
        return tensor

    def naive():
        tensor = tf.zeros(4)
        _ = tf.tensor_scatter_nd_update(tf.reshape(tensor, [2, 2]), [[0, 1]], [1.0])
        return tensor

    def exact():
        return tf.tensor_scatter_nd_update(tf.zeros(4), [[1]], [1.0])


@array_gap(
    "op-inplace-suffix", "O", "`add_` changes the tensor", "`tf.add` returns a new one", "give the name to the result"
)
class _:
    def pytorch():
        tensor = torch.ones(2)
        tensor.add_(1)
        return tensor

    def naive():
        tensor = tf.ones(2)
        tf.add(tensor, 1)
        return tensor

    def exact():
        tensor = tf.ones(2)
        return tf.add(tensor, 1)


@output_gap(
    "op-resize",
    "O",
    "`resize_(2, 2)` of six values takes the first four",
    "`tf.reshape` to (2, 2) is refused",
    "`keras_blitz.ops.resize`",
    x=lambda s: np.arange(6.0),
)
class _:
    def pytorch(x):
        return x.clone().resize_(2, 2)

    def naive(x):
        return tf.reshape(x, [2, 2])

    def exact(x):
        return ops.resize(x, 2, 2)


@array_gap(
    "op-linspace",
    "O (1 ulp)",
    "`linspace` in float32 counts from both ends",
    "`tf.linspace` counts from the first",
    "`keras_blitz.ops.linspace`: from both ends, in fused multiply-adds",
)
class _:
    def pytorch():
        return torch.linspace(3, 10, 50)

    def naive():
        return tf.linspace(3.0, 10.0, 50)

    def exact():
        return ops.linspace(3, 10, 50, dtype=tf.float32)


@array_gap(
    "op-linspace-f64",
    "O (1 ulp)",
    "`linspace` in float64",
    "`tf.linspace`: the same to rounding",
    "`keras_blitz.ops.linspace`",
)
class _:
    def pytorch():
        return torch.linspace(0.1, 1, 7, dtype=torch.float64)

    def naive():
        return tf.linspace(tf.constant(0.1, tf.float64), tf.constant(1, tf.float64), 7)

    def exact():
        return ops.linspace(0.1, 1, 7, dtype=tf.float64)


@array_gap(
    "op-logspace",
    "O (1 ulp)",
    "`logspace(−1, 1, 5)`",
    "`keras.ops.logspace`: the same to rounding",
    "`keras_blitz.ops.logspace`",
)
class _:
    def pytorch():
        return torch.logspace(-1, 1, 5, dtype=torch.float64)

    def naive():
        return keras.ops.logspace(-1.0, 1.0, 5, dtype="float64")

    def exact():
        return ops.logspace(-1, 1, 5, dtype=tf.float64)


@array_gap(
    "op-arange-float",
    "O",
    "`arange(0, 1, 0.1)` in float32 is start + i·step, in double precision",
    "`tf.range(0.0, 1.0, 0.1)` adds up in float32",
    "`keras_blitz.ops.arange`",
)
class _:
    def pytorch():
        return torch.arange(0, 1, 0.1)

    def naive():
        return tf.range(0.0, 1.0, 0.1)

    def exact():
        with precision("float32"):
            return ops.arange(0, 1, 0.1)


@array_gap(
    "op-range-legacy",
    "O",
    "`torch.range(0, 4)` includes the end",
    "`tf.range(0.0, 4.0)` does not",
    "`tf.range(0.0, 5.0)`",
)
class _:
    def pytorch():
        return torch.range(0, 4)

    def naive():
        return tf.range(0.0, 4.0)

    def exact():
        return tf.range(0.0, 5.0)


@array_gap(
    "op-rand",
    "O T",
    "`manual_seed(3)`, `rand(5)`",
    "NumPy's `RandomState(3).rand`: the same generator, other bits of it",
    "`keras_blitz.random.rand`",
)
class _:
    def pytorch():
        torch.manual_seed(3)
        return torch.rand(5)

    def naive():
        return np.random.RandomState(3).rand(5).astype(np.float32)

    def exact():
        return random.Generator().manual_seed(3).rand(5)


@array_gap(
    "op-multinomial-normal",
    "O",
    "`manual_seed(0)`, `bernoulli`",
    "`tf.random.uniform` after `set_seed(0)`",
    "`keras_blitz.random.bernoulli`",
)
class _:
    def pytorch():
        torch.manual_seed(0)
        return torch.bernoulli(torch.full((40,), 0.3))

    def naive():
        tf.random.set_seed(0)
        return tf.cast(tf.random.uniform([40]) < 0.3, tf.float32)

    def exact():
        return random.Generator().manual_seed(0).bernoulli(np.full(40, 0.3, np.float32))


@array_gap("op-eye", "O", "`eye(2, 3)`", "`tf.eye(2, 3)`: the second argument", "`keras_blitz.ops.eye`")
class _:
    def pytorch():
        return torch.eye(2, 3)

    def naive():
        return tf.eye(2, 3)

    def exact():
        with precision("float32"):
            return ops.eye(2, 3)


@array_gap(
    "op-int-division",
    "O",
    "whole numbers divided are float32",
    "TensorFlow's are float64",
    "`keras_blitz.ops.div`",
)
class _:
    def pytorch():
        return torch.tensor(7) / torch.tensor(2)

    def naive():
        return tf.constant(7) / tf.constant(2)

    def exact():
        with precision("float32"):
            return ops.div(ops.tensor(7), ops.tensor(2))


@array_gap("op-floor-division", "O", "`//` rounds down", "`//`: the same", "`//`: the same")
class _:
    def pytorch():
        return torch.tensor([7, -7, 7, -7]) // torch.tensor([2, 2, -2, -2])

    def naive():
        return tf.constant([7, -7, 7, -7], tf.int64) // tf.constant([2, 2, -2, -2], tf.int64)

    def exact():
        return tf.constant([7, -7, 7, -7], tf.int64) // tf.constant([2, 2, -2, -2], tf.int64)


@array_gap("op-div-zero", "O", "1.0 // 0.0 is ∞", "`//`: the same", "`tf.floor(a/b)`")
class _:
    def pytorch():
        return torch.tensor(1.0) // 0.0

    def naive():
        return tf.constant(1.0) // 0.0

    def exact():
        return tf.floor(tf.constant(1.0) / 0.0)


@output_gap(
    "op-remainder",
    "O",
    "`fmod` has the sign of the dividend",
    "`tf.math.mod` has that of the divisor",
    "`tf.truncatemod`",
    a=numbers(7, -7, 7, -7),
    b=numbers(3, 3, -3, -3),
)
class _:
    def pytorch(a, b):
        return torch.fmod(a, b)

    def naive(a, b):
        return tf.math.mod(a, b)

    def exact(a, b):
        return tf.truncatemod(a, b)


@output_gap(
    "op-round",
    "O",
    "`round`: halves to even",
    "`tf.round`: the same",
    "`tf.round`",
    x=numbers(0.5, 1.5, 2.5, -0.5, -1.5),
)
class _:
    def pytorch(x):
        return torch.round(x)

    def naive(x):
        return tf.round(x)

    def exact(x):
        return tf.round(x)


@output_gap(
    "op-round-decimals", "O", "`round(decimals=2)`", "`tf.round` has no decimals", "`tf.round(x·100)/100`", x=(50,)
)
class _:
    def pytorch(x):
        return torch.round(x, decimals=2)

    def naive(x):
        return tf.round(x)

    def exact(x):
        return tf.round(x * 100) / 100


@array_gap("op-int-overflow", "O", "whole numbers overflow by turning over", "TensorFlow: the same", "the same")
class _:
    def pytorch():
        return torch.tensor([2**31 - 1], dtype=torch.int32) + 1

    def naive():
        return tf.constant([2**31 - 1], tf.int32) + 1

    def exact():
        return tf.constant([2**31 - 1], tf.int32) + 1


@array_gap(
    "op-float-to-int",
    "O",
    "`.int()` cuts the fraction off",
    "`tf.cast`: the same",
    "`tf.cast`",
    x=numbers(1.9, -1.9, 2.5),
)
class _:
    def pytorch(x):
        return torch.tensor(x).int()

    def naive(x):
        return tf.cast(x, tf.int32)

    def exact(x):
        return tf.cast(x, tf.int32)


@array_gap(
    "op-type-promotion",
    "O",
    "int64 and float32 tensors add up to float32",
    "TensorFlow refuses",
    "`keras_blitz.ops.add`",
)
class _:
    def pytorch():
        return torch.tensor([1]) + torch.tensor([1.5])

    def naive():
        return tf.constant([1], tf.int64) + tf.constant([1.5])

    def exact():
        with precision("float32"):
            return ops.add(ops.tensor([1]), ops.tensor([1.5]))


@array_gap(
    "op-int-plus-float",
    "O",
    "a tensor of whole numbers plus 1.5 is float32",
    "TensorFlow refuses",
    "`keras_blitz.ops.add`",
)
class _:
    def pytorch():
        return torch.tensor([1]) + 1.5

    def naive():
        return tf.constant([1]) + 1.5

    def exact():
        with precision("float32"):
            return ops.add(ops.tensor([1]), 1.5)


@array_gap(
    "op-python-scalar-f64",
    "O G T",
    "a float64 tensor of 0.1",
    "`tf.cast(0.1, tf.float64)` (and Keras's) passes through float32",
    "`keras_blitz.ops.tensor`, `tf.constant(0.1, tf.float64)`, or `x·0.1`",
)
class _:
    def pytorch():
        return torch.tensor(0.1, dtype=torch.float64)

    def naive():
        return tf.cast(0.1, tf.float64)

    def exact():
        return ops.tensor(0.1, dtype=tf.float64)


@output_gap(
    "op-keras-scalar-f64",
    "O",
    "atan2(x, 0.1) in float64",
    "`keras.ops.arctan2(x, 0.1)` passes 0.1 through float32",
    "a float64 tensor of 0.1",
    x=numbers(1),
)
class _:
    def pytorch(x):
        return torch.atan2(x, torch.tensor(0.1, dtype=x.dtype))

    def naive(x):
        return keras.ops.arctan2(x, 0.1)

    def exact(x):
        return tf.atan2(x, tf.constant(0.1, x.dtype))


@array_gap("op-eq", "O", "`torch.equal` is one truth", "`tf.equal` is one for each value", "`keras_blitz.ops.equal`")
class _:
    def pytorch():
        return torch.equal(torch.ones(2), torch.ones(2))

    def naive():
        return tf.equal(tf.ones(2), tf.ones(2))

    def exact():
        return ops.equal(tf.ones(2), tf.ones(2))


@output_gap(
    "op-max-dim",
    "O",
    "`x.max(1)`: values and indices",
    "`tf.reduce_max`: values",
    "`keras_blitz.ops.max`",
    x=_grid,
)
class _:
    def pytorch(x):
        return {"values": x.max(1).values, "indices": x.max(1).indices}

    def naive(x):
        return {"values": tf.reduce_max(x, 1)}

    def exact(x):
        values, indices = ops.max(x, 1)
        return {"values": values, "indices": indices}


@output_gap(
    "op-argmax-ties", "O", "`argmax` of equal values: the first", "`tf.argmax`: the same", "the same", x=rounded(20, 50)
)
class _:
    def pytorch(x):
        return x.argmax(1)

    def naive(x):
        return tf.argmax(x, 1)

    def exact(x):
        return tf.argmax(x, 1)


@output_gap(
    "op-argmax-nan",
    "O",
    "`argmax`: NaN is the largest",
    "`tf.argmax` passes over NaN",
    "the indices of `keras_blitz.ops.max`",
    x=numbers(1, np.nan, 2),
)
class _:
    def pytorch(x):
        return x.argmax()

    def naive(x):
        return tf.argmax(x)

    def exact(x):
        return ops.max(x, 0)[1]


@output_gap(
    "op-argmax-default",
    "O",
    "`x.argmax()` of the whole tensor",
    "`tf.argmax(x)` along the first axis",
    "`tf.argmax(tf.reshape(x, [−1]))`",
    x=_grid,
)
class _:
    def pytorch(x):
        return x.argmax()

    def naive(x):
        return tf.argmax(x)

    def exact(x):
        return tf.argmax(tf.reshape(x, [-1]))


@output_gap(
    "op-max-nan",
    "O",
    "`max` of NaN is NaN",
    "`tf.reduce_max`: the same",
    "`keras_blitz.ops.max`",
    x=numbers(1, np.nan, 2),
)
class _:
    def pytorch(x):
        return x.max()

    def naive(x):
        return tf.reduce_max(x)

    def exact(x):
        return ops.max(x)


@output_gap(
    "op-topk-ties",
    "O",
    "`sort(descending=True, stable=True)`, the first five indices of equal values",
    "`tf.argsort` of the values reversed",
    "`tf.math.top_k`: the lower index first",
    x=rounded(50, 40),
)
class _:
    def pytorch(x):
        return torch.sort(x, dim=1, descending=True, stable=True).indices[:, :5]

    def naive(x):
        return tf.cast(tf.reverse(tf.argsort(x, 1, stable=True), [1])[:, :5], tf.int64)

    def exact(x):
        return tf.cast(tf.math.top_k(x, 5).indices, tf.int64)


@output_gap(
    "op-sort-stable",
    "O G",
    "`sort(stable=True)` of equal values; without it their order is the processor's",
    "`tf.argsort(x)`",
    "`tf.argsort(stable=True)`",
    x=rounded(50, 40),
)
class _:
    def pytorch(x):
        return x.sort(dim=1, stable=True).indices

    def naive(x):
        return tf.cast(tf.argsort(x, 1), tf.int64)

    def exact(x):
        return tf.cast(tf.argsort(x, 1, stable=True), tf.int64)


@output_gap(
    "op-sort-nan",
    "O",
    "NaN sorts as the largest",
    "`tf.sort`: the same",
    "the same",
    x=numbers(2, np.nan, 1),
)
class _:
    def pytorch(x):
        return x.sort().values

    def naive(x):
        return tf.sort(x)

    def exact(x):
        return tf.sort(x)


@output_gap(
    "op-median",
    "O",
    "`median` of four: the lower of the middle two",
    "`keras.ops.median`: their mean",
    "`keras_blitz.ops.median`",
    x=_grid,
)
class _:
    def pytorch(x):
        return x.median(1).values

    def naive(x):
        return keras.ops.median(x, axis=1)

    def exact(x):
        return ops.median(x, 1)[0]


@output_gap(
    "op-mode",
    "O",
    "`mode`: the most frequent, of several the smallest",
    "`tf.unique_with_counts`: of several the first that appears",
    "sort first",
    x=lambda s: np.array([3, 1, 3, 1, 2]),
)
class _:
    def pytorch(x):
        return x.mode().values

    def naive(x):
        values, _, counts = tf.unique_with_counts(x)
        return values[tf.argmax(counts)]

    def exact(x):
        values, _, counts = tf.unique_with_counts(tf.sort(x))
        return values[tf.argmax(counts)]


@output_gap(
    "op-quantile",
    "O",
    "`quantile(0.3)`",
    "`keras.ops.quantile(x, 0.3)` passes 0.3 through float32",
    "a float64 tensor of 0.3",
    x=(9,),
)
class _:
    def pytorch(x):
        return x.quantile(0.3)

    def naive(x):
        return keras.ops.quantile(x, 0.3)

    def exact(x):
        return keras.ops.quantile(x, tf.constant(0.3, x.dtype))


@gap(
    "op-std-var",
    "O G T",
    "`std` and `var` divide by n − 1",
    "`tf.math.reduce_std`: by n",
    "`keras_blitz.ops.std`",
    x=(3, 7),
)
class _:
    def pytorch(x):
        return x.std(1), x.var(1)

    def naive(x):
        return tf.math.reduce_std(x, 1), tf.math.reduce_variance(x, 1)

    def exact(x):
        return ops.std(x, 1), ops.var(x, 1)


@output_gap(
    "op-var-large-mean",
    "O (f32)",
    "the variance in float32 where |mean| ≫ std",
    "`tf.math.reduce_variance`",
    "in float64, then cast, as PyTorch accumulates",
    x=lambda s: (s.standard_normal(1000) + 1e4).astype(np.float32),
)
class _:
    def pytorch(x):
        return x.var(unbiased=False)

    def naive(x):
        return tf.math.reduce_variance(x)

    def exact(x):
        return tf.cast(tf.math.reduce_variance(tf.cast(x, tf.float64)), x.dtype)


@array_gap(
    "op-mean-int",
    "O",
    "the mean of whole numbers is refused",
    "`tf.reduce_mean` rounds it, silently",
    "`keras_blitz.ops.mean`",
)
class _:
    def pytorch():
        return {"refused": raised(lambda: torch.tensor([1, 2]).mean())}

    def naive():
        return {"refused": raised(lambda: tf.reduce_mean(tf.constant([1, 2])))}

    def exact():
        return {"refused": raised(lambda: ops.mean(tf.constant([1, 2])))}


@array_gap(
    "op-sum-int",
    "O",
    "the sum of int32 is int64",
    "`tf.reduce_sum` stays int32 and overflows",
    "`keras_blitz.ops.sum`",
)
class _:
    def pytorch():
        return torch.full((4,), 2**30, dtype=torch.int32).sum()

    def naive():
        return tf.reduce_sum(tf.fill([4], 2**30))

    def exact():
        return ops.sum(tf.fill([4], 2**30))


@array_gap("op-sum-empty", "O", "the maximum of nothing is refused", "`tf.reduce_max`: −∞", "`keras_blitz.ops.max`")
class _:
    def pytorch():
        return {"refused": raised(lambda: torch.ones(0).max())}

    def naive():
        return {"refused": raised(lambda: tf.reduce_max(tf.ones(0)))}

    def exact():
        return {"refused": raised(lambda: ops.max(tf.ones(0)))}


@output_gap(
    "op-sum-order-f32",
    "O (f32)",
    "the sum of 100,000 float32 values",
    "`tf.reduce_sum`: to rounding",
    "in float64, then cast: closer to the truth",
    x=float32(100000),
)
class _:
    def pytorch(x):
        return x.sum()

    def naive(x):
        return tf.reduce_sum(x)

    def exact(x):
        return tf.cast(tf.reduce_sum(tf.cast(x, tf.float64)), x.dtype)


@output_gap(
    "op-cumsum-f32", "O (f32)", "`cumsum` in float32", "`tf.cumsum`: the same order", "the same", x=float32(1000)
)
class _:
    def pytorch(x):
        return x.cumsum(0)

    def naive(x):
        return tf.cumsum(x)

    def exact(x):
        return tf.cumsum(x)


@output_gap(
    "op-norm-dist",
    "O G",
    "`linalg.norm(m, 2)` is the largest singular value",
    "`tf.norm(m, ord=2)` is that of the vector",
    "`tf.linalg.svd(m, compute_uv=False)[0]`",
    m=(2, 3),
)
class _:
    def pytorch(m):
        return torch.linalg.norm(m, 2)

    def naive(m):
        return tf.norm(m, ord=2)

    def exact(m):
        return tf.linalg.svd(m, compute_uv=False)[0]


@output_gap(
    "op-cdist",
    "O",
    "`cdist` of 40 points goes by the product: 1e-8 where 0 is right",
    "‖a − b‖",
    "√max(a² + b² − 2·a·b, 0), the same product",
    a=(40, 3),
    b=(40, 3),
)
class _:
    def pytorch(a, b):
        return torch.cdist(a, b)

    def naive(a, b):
        return tf.norm(a[:, None] - b[None], axis=-1)

    def exact(a, b):
        squares = tf.reduce_sum(a * a, 1)[:, None] + tf.reduce_sum(b * b, 1)[None]
        return tf.sqrt(tf.maximum(squares - 2 * a @ tf.transpose(b), 0.0))


@output_gap(
    "op-gather-torch",
    "O",
    "`gather(1, i)`: a value for each index",
    "`tf.gather(x, i, axis=1)`: whole columns",
    "`keras_blitz.ops.gather`",
    x=_grid,
    i=lambda s: np.array([[0, 2], [1, 1]]),
)
class _:
    def pytorch(x, i):
        return x.gather(1, i)

    def naive(x, i):
        return tf.gather(x, i, axis=1)

    def exact(x, i):
        return ops.gather(x, 1, i)


@output_gap(
    "op-index-select",
    "O",
    "`index_select(1, i)`",
    "`tf.gather(x, i, axis=1)`: the same",
    "`keras_blitz.ops.index_select`",
    x=(3, 3),
    i=lambda s: np.array([2, 0]),
)
class _:
    def pytorch(x, i):
        return x.index_select(1, i)

    def naive(x, i):
        return tf.gather(x, i, axis=1)

    def exact(x, i):
        return ops.index_select(x, 1, i)


@output_gap(
    "op-negative-index",
    "O",
    "`x[[−1]]` is the last",
    "`tf.gather(x, [−1])` is refused on CPU, 0 on GPU",
    "`tf.gather(x, i % n)`",
    x=(3,),
)
class _:
    def pytorch(x):
        return x[[-1]]

    def naive(x):
        return tf.gather(x, [-1])

    def exact(x):
        return tf.gather(x, np.array([-1]) % 3)


@array_gap(
    "op-negative-step",
    "O",
    "`flip(0)`; `x[::−1]` is refused",
    "`x[::−1]` is taken: the same",
    "`tf.reverse`",
)
class _:
    def pytorch():
        return torch.arange(3).flip(0)

    def naive():
        return tf.range(3, dtype=tf.int64)[::-1]

    def exact():
        return tf.reverse(tf.range(3, dtype=tf.int64), [0])


@output_gap(
    "op-nonzero",
    "O",
    "`nonzero()`: rows of indices, int64",
    "`tf.where`: the same",
    "`keras_blitz.ops.nonzero`",
    x=_grid,
)
class _:
    def pytorch(x):
        return (x > 2).nonzero()

    def naive(x):
        return tf.where(x > 2)

    def exact(x):
        return ops.nonzero(x > 2)


@output_gap(
    "op-masked-select",
    "O",
    "`masked_select`: what is chosen, in a row",
    "`tf.boolean_mask`: the same",
    "`keras_blitz.ops.masked_select`",
    x=_grid,
)
class _:
    def pytorch(x):
        return x.masked_select(x > 2)

    def naive(x):
        return tf.boolean_mask(x, x > 2)

    def exact(x):
        return ops.masked_select(x, x > 2)


PLACES = np.array([[0, 1, 2, 0], [0, 0, 0, 0]])


def _full_places():
    """Return (row, column) for each value of a scatter along axis 0."""
    return np.stack([PLACES, np.broadcast_to(np.arange(4), PLACES.shape)], -1)


@output_gap(
    "op-scatter",
    "O",
    "`scatter_`: of two values for a place the last",
    "`tf.scatter_nd` adds them",
    "`keras_blitz.ops.scatter`",
    x=_grid,
)
class _:
    def pytorch(x):
        return torch.zeros(3, 4, dtype=x.dtype).scatter_(0, torch.tensor(PLACES), x)

    def naive(x):
        return tf.scatter_nd(_full_places(), x, [3, 4])

    def exact(x):
        return ops.scatter(tf.zeros([3, 4], x.dtype), 0, tf.constant(PLACES), x)


@output_gap(
    "op-scatter-add",
    "O G",
    "`scatter_add_`",
    "`tf.scatter_nd`: the same",
    "`tf.scatter_nd`, `tf.tensor_scatter_nd_add`",
    x=_grid,
)
class _:
    def pytorch(x):
        return torch.zeros(3, 4, dtype=x.dtype).scatter_add_(0, torch.tensor(PLACES), x)

    def naive(x):
        return tf.scatter_nd(_full_places(), x, [3, 4])

    def exact(x):
        return tf.scatter_nd(_full_places(), x, [3, 4])


@gap(
    "op-addcdiv-addcmul",
    "O",
    "`addcdiv(a, b, value=0.1)`: x + 0.1·a/b",
    "x + 0.1·(a/b): rounding",
    "`keras_blitz.ops.addcdiv`, `addcmul`",
    x=(5,),
    a=(5,),
    b=(5,),
)
class _:
    def pytorch(x, a, b):
        return torch.addcdiv(x, a, b, value=0.1), torch.addcmul(x, a, b, value=0.1)

    def naive(x, a, b):
        return x + 0.1 * (a / b), x + 0.1 * (a * b)

    def exact(x, a, b):
        return ops.addcdiv(x, a, b, value=0.1), ops.addcmul(x, a, b, value=0.1)


@output_gap(
    "op-lerp",
    "O (1 ulp)",
    "`lerp(a, b, 0.9)`: b − (b − a)·0.1",
    "a + 0.9·(b − a): rounding",
    "either",
    a=(50,),
    b=(50,),
)
class _:
    def pytorch(a, b):
        return torch.lerp(a, b, 0.9)

    def naive(a, b):
        return a + 0.9 * (b - a)

    def exact(a, b):
        return b - (b - a) * (1 - 0.9)


@gap(
    "op-addmm-etc",
    "O",
    "`addmm(m, a, b, beta=0.5, alpha=2)`",
    "0.5·m + 2·a·b: the same",
    "0.5·m + 2·a·b",
    m=(2, 2),
    a=(2, 3),
    b=(3, 2),
)
class _:
    def pytorch(m, a, b):
        return torch.addmm(m, a, b, beta=0.5, alpha=2)

    def naive(m, a, b):
        return 0.5 * m + 2 * (a @ b)

    def exact(m, a, b):
        return 0.5 * m + 2 * (a @ b)


@gap("op-matmul-1d", "O", "`a @ b` of two vectors", "`tf.matmul` is refused", "`keras_blitz.ops.dot`", a=(3,), b=(3,))
class _:
    def pytorch(a, b):
        return a @ b

    def naive(a, b):
        return tf.matmul(a, b)

    def exact(a, b):
        return ops.dot(a, b)


@output_gap(
    "op-matmul-f32",
    "O (f32)",
    "a product in float32",
    "`@`: summed in another order on some CPUs",
    "the same",
    a=float32(200, 300),
    b=float32(300, 100),
)
class _:
    def pytorch(a, b):
        return a @ b

    def naive(a, b):
        return a @ b

    def exact(a, b):
        return a @ b


@output_gap(
    "op-t-transpose",
    "O",
    "`transpose(0, 1)` swaps two axes",
    "`tf.transpose(x)` reverses all",
    "`tf.transpose(x, [1, 0, 2])`",
    x=(2, 3, 4),
)
class _:
    def pytorch(x):
        return x.transpose(0, 1)

    def naive(x):
        return tf.transpose(x)

    def exact(x):
        return tf.transpose(x, [1, 0, 2])


@output_gap(
    "op-svd",
    "O G",
    "`svd`: U, S, V; the signs are the library's",
    "`tf.linalg.svd`: S, U, V, other signs",
    "each column's largest value made positive, on both sides",
    a=(4, 3),
)
class _:
    def pytorch(a):
        u, s, v = torch.svd(a)
        sign = torch.sign(u[u.abs().argmax(0), torch.arange(3)])
        return {"u": u * sign, "s": s, "v": v * sign}

    def naive(a):
        s, u, v = tf.linalg.svd(a)
        return {"u": u, "s": s, "v": v}

    def exact(a):
        s, u, v = tf.linalg.svd(a)
        sign = _column_signs(u)
        return {"u": u * sign, "s": s, "v": v * sign}


def _column_signs(q):
    return tf.sign(tf.gather(tf.transpose(q), tf.argmax(tf.abs(q), 0), batch_dims=1))


@output_gap(
    "op-eig-qr-chol-sign",
    "O",
    "`linalg.eigh`, the vectors' signs made positive",
    "`tf.linalg.eigh`: its own signs",
    "each column's largest value made positive, on both sides",
    a=(4, 4),
)
class _:
    def pytorch(a):
        values, vectors = torch.linalg.eigh(a @ a.T)
        return {"values": values, "vectors": vectors * torch.sign(vectors[vectors.abs().argmax(0), torch.arange(4)])}

    def naive(a):
        values, vectors = tf.linalg.eigh(a @ tf.transpose(a))
        return {"values": values, "vectors": vectors}

    def exact(a):
        values, vectors = tf.linalg.eigh(a @ tf.transpose(a))
        return {"values": values, "vectors": vectors * _column_signs(vectors)}


@output_gap(
    "op-lstsq-inverse-det",
    "O",
    "`linalg.lstsq`",
    "`tf.linalg.lstsq` goes by the normal equations: rounding",
    "through `tf.linalg.qr`",
    a=(6, 3),
    b=(6, 1),
)
class _:
    def pytorch(a, b):
        return torch.linalg.lstsq(a, b).solution, torch.inverse(a[:3]), torch.det(a[:3])

    def naive(a, b):
        return tf.linalg.lstsq(a, b), tf.linalg.inv(a[:3]), tf.linalg.det(a[:3])

    def exact(a, b):
        q, r = tf.linalg.qr(a)
        solution = tf.linalg.triangular_solve(r, tf.transpose(q) @ b, lower=False)
        return solution, tf.linalg.inv(a[:3]), tf.linalg.det(a[:3])


@output_gap(
    "op-squeeze",
    "O",
    "`squeeze(0)` of (2, 1) leaves it",
    "`tf.squeeze(x, 0)` is refused",
    "`keras_blitz.ops.squeeze`",
    x=(2, 1),
)
class _:
    def pytorch(x):
        return x.squeeze(0)

    def naive(x):
        return tf.squeeze(x, 0)

    def exact(x):
        return ops.squeeze(x, 0)


@output_gap(
    "op-expand-repeat",
    "O",
    "`repeat(2)` lays copies side by side",
    "`tf.repeat(x, 2)` doubles each value",
    "`tf.tile`",
    x=(3,),
)
class _:
    def pytorch(x):
        return x.repeat(2)

    def naive(x):
        return tf.repeat(x, 2)

    def exact(x):
        return tf.tile(x, [2])


@array_gap(
    "op-cat-stack", "O", "`cat` of float32 and int64 is float32", "`tf.concat` is refused", "`keras_blitz.ops.cat`"
)
class _:
    def pytorch():
        return torch.cat([torch.ones(1), torch.ones(1, dtype=torch.int64)])

    def naive():
        return tf.concat([tf.ones(1), tf.ones(1, tf.int64)], 0)

    def exact():
        return ops.cat([tf.ones(1), tf.ones(1, tf.int64)])


@output_gap("op-split", "O", "`split(2)`: parts of two", "`tf.split(x, 2)`: two parts", "`tf.split(x, n // 2)`", x=(6,))
class _:
    def pytorch(x):
        return list(torch.split(x, 2))

    def naive(x):
        return tf.split(x, 2)

    def exact(x):
        return tf.split(x, 6 // 2)


@output_gap("op-reshape-order", "O", "`reshape(−1)` goes by C, H, W", "by H, W, C", "transpose first", x=(1, 2, 3, 4))
class _:
    def pytorch(x):
        return x.reshape(-1)

    def naive(x):
        return tf.reshape(channels_last(x), [-1])

    def exact(x):
        return tf.reshape(tf.transpose(channels_last(x), [0, 3, 1, 2]), [-1])


@output_gap("op-clamp", "O", "`clamp(−½, ½)`", "`tf.clip_by_value`: the same", "`keras_blitz.ops.clamp`", x=(9,))
class _:
    def pytorch(x):
        return x.clamp(-0.5, 0.5)

    def naive(x):
        return tf.clip_by_value(x, -0.5, 0.5)

    def exact(x):
        return ops.clamp(x, -0.5, 0.5)


@output_gap("op-sign", "O", "`sign(NaN)` = 0", "`tf.sign`: NaN", "`keras_blitz.ops.sign`", x=numbers(np.nan, -2))
class _:
    def pytorch(x):
        return torch.sign(x)

    def naive(x):
        return tf.sign(x)

    def exact(x):
        return ops.sign(x)


@output_gap("op-frac-trunc", "O", "`frac` keeps the sign", "`x % 1`", "x − sign(x)·⌊|x|⌋", x=numbers(1.7, -1.7))
class _:
    def pytorch(x):
        return x.frac()

    def naive(x):
        return x % 1

    def exact(x):
        return x - tf.sign(x) * tf.floor(tf.abs(x))


@array_gap(
    "op-rsqrt-pow-neg", "O", "a whole number to a negative power is refused", "TensorFlow: refused too", "a float"
)
class _:
    def pytorch():
        return {"refused": raised(lambda: torch.tensor(2) ** -1)}

    def naive():
        return {"refused": raised(lambda: tf.constant(2) ** -1)}

    def exact():
        return {"refused": raised(lambda: tf.constant(2) ** -1)}


@array_gap(
    "op-bool-ops",
    "O",
    "`~` of uint8 turns the bits",
    "`~` of a TensorFlow tensor is refused but for truths",
    "`tf.bitwise.invert`",
)
class _:
    def pytorch():
        return ~torch.tensor([1], dtype=torch.uint8)

    def naive():
        return tf.logical_not(tf.constant([1], tf.uint8))

    def exact():
        return tf.bitwise.invert(tf.constant([1], tf.uint8))


@output_gap(
    "op-histc-bincount",
    "O",
    "`histc(2, 0, 1)` drops what is outside",
    "`tf.histogram_fixed_width` counts it at the ends",
    "leave it out first",
    x=numbers(-1, 0, 0.5, 1, 2),
)
class _:
    def pytorch(x):
        return x.histc(2, 0, 1).long()

    def naive(x):
        return tf.histogram_fixed_width(x, tf.constant([0.0, 1.0], x.dtype), 2, tf.int64)

    def exact(x):
        inside = tf.boolean_mask(x, (x >= 0) & (x <= 1))
        return tf.histogram_fixed_width(inside, tf.constant([0.0, 1.0], x.dtype), 2, tf.int64)


@output_gap(
    "op-unique",
    "O",
    "`unique` is sorted",
    "`tf.unique` goes by the first appearance",
    "`tf.sort(tf.unique(x)[0])`",
    x=lambda s: np.array([3, 1, 3, 2]),
)
class _:
    def pytorch(x):
        return x.unique()

    def naive(x):
        return tf.unique(x)[0]

    def exact(x):
        return tf.sort(tf.unique(x)[0])


@output_gap(
    "op-tril-triu-diag",
    "O",
    "`tril(1)` keeps one diagonal above",
    "`keras.ops.tril(x, 1)`: the same",
    "`keras.ops.tril(x, 1)`",
    x=(3, 3),
)
class _:
    def pytorch(x):
        return x.tril(1)

    def naive(x):
        return keras.ops.tril(x, 1)

    def exact(x):
        return keras.ops.tril(x, 1)


@output_gap(
    "op-cross-default-dim",
    "O",
    "`torch.cross` without dim: the first axis of size 3",
    "`tf.linalg.cross`: the last",
    "transpose",
    a=(3, 3),
    b=(3, 3),
)
class _:
    def pytorch(a, b):
        return torch.cross(a, b)

    def naive(a, b):
        return tf.linalg.cross(a, b)

    def exact(a, b):
        return tf.transpose(tf.linalg.cross(tf.transpose(a), tf.transpose(b)))


@output_gap(
    "op-renorm",
    "O",
    "`renorm(2, 0, 1)` divides by ‖x‖ + 1e-7",
    "`tf.clip_by_norm(axes=[1])`: by ‖x‖",
    "`tf.where(n > 1, x·(1/(n + 1e-7)), x)`",
    x=(3, 4),
)
class _:
    def pytorch(x):
        return x.renorm(2, 0, 1.0)

    def naive(x):
        return tf.clip_by_norm(x, 1.0, axes=[1])

    def exact(x):
        norm = tf.norm(x, axis=1, keepdims=True)
        return tf.where(norm > 1, x * (1 / (norm + 1e-7)), x)


@array_gap("op-print-int-item", "O", "`item()` of a float32 0.1", "`float(x)`: the same", "the same")
class _:
    def pytorch():
        return torch.tensor(0.1).item()

    def naive():
        return float(tf.constant(0.1))

    def exact():
        return float(tf.constant(0.1))


@array_gap("op-meshgrid", "O", "`meshgrid`: by rows, 'ij'", "`tf.meshgrid`: by columns, 'xy'", "indexing='ij'")
class _:
    def pytorch():
        return torch.meshgrid(torch.arange(2), torch.arange(3))[0]

    def naive():
        return tf.meshgrid(tf.range(2, dtype=tf.int64), tf.range(3, dtype=tf.int64))[0]

    def exact():
        return tf.meshgrid(tf.range(2, dtype=tf.int64), tf.range(3, dtype=tf.int64), indexing="ij")[0]


@output_gap(
    "op-flip-rot90-roll",
    "O",
    "`roll(1)` without dim goes by the flattened tensor",
    "`tf.roll(x, 1, 0)` by the first axis",
    "flatten, roll, reshape",
    x=(2, 3),
)
class _:
    def pytorch(x):
        return x.roll(1)

    def naive(x):
        return tf.roll(x, 1, 0)

    def exact(x):
        return tf.reshape(tf.roll(tf.reshape(x, [-1]), 1, 0), [2, 3])


@array_gap("op-bitwise-shift", "O", "`>>` keeps the sign", "`tf.bitwise.right_shift`: the same", "the same")
class _:
    def pytorch():
        return torch.tensor([-8]) >> 1

    def naive():
        return tf.bitwise.right_shift(tf.constant([-8], tf.int64), tf.constant([1], tf.int64))

    def exact():
        return tf.bitwise.right_shift(tf.constant([-8], tf.int64), tf.constant([1], tf.int64))


@output_gap(
    "op-erfinv-f64",
    "O",
    "`erfinv` in float64",
    "`tf.math.erfinv`: 7 digits near 0",
    "one step of Newton's after it",
    x=lambda s: np.linspace(1e-9, 0.99, 300),
)
class _:
    def pytorch(x):
        return torch.erfinv(x) / x

    def naive(x):
        return tf.math.erfinv(x) / x

    def exact(x):
        y = tf.math.erfinv(x)
        return (y - (tf.math.erf(y) - x) * np.sqrt(np.pi) / 2 * tf.exp(y * y)) / x


@gap(
    "op-logsumexp-etc",
    "O",
    "`logsumexp`",
    "`tf.reduce_logsumexp`: the same",
    "`tf.reduce_logsumexp`",
    x=lambda s: s.standard_normal((3, 4)) * 500,
)
class _:
    def pytorch(x):
        return x.logsumexp(1)

    def naive(x):
        return tf.reduce_logsumexp(x, 1)

    def exact(x):
        return tf.reduce_logsumexp(x, 1)
