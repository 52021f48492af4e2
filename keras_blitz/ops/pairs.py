"""T14: functions of two tensors, of their common dtype, with PyTorch's signs and gradients."""

import math

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.comparison import of_pairs
from keras_blitz.ops.elementwise import pow
from keras_blitz.ops.promotion import as_tensor, floating, not_bool, promoted, summed_to


def _with_slope(function, slopes, x, y):
    """Return function(x, y), whose gradients are upstream · slopes(x, y), summed where an operand was broadcast."""

    @tf.custom_gradient
    def value(x, y):
        found = function(x, y)

        def gradient(upstream):
            of_x, of_y = slopes(x, y)
            return summed_to(upstream * of_x, x), summed_to(upstream * of_y, y)

        return found, gradient

    return value(x, y)


def _floats(name: str, x, y):
    """Return both in one floating dtype.

    Raises:
        BlitzError: both are integers or bool.
    """
    x, y = promoted(name, x, y)
    if not x.dtype.is_floating:
        raise BlitzError(f"{name}: needs a floating dtype, not {x.dtype.name}")
    return x, y


def maximum(x, y):
    """Return the larger of each pair, NaN where one is.

    NumPy `np.maximum(x, y)`, PyTorch `torch.maximum(x, y)`, TensorFlow `tf.maximum(x, y)`.
    Trap: equal ones share the gradient, TensorFlow's goes to the first (gap maximum-ties).

    >>> maximum(tf.constant([1.0, 5.0]), tf.constant([3.0, 4.0])).numpy()
    array([3., 5.], dtype=float32)
    """
    x, y = promoted("maximum", x, y)
    return of_pairs(x, y, largest=True)


def minimum(x, y):
    """Return the smaller of each pair, NaN where one is.

    NumPy `np.minimum(x, y)`, PyTorch `torch.minimum(x, y)`, TensorFlow `tf.minimum(x, y)`.
    Trap: as in `maximum`.

    >>> minimum(tf.constant([1.0, 5.0]), tf.constant([3.0, 4.0])).numpy()
    array([1., 4.], dtype=float32)
    """
    x, y = promoted("minimum", x, y)
    return of_pairs(x, y, largest=False)


def fmax(x, y):
    """Return the larger of each pair; of a number and NaN the number.

    NumPy `np.fmax(x, y)`, PyTorch `torch.fmax(x, y)`, TensorFlow by hand.
    Trap: `maximum` keeps NaN. Among equal ones the first has the whole gradient.

    >>> fmax(tf.constant([1.0, float("nan")]), tf.constant([3.0, 4.0])).numpy()
    array([3., 4.], dtype=float32)
    """
    x, y = promoted("fmax", x, y)
    return tf.where(_first_wins(x, y, largest=True), x, y)


def fmin(x, y):
    """Return the smaller of each pair; of a number and NaN the number.

    NumPy `np.fmin(x, y)`, PyTorch `torch.fmin(x, y)`, TensorFlow by hand.
    Trap: as in `fmax`.

    >>> fmin(tf.constant([1.0, float("nan")]), tf.constant([3.0, 4.0])).numpy()
    array([1., 4.], dtype=float32)
    """
    x, y = promoted("fmin", x, y)
    return tf.where(_first_wins(x, y, largest=False), x, y)


def _first_wins(x, y, largest: bool):
    if x.dtype == tf.bool:
        x, y = (tf.cast(each, tf.uint8) for each in (x, y))
    return (x >= y if largest else x <= y) | tf.not_equal(y, y)


def fmod(x, y):
    """Return what is left of x / y rounded towards 0, with the sign of x.

    NumPy `np.fmod(x, y)`, PyTorch `torch.fmod(x, y)`, TensorFlow `tf.truncatemod(x, y)`.
    Trap: `remainder` has the sign of y. An integer by 0 raises in PyTorch.

    >>> fmod(tf.constant([-3, 3]), 2).numpy()
    array([-1,  1], dtype=int32)
    """
    x, y = _divisible("fmod", x, y)

    def slopes(x, y):
        quotient = x / y
        return tf.ones_like(quotient), -tf.where(quotient < 0, tf.math.ceil(quotient), tf.floor(quotient))

    return _left(x, y) if not x.dtype.is_floating else _with_slope(_left, slopes, x, y)


