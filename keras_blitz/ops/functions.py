"""T14: functions of one tensor that compute in floating dtypes, with PyTorch's slopes at the edges of their domains."""

import math
from collections.abc import Callable

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, floating


def _with_slope(x, function: Callable, slope: Callable):
    """Return y = function(x), floating, whose gradient is upstream · slope(x, y)."""

    @tf.custom_gradient
    def value(x):
        y = function(x)
        return y, lambda upstream: upstream * slope(x, y)

    return value(floating(x))


def sin(x):
    """Return the sine of x in radians.

    NumPy `np.sin(x)`, PyTorch `torch.sin(x)`, TensorFlow `tf.sin(x)`.

    >>> sin(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return tf.sin(floating(x))


def cos(x):
    """Return the cosine of x in radians.

    NumPy `np.cos(x)`, PyTorch `torch.cos(x)`, TensorFlow `tf.cos(x)`.

    >>> cos(tf.constant([0])).numpy()
    array([1.], dtype=float32)
    """
    return tf.cos(floating(x))


def tan(x):
    """Return the tangent of x in radians.

    NumPy `np.tan(x)`, PyTorch `torch.tan(x)`, TensorFlow `tf.tan(x)`.

    >>> tan(tf.constant([0.0])).numpy()
    array([0.], dtype=float32)
    """
    return _with_slope(x, tf.tan, lambda x, y: 1 + y * y)


def asin(x):
    """Return the arcsine; NaN beyond ±1.

    NumPy `np.arcsin(x)`, PyTorch `torch.asin(x)`, TensorFlow `tf.asin(x)`.

    >>> asin(tf.constant([0.0, 2.0])).numpy()
    array([ 0., nan], dtype=float32)
    """
    return _with_slope(x, tf.asin, lambda x, y: tf.math.rsqrt(1 - x * x))


def acos(x):
    """Return the arccosine; NaN beyond ±1.

    NumPy `np.arccos(x)`, PyTorch `torch.acos(x)`, TensorFlow `tf.acos(x)`.

    >>> acos(tf.constant([1, 2])).numpy()
    array([ 0., nan], dtype=float32)
    """
    return _with_slope(x, tf.acos, lambda x, y: -tf.math.rsqrt(1 - x * x))


def atan(x):
    """Return the arctangent.

    NumPy `np.arctan(x)`, PyTorch `torch.atan(x)`, TensorFlow `tf.atan(x)`.

    >>> atan(tf.constant([0.0, float("inf")])).numpy()
    array([0.       , 1.5707964], dtype=float32)
    """
    return _with_slope(x, tf.atan, lambda x, y: 1 / (x * x + 1))


def sinh(x):
    """Return the hyperbolic sine.

    NumPy `np.sinh(x)`, PyTorch `torch.sinh(x)`, TensorFlow `tf.sinh(x)`.

    >>> sinh(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return tf.sinh(floating(x))


def cosh(x):
    """Return the hyperbolic cosine.

    NumPy `np.cosh(x)`, PyTorch `torch.cosh(x)`, TensorFlow `tf.cosh(x)`.

    >>> cosh(tf.constant([0])).numpy()
    array([1.], dtype=float32)
    """
    return tf.cosh(floating(x))


def asinh(x):
    """Return the inverse of the hyperbolic sine.

    NumPy `np.arcsinh(x)`, PyTorch `torch.asinh(x)`, TensorFlow `tf.asinh(x)`.

    >>> asinh(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return _with_slope(x, tf.asinh, lambda x, y: tf.math.rsqrt(x * x + 1))


def acosh(x):
    """Return the inverse of the hyperbolic cosine; NaN below 1.

    NumPy `np.arccosh(x)`, PyTorch `torch.acosh(x)`, TensorFlow `tf.acosh(x)`.
    Trap: PyTorch's gradient below −1 is that of the formula, 1/√(x² − 1), TensorFlow's NaN.

    >>> acosh(tf.constant([1.0, 0.0])).numpy()
    array([ 0., nan], dtype=float32)
    """
    return _with_slope(x, tf.acosh, lambda x, y: tf.math.rsqrt(x * x - 1))


def atanh(x):
    """Return the inverse of the hyperbolic tangent: ±∞ at ±1, NaN beyond.

    NumPy `np.arctanh(x)`, PyTorch `torch.atanh(x)`, TensorFlow `tf.atanh(x)`.

    >>> atanh(tf.constant([0.0, 1.0])).numpy()
    array([ 0., inf], dtype=float32)
    """
    return _with_slope(x, tf.atanh, lambda x, y: 1 / (1 - x * x))


def exp2(x):
    """Return 2ˣ.

    NumPy `np.exp2(x)`, PyTorch `torch.exp2(x)`, TensorFlow `tf.pow(2.0, x)`.

    >>> exp2(tf.constant([3, -1])).numpy()
    array([8. , 0.5], dtype=float32)
    """
    return _with_slope(x, lambda x: tf.pow(tf.constant(2, x.dtype), x), lambda x, y: y * math.log(2))


def expm1(x):
    """Return eˣ − 1, exact near 0.

    NumPy `np.expm1(x)`, PyTorch `torch.expm1(x)`, TensorFlow `tf.math.expm1(x)`.

    >>> expm1(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return _with_slope(x, tf.math.expm1, lambda x, y: y + 1)


def log1p(x):
    """Return the natural logarithm of 1 + x, exact near 0.

    NumPy `np.log1p(x)`, PyTorch `torch.log1p(x)`, TensorFlow `tf.math.log1p(x)`.

    >>> log1p(tf.constant([0.0, -1.0])).numpy()
    array([  0., -inf], dtype=float32)
    """
    return _with_slope(x, tf.math.log1p, lambda x, y: 1 / (x + 1))


def log2(x):
    """Return the logarithm to the base of 2, exact at powers of 2.

    NumPy `np.log2(x)`, PyTorch `torch.log2(x)`, TensorFlow `tf.experimental.numpy.log2(x)`.
    Trap: TensorFlow divides two logarithms, so that a power may come out a rounding below its whole number.

    >>> log2(tf.constant([8, 1])).numpy()
    array([3., 0.], dtype=float32)
    """
    return _with_slope(x, lambda x: _log_to(x, 2), lambda x, y: 1 / (x * math.log(2)))


def log10(x):
    """Return the logarithm to the base of 10, exact at powers of 10.

    NumPy `np.log10(x)`, PyTorch `torch.log10(x)`, TensorFlow `tf.experimental.numpy.log10(x)`.
    Trap: `tf.math.log(x) / math.log(10)` of 1,000 is below 3 in float64.

    >>> log10(tf.constant([1000.0, 0.0])).numpy()
    array([  3., -inf], dtype=float32)
    """
    return _with_slope(x, lambda x: _log_to(x, 10), lambda x, y: 1 / (x * math.log(10)))


def _log_to(x, base: int):
    quotient = tf.math.log(x) / math.log(base)
    whole = tf.round(quotient)
    return tf.where(tf.pow(tf.constant(base, x.dtype), whole) == x, whole, quotient)


def rsqrt(x):
    """Return 1/√x: ∞ at 0, NaN below.

    NumPy `1 / np.sqrt(x)`, PyTorch `torch.rsqrt(x)`, TensorFlow `tf.math.rsqrt(x)`.

    >>> rsqrt(tf.constant([4, 0])).numpy()
    array([0.5, inf], dtype=float32)
    """
    return _with_slope(x, tf.math.rsqrt, lambda x, y: -0.5 * y**3)


def reciprocal(x):
    """Return 1/x.

    NumPy `np.reciprocal(x)`, PyTorch `torch.reciprocal(x)`, TensorFlow `tf.math.reciprocal(x)`.
    Trap: of integers NumPy's is an integer, PyTorch's float32.

    >>> reciprocal(tf.constant([4, 0])).numpy()
    array([0.25,  inf], dtype=float32)
    """
    return _with_slope(x, tf.math.reciprocal, lambda x, y: -y * y)


def square(x):
    """Return x², in the dtype of x; of bool in int64.

    NumPy `np.square(x)`, PyTorch `torch.square(x)`, TensorFlow `tf.square(x)`.

    >>> square(tf.constant([-3, 2])).numpy()
    array([9, 4], dtype=int32)
    """
    x = as_tensor(x)
    return tf.square(tf.cast(x, tf.int64) if x.dtype == tf.bool else x)


def erf(x):
    """Return the error function, 2/√π · ∫₀ˣ exp(−t²) dt.

    NumPy `scipy.special.erf(x)`, PyTorch `torch.erf(x)`, TensorFlow `tf.math.erf(x)`.

    >>> erf(tf.constant([0.0, float("inf")])).numpy()
    array([0., 1.], dtype=float32)
    """

    def value(x):  # TensorFlow's vectorized kernel gives NaN at −∞; from 6 on it is ±1 in float64, too
        return tf.where(tf.abs(x) > 6, tf.sign(x), tf.math.erf(x))

    return _with_slope(x, value, lambda x, y: 2 / math.sqrt(math.pi) * tf.exp(-x * x))


def erfc(x):
    """Return 1 − erf(x), exact where that is small.

    NumPy `scipy.special.erfc(x)`, PyTorch `torch.erfc(x)`, TensorFlow `tf.math.erfc(x)`.

    >>> erfc(tf.constant([0.0])).numpy()
    array([1.], dtype=float32)
    """
    return _with_slope(x, tf.math.erfc, lambda x, y: -2 / math.sqrt(math.pi) * tf.exp(-x * x))


def erfinv(x):
    """Return the inverse of the error function: ±∞ at ±1, NaN beyond.

    NumPy `scipy.special.erfinv(x)`, PyTorch `torch.erfinv(x)`, TensorFlow `tf.math.erfinv(x)`.

    >>> erfinv(tf.constant([0.0, 1.0])).numpy()
    array([ 0., inf], dtype=float32)
    """
    return _with_slope(x, tf.math.erfinv, lambda x, y: 0.5 * math.sqrt(math.pi) * tf.exp(y * y))


def lgamma(x):
    """Return the logarithm of |Γ(x)|.

    NumPy `scipy.special.gammaln(x)`, PyTorch `torch.lgamma(x)`, TensorFlow `tf.math.lgamma(x)`.

    >>> lgamma(tf.constant([1.0, 0.0])).numpy()
    array([ 0., inf], dtype=float32)
    """
    return _with_slope(x, tf.math.lgamma, lambda x, y: digamma(x))


def digamma(x):
    """Return the derivative of `lgamma`: ∓∞ at ±0, NaN at negative whole numbers.

    NumPy `scipy.special.digamma(x)`, PyTorch `torch.digamma(x)`, TensorFlow `tf.math.digamma(x)`.
    Trap: TensorFlow's of 0 and of the negative whole numbers is not PyTorch's.

    >>> digamma(tf.constant([0.0, -1.0])).numpy()
    array([-inf,  nan], dtype=float32)
    """

    def value(x):
        at_pole = tf.where(x == 0, -1 / x, tf.constant(math.nan, x.dtype))
        return tf.where((x <= 0) & (x == tf.floor(x)), at_pole, tf.math.digamma(x))

    return _with_slope(x, value, lambda x, y: polygamma(1, x))


def polygamma(n: int, x):
    """Return the n-th derivative of `digamma`.

    NumPy `scipy.special.polygamma(n, x)`, PyTorch `torch.polygamma(n, x)`, TensorFlow `tf.math.polygamma(n, x)`.

    >>> polygamma(1, tf.constant([float("inf")])).numpy()
    array([0.], dtype=float32)
    """
    if n < 0:
        raise BlitzError(f"polygamma: n must be ≥ 0, not {n}")
    if n == 0:
        return digamma(x)

    def value(x):
        return _trigamma(x) if n == 1 else tf.math.polygamma(tf.constant(n, x.dtype), x)

    return _with_slope(x, value, lambda x, y: polygamma(n + 1, x))


def _trigamma(x):
    """Return PyTorch's series for the second derivative of `lgamma`, which is exact to 5e-10 (ATen/native/Math.h)."""
    mirrored = x < 0.5
    sine = tf.sin(math.pi * x)
    found = tf.where(mirrored, -(math.pi**2) / (sine * sine), tf.zeros_like(x))
    sign, x = tf.where(mirrored, -tf.ones_like(x), tf.ones_like(x)), tf.where(mirrored, 1 - x, x)
    for _ in range(6):
        found, x = found + 1 / (x * x), x + 1
    inverse = 1 / (x * x)
    return sign * (found + (1 + 1 / (2 * x) + inverse * (1 / 6 - inverse * (1 / 30 - inverse / 42))) / x)


def logit(x, eps: float | None = None):
    """Return log(x / (1 − x)), of x within [eps, 1 − eps]; without eps NaN outside of [0, 1].

    NumPy `scipy.special.logit(x)`, PyTorch `torch.logit(x, eps=None)`, TensorFlow by hand.

    >>> logit(tf.constant([0.5, 1.0])).numpy()
    array([ 0., inf], dtype=float32)
    """
    x = floating(x)
    low, high = (tf.constant(bound, x.dtype) for bound in ((0, 1) if eps is None else (eps, 1 - eps)))

    def value(x):
        inside = x if eps is None else tf.where(x < low, low, tf.where(x > high, high, x))
        return tf.math.log(inside / (1 - inside))

    def slope(x, y):
        outside = tf.constant(math.nan if eps is None else 0, x.dtype)
        return tf.where((x < low) | (x > high), outside, 1 / (x * (1 - x)))

    return _with_slope(x, value, slope)


def sinc(x):
    """Return sin(πx) / (πx), 1 at 0.

    NumPy `np.sinc(x)`, PyTorch `torch.sinc(x)`, TensorFlow `tf.experimental.numpy.sinc(x)`.

    >>> sinc(tf.constant([0.0])).numpy()
    array([1.], dtype=float32)
    """

    def value(x):
        turned = math.pi * x
        return tf.where(x == 0, tf.ones_like(x), tf.sin(turned) / turned)

    def slope(x, y):
        turned = math.pi * x
        return tf.where(x == 0, tf.zeros_like(x), (turned * tf.cos(turned) - tf.sin(turned)) / (turned * x))

    return _with_slope(x, value, slope)


def deg2rad(x):
    """Return degrees in radians, x · π / 180.

    NumPy `np.deg2rad(x)`, PyTorch `torch.deg2rad(x)`, TensorFlow by hand.

    >>> deg2rad(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return floating(x) * (math.pi / 180)


def rad2deg(x):
    """Return radians in degrees, x · 180 / π.

    NumPy `np.rad2deg(x)`, PyTorch `torch.rad2deg(x)`, TensorFlow by hand.

    >>> rad2deg(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return floating(x) * (180 / math.pi)