def remainder(x, y):
    """Return what is left of x / y rounded down, with the sign of y: Python's `%`.

    NumPy `np.remainder(x, y)`, PyTorch `torch.remainder(x, y)`, TensorFlow `tf.math.floormod(x, y)`.
    Trap: `fmod` has the sign of x. An integer by 0 raises in PyTorch.

    >>> remainder(tf.constant([-3, 3]), 2).numpy()
    array([1, 1], dtype=int32)
    """
    x, y = _divisible("remainder", x, y)

    def value(x, y):
        left = _left(x, y)
        return tf.where((left != 0) & ((left < 0) != (y < 0)), left + y, left)

    def slopes(x, y):
        return tf.ones_like(x + y), -_down(x, y)

    return value(x, y) if not x.dtype.is_floating else _with_slope(value, slopes, x, y)


def floor_divide(x, y):
    """Return ⌊x / y⌋, in the common dtype.

    NumPy `np.floor_divide(x, y)`, PyTorch `torch.floor_divide(x, y)`, TensorFlow `tf.math.floordiv(x, y)`.
    Trap: −7 by 2 is −4, and has been −3 in PyTorch before 1.13. An integer by 0 raises. It has no gradient.

    >>> floor_divide(tf.constant([-7, 7]), 2).numpy()
    array([-4,  3], dtype=int32)
    """
    x, y = _divisible("floor_divide", x, y)
    if not x.dtype.is_floating:
        left = _left(x, y)
        down = tf.cast((left != 0) & ((left < 0) != (y < 0)), x.dtype)
        return tf.cast(tf.truncatediv(tf.cast(x, tf.int64), tf.cast(y, tf.int64)), x.dtype) - down
    return tf.stop_gradient(_down(x, y))


def _divisible(name: str, x, y):
    x, y = promoted(name, x, y)
    not_bool(name, x)
    if not x.dtype.is_floating and tf.executing_eagerly() and bool(tf.reduce_any(y == 0)):
        raise BlitzError(f"{name}: integers cannot be divided by 0; make one of the two floating for inf or NaN")
    return x, y


def _left(x, y):
    """Return C's remainder, which TensorFlow has of int32, int64 and floats."""
    if x.dtype.is_floating or x.dtype in (tf.int32, tf.int64):
        return tf.truncatemod(x, y)
    return tf.cast(tf.truncatemod(tf.cast(x, tf.int64), tf.cast(y, tf.int64)), x.dtype)


def _down(x, y):
    """Return ⌊x / y⌋ of floats as PyTorch rounds it: what is left is taken away first."""
    left = tf.truncatemod(x, y)
    quotient = (x - left) / y
    quotient = tf.where((left != 0) & ((y < 0) != (left < 0)), quotient - 1, quotient)
    down = tf.floor(quotient)
    down = tf.where(quotient - down > 0.5, down + 1, down)
    zero = _with_sign(tf.zeros_like(quotient), x / y)
    return tf.where(y == 0, x / y, tf.where(quotient == 0, zero, down))


def copysign(x, y):
    """Return |x| with the sign of y, of −0 too.

    NumPy `np.copysign(x, y)`, PyTorch `torch.copysign(x, y)`, TensorFlow by hand.

    >>> copysign(tf.constant([1.0, 2.0]), tf.constant([-0.0, 3.0])).numpy()
    array([-1.,  2.], dtype=float32)
    """

    def slopes(x, y):
        ratio = tf.where(x == 0, tf.zeros_like(x), _with_sign(x, y) / x)
        return ratio, tf.zeros_like(ratio)

    return _with_slope(_with_sign, slopes, *map(floating, promoted("copysign", x, y)))


def _with_sign(x, y):
    # 1/−0 is −∞: the comparison sees the sign of a zero.
    return tf.where((y < 0) | ((y == 0) & (1 / y < 0)), -tf.abs(x), tf.abs(x))


def atan2(y, x):
    """Return the angle of the point (x, y) in radians, from −π to π.

    NumPy `np.arctan2(y, x)`, PyTorch `torch.atan2(y, x)`, TensorFlow `tf.atan2(y, x)`.

    >>> atan2(tf.constant([0.0, 0.0]), tf.constant([1.0, -1.0])).numpy()
    array([0.       , 3.1415927], dtype=float32)
    """

    def slopes(y, x):
        inverse = tf.where((x == 0) & (y == 0), tf.zeros_like(x), 1 / (y * y + x * x))
        return x * inverse, -y * inverse

    return _with_slope(tf.atan2, slopes, *map(floating, promoted("atan2", y, x)))


def hypot(x, y):
    """Return √(x² + y²), which does not overflow on the way; ∞ where one is infinite.

    NumPy `np.hypot(x, y)`, PyTorch `torch.hypot(x, y)`, TensorFlow `tf.experimental.numpy.hypot(x, y)`.

    >>> hypot(tf.constant([3.0, 3e38]), tf.constant([4.0, 0.0])).numpy()
    array([5.e+00, 3.e+38], dtype=float32)
    """

    def value(x, y):
        high, low = tf.maximum(tf.abs(x), tf.abs(y)), tf.minimum(tf.abs(x), tf.abs(y))
        ratio = tf.math.divide_no_nan(low, high)
        infinite = tf.math.is_inf(x) | tf.math.is_inf(y)
        return tf.where(infinite, tf.constant(math.inf, x.dtype), high * tf.sqrt(1 + ratio * ratio))

    def slopes(x, y):
        found = value(x, y)
        return x / found, y / found

    return _with_slope(value, slopes, *_floats("hypot", x, y))


def xlogy(x, y):
    """Return x · log y, 0 where x is 0 and y is not NaN.

    NumPy `scipy.special.xlogy(x, y)`, PyTorch `torch.xlogy(x, y)`, TensorFlow `tf.math.xlogy(x, y)`.
    Trap: TensorFlow's is 0 at y = NaN, too.

    >>> xlogy(tf.constant([0.0, 2.0]), tf.constant([0.0, 1.0])).numpy()
    array([0., 0.], dtype=float32)
    """

    def value(x, y):
        return tf.where((x == 0) & tf.equal(y, y), tf.zeros_like(x), x * tf.math.log(y))

    def slopes(x, y):
        return tf.where((x == 0) & (y <= 0), tf.zeros_like(y), tf.math.log(y)), x / y

    return _with_slope(value, slopes, *map(floating, promoted("xlogy", x, y)))


def logaddexp(x, y):
    """Return log(eˣ + eʸ), which does not overflow on the way.

    NumPy `np.logaddexp(x, y)`, PyTorch `torch.logaddexp(x, y)`, TensorFlow `tf.experimental.numpy.logaddexp(x, y)`.

    >>> logaddexp(tf.constant([1000.0]), tf.constant([-1000.0])).numpy()
    array([1000.], dtype=float32)
    """
    x, y = _floats("logaddexp", x, y)
    return _log_of_sum(x, y, base=math.e)


def logaddexp2(x, y):
    """Return log₂(2ˣ + 2ʸ), which does not overflow on the way.

    NumPy `np.logaddexp2(x, y)`, PyTorch `torch.logaddexp2(x, y)`, TensorFlow `tf.experimental.numpy.logaddexp2(x, y)`.

    >>> logaddexp2(tf.constant([1.0]), tf.constant([1.0])).numpy()
    array([2.], dtype=float32)
    """
    x, y = _floats("logaddexp2", x, y)
    return _log_of_sum(x, y, base=2)


def _log_of_sum(x, y, base: float):
    unit = math.log(base)

    def value(x, y):
        apart = tf.math.log1p(tf.exp(-tf.abs(x - y) * unit)) / unit
        return tf.where(tf.math.is_inf(x) & (x == y), x, tf.maximum(x, y) + apart)

    def slopes(x, y):
        return 1 / (1 + tf.exp((y - x) * unit)), 1 / (1 + tf.exp((x - y) * unit))

    return _with_slope(value, slopes, x, y)


def lerp(start, end, weight):
    """Return start + weight · (end − start), of tensors of one dtype.

    NumPy `start + weight * (end - start)`, PyTorch `torch.lerp(start, end, weight)`, TensorFlow the same expression.
    Trap: from weight ½ on PyTorch counts from the end: another rounding.

    >>> lerp(tf.constant([0.0, 1.0]), tf.constant([10.0, 2.0]), 0.5).numpy()
    array([5. , 1.5], dtype=float32)
    """
    start, end = as_tensor(start), as_tensor(end)
    kinds = {start.dtype, end.dtype} | ({as_tensor(weight).dtype} if not isinstance(weight, int | float) else set())
    if len(kinds) > 1 or not start.dtype.is_floating:
        raise BlitzError(f"lerp: needs one floating dtype, not {' and '.join(sorted(kind.name for kind in kinds))}")
    start, end, weight = promoted("lerp", start, end, weight)

    @tf.custom_gradient
    def value(start, end, weight):
        apart = end - start
        found = tf.where(tf.abs(weight) < 0.5, start + weight * apart, end - apart * (1 - weight))

        def gradient(upstream):
            parts = upstream * (1 - weight), upstream * weight, upstream * apart
            return [summed_to(part, each) for part, each in zip(parts, (start, end, weight), strict=True)]

        return found, gradient

    return value(start, end, weight)


def heaviside(x, values):
    """Return 0 below 0, `values` at 0 and 1 above it, of tensors of one dtype.

    NumPy `np.heaviside(x, values)`, PyTorch `torch.heaviside(x, values)`, TensorFlow
    `tf.experimental.numpy.heaviside(x, values)`.
    Trap: of NaN it is 0. PyTorch has no gradient of it.

    >>> heaviside(tf.constant([-1.0, 0.0, 2.0]), tf.constant(0.5)).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    x, values = as_tensor(x), as_tensor(values)
    if x.dtype != values.dtype:
        raise BlitzError(f"heaviside: values must have x's dtype {x.dtype.name}, not {values.dtype.name}")
    x, values = promoted("heaviside", x, values)
    above = x if x.dtype == tf.bool else tf.cast(x > 0, x.dtype)
    return tf.stop_gradient(tf.where(tf.equal(x, tf.zeros_like(x)), values, above))


def gcd(x, y):
    """Return the greatest common divisor of integers, 0 of two zeros.

    NumPy `np.gcd(x, y)`, PyTorch `torch.gcd(x, y)`, TensorFlow by hand.

    >>> gcd(tf.constant([12, 0]), tf.constant([-8, 0])).numpy()
    array([4, 0], dtype=int32)
    """
    x, y = promoted("gcd", x, y)
    if not x.dtype.is_integer:
        raise BlitzError(f"gcd: needs integers, not {x.dtype.name}")
    known, shape = tf.broadcast_static_shape(x.shape, y.shape), tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(y))
    pair = [tf.ensure_shape(tf.broadcast_to(tf.cast(each, tf.int64), shape), known) for each in (x, y)]

    def step(a, b):
        left = tf.truncatemod(a, tf.where(b == 0, tf.ones_like(b), b))
        return tf.where(b == 0, a, b), tf.where(b == 0, b, left)

    divisor, _ = tf.while_loop(lambda a, b: tf.reduce_any(b != 0), step, pair)
    return tf.cast(tf.abs(divisor), x.dtype)


def lcm(x, y):
    """Return the least common multiple of integers, 0 of a zero.

    NumPy `np.lcm(x, y)`, PyTorch `torch.lcm(x, y)`, TensorFlow by hand.

    >>> lcm(tf.constant([4, 0]), tf.constant([6, 5])).numpy()
    array([12,  0], dtype=int32)
    """
    divisor = tf.cast(gcd(x, y), tf.int64)
    x, y = promoted("lcm", x, y)
    safe = tf.where(divisor == 0, tf.ones_like(divisor), divisor)
    return tf.cast(tf.abs(tf.truncatediv(tf.cast(x, tf.int64), safe) * tf.cast(y, tf.int64)), x.dtype)


def float_power(x, y):
    """Return xʸ in float64, whatever the dtypes.

    NumPy `np.float_power(x, y)`, PyTorch `torch.float_power(x, y)`, TensorFlow `tf.pow(tf.cast(x, tf.float64), y)`.

    >>> float_power(tf.constant([2]), -1).numpy()
    array([0.5])
    """
    x, y = (
        tf.constant(each, tf.float64) if isinstance(each, int | float) else tf.cast(as_tensor(each), tf.float64)
        for each in (x, y)
    )
    return pow(x, y)
