"""Autograd: what is tracked, and gradients where a function has a kink, a pole or equal values."""

import numpy as np

from parity.gaps.gap import array_gap, gap, output_gap
from parity.gaps.helpers import channels_last, hwio, numbers, raised, rounded
from parity.gaps.lazy import F, autograd, keras, ops, tf, torch


def _gradient(function, x, **options):
    """Return TensorFlow's gradient of a function of one array."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x, **options)


@array_gap(
    "grad-accumulate",
    "G T",
    "a second `backward()` adds to `.grad`",
    "`tape.gradient` returns a new gradient",
    "`keras_blitz.autograd.Gradients`",
    x=(3,),
)
class _:
    def pytorch(x):
        w = torch.tensor(x, requires_grad=True)
        for _ in range(2):
            (w * w).sum().backward()
        return w.grad

    def naive(x):
        for _ in range(2):
            gradient = _gradient(lambda w: tf.reduce_sum(w * w), x)
        return gradient

    def exact(x):
        w = tf.constant(x)
        gradients = autograd.Gradients([w])
        for _ in range(2):
            with gradients.record() as recording:
                y = tf.reduce_sum(w * w)
            recording.backward(y)
        return gradients.grad(w)


@array_gap(
    "grad-nonscalar",
    "G",
    "`backward()` of a tensor with several values is refused without a vector",
    "`tape.gradient` sums them, silently",
    "`keras_blitz.autograd.Recording.backward`",
    x=(3,),
)
class _:
    def pytorch(x):
        return {"refused": raised(lambda: (torch.tensor(x, requires_grad=True) * 2).backward())}

    def naive(x):
        return {"refused": raised(lambda: _gradient(lambda w: w * 2, x))}

    def exact(x):
        gradients = autograd.Gradients([w := tf.constant(x)])
        with gradients.record() as recording:
            y = w * 2
        return {"refused": raised(lambda: recording.backward(y))}


@array_gap(
    "grad-vector",
    "G",
    "`y.backward(v)`: Jᵀ·v",
    "`tape.gradient(y, x)`: v of ones",
    "`keras_blitz.autograd.Recording.backward(y, v)`, or `output_gradients=v`",
    x=(3,),
    v=numbers(0.1, 1, 1e-3),
)
class _:
    def pytorch(x, v):
        w = torch.tensor(x, requires_grad=True)
        (w * 2).backward(torch.tensor(v))
        return w.grad

    def naive(x, v):
        return _gradient(lambda w: w * 2, x)

    def exact(x, v):
        gradients = autograd.Gradients([w := tf.constant(x)])
        with gradients.record() as recording:
            y = w * 2
        recording.backward(y, tf.constant(v))
        return gradients.grad(w)


@array_gap(
    "grad-unconnected",
    "G",
    "`autograd.grad(materialize_grads=True)` of what has no part in it: zeros",
    "`tape.gradient`: None",
    "`keras_blitz.autograd.Recording.gradient`, or `unconnected_gradients='zero'`",
    x=(3,),
)
class _:
    def pytorch(x):
        w, u = (torch.tensor(x, requires_grad=True) for _ in range(2))
        return torch.autograd.grad((w * 2).sum(), u, materialize_grads=True)[0]

    def naive(x):
        return {"output": _gradient(lambda w: tf.constant(x) * 2, x)}

    def exact(x):
        w, u = tf.constant(x), tf.constant(x)
        with autograd.Gradients([w, u]).record() as recording:
            y = tf.reduce_sum(w * 2)
        return {"output": recording.gradient(y, [u], materialize_grads=True)[0]}


@gap(
    "grad-relu-disconnected-zero",
    "G",
    "a branch times 0 has zeros for its gradient, not None",
    "the same",
    "the same",
    x=(3,),
)
class _:
    def pytorch(x):
        return x * 0

    def naive(x):
        return x * 0

    def exact(x):
        return x * 0


@array_gap(
    "tape-retain",
    "-",
    "a second `backward()` is refused without retain_graph=True",
    "a plain tape is spent after one gradient: the same",
    "`keras_blitz.autograd.Recording.backward`, with retain_graph as in PyTorch",
    x=(3,),
)
class _:
    def pytorch(x):
        y = (torch.tensor(x, requires_grad=True) ** 2).sum()
        y.backward()
        return {"second": raised(y.backward)}

    def naive(x):
        return {"second": _second_gradient(x)}

    def exact(x):
        gradients = autograd.Gradients([w := tf.constant(x)])
        with gradients.record() as recording:
            y = tf.reduce_sum(w * w)
        recording.backward(y)
        return {"second": raised(lambda: recording.backward(y))}


def _second_gradient(x):
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    return raised(lambda: tape.gradient(y, x))


@array_gap(
    "tape-watch",
    "G",
    "`requires_grad_()` before its use makes a tensor a leaf",
    "a constant is not watched: None",
    "`keras_blitz.autograd.Gradients` watches its leaves; or `tape.watch(x)` before its use",
    x=(3,),
)
class _:
    def pytorch(x):
        return {"output": torch.autograd.grad((w := torch.tensor(x).requires_grad_()).square().sum(), w)[0]}

    def naive(x):
        x = tf.constant(x)
        with tf.GradientTape() as tape:
            y = x * x
        return {"output": tape.gradient(y, x)}

    def exact(x):
        gradients = autograd.Gradients([w := tf.constant(x)])
        with gradients.record() as recording:
            y = tf.reduce_sum(w * w)
        recording.backward(y)
        return {"output": gradients.grad(w)}


@array_gap(
    "requires-grad-propagation",
    "G",
    "a leaf has its gradient, whatever it is called in an optimizer",
    "`tf.Variable(trainable=False)` is not watched: None",
    "`keras_blitz.autograd.Gradients`: its leaves, whatever they are called",
    x=(3,),
)
class _:
    def pytorch(x):
        return {"output": torch.autograd.grad((w := torch.tensor(x).requires_grad_()).square().sum(), w)[0]}

    def naive(x):
        x = tf.Variable(x, trainable=False)
        with tf.GradientTape() as tape:
            y = x * x
        return {"output": tape.gradient(y, x)}

    def exact(x):
        gradients = autograd.Gradients([w := tf.Variable(x, trainable=False)])
        with gradients.record() as recording:
            y = tf.reduce_sum(w * w)
        recording.backward(y)
        return {"output": gradients.grad(w)}


@gap("no-grad-detach", "G", "`x·x.detach()`", "`tf.stop_gradient`: the same", "`keras_blitz.autograd.detach`", x=(3,))
class _:
    def pytorch(x):
        return x * x.detach()

    def naive(x):
        return x * tf.stop_gradient(x)

    def exact(x):
        return x * autograd.detach(x)


@array_gap(
    "int-requires-grad",
    "G",
    "a tensor of whole numbers cannot be a leaf: an error",
    "`tape.watch`: a warning, and None",
    "`keras_blitz.autograd.Gradients`",
    x=lambda s: np.array([1, 2]),
)
class _:
    def pytorch(x):
        return {"refused": raised(lambda: torch.tensor(x, requires_grad=True))}

    def naive(x):
        return {"refused": raised(lambda: _gradient(lambda w: w * 2, x))}

    def exact(x):
        return {"refused": raised(lambda: autograd.Gradients([tf.constant(x)]))}


@array_gap(
    "inplace-version",
    "G",
    "a tensor changed in place after its use: `backward()` is refused",
    "`assign` after its use: the old value's gradient, silently",
    "no `assign` inside the tape: compare the value before the gradient is taken",
    x=(3,),
)
class _:
    def pytorch(x):
        w = torch.tensor(x, requires_grad=True)
        y = w * 2
        z = y * y
        y.add_(1)
        return {"refused": raised(z.sum().backward)}

    def naive(x):
        v = tf.Variable(x)
        with tf.GradientTape() as tape:
            y = v * v
            v.assign(v + 1)
        return {"refused": raised(lambda: tape.gradient(y, v))}

    def exact(x):
        v = tf.Variable(x)
        used = v.read_value()
        v.assign(v + 1)
        return {"refused": raised(lambda: tf.debugging.assert_equal(used, v))}


@array_gap(
    "inplace-autograd",
    "G",
    "`y[0] = 5` is differentiable: no gradient for what it replaced",
    "`y[0].assign` on a variable cuts the graph: None",
    "`tf.tensor_scatter_nd_update`",
    x=(3,),
)
class _:
    def pytorch(x):
        w = torch.tensor(x, requires_grad=True)
        y = w * 2
        y[0] = 5.0
        (y * y).sum().backward()
        return {"output": w.grad}

    def naive(x):
        y = tf.Variable(x)

        def assigned(w):
            y.assign(w * 2)
            y[0].assign(5.0)
            return y * y

        return {"output": _gradient(assigned, x)}

    def exact(x):
        return {"output": _gradient(lambda w: tf.tensor_scatter_nd_update(w * 2, [[0]], [5.0]) ** 2, x)}


def _torch_twice(function, x):
    x = torch.tensor(x, requires_grad=True)
    first = torch.autograd.grad(function(x), x, create_graph=True)[0]
    return torch.autograd.grad((first**2).sum(), x)[0]


def _twice(function, x):
    return _gradient(lambda x: tf.reduce_sum(_gradient(function, x) ** 2), x)


@array_gap("double-backward", "G", "`create_graph=True`", "nested tapes: the same", "the same", x=(3,))
class _:
    def pytorch(x):
        return _torch_twice(lambda x: (x**3).sum(), x)

    def naive(x):
        return _twice(lambda x: tf.reduce_sum(x**3), x)

    def exact(x):
        return _twice(lambda x: tf.reduce_sum(x**3), x)


@array_gap(
    "softmax-xent-second-order",
    "G",
    "the second derivative of cross entropy",
    "`tf.nn.sparse_softmax_cross_entropy_with_logits`: the same",
    "the same",
    x=(2, 3),
)
class _:
    def pytorch(x):
        return _torch_twice(lambda x: F.cross_entropy(x, torch.tensor([0, 2])), x)

    def naive(x):
        return _twice(lambda x: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([0, 2], x)), x)

    def exact(x):
        return _twice(lambda x: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([0, 2], x)), x)


@array_gap(
    "conv-double-backward",
    "G",
    "the second derivative of conv, relu, maxpool",
    "nested tapes: the same",
    "the same",
    w=(3, 2, 3, 3),
)
class _:
    def pytorch(w):
        return _torch_twice(lambda w: (F.max_pool2d(F.relu(F.conv2d(torch.tensor(_image()), w)), 2) ** 2).sum(), w)

    def naive(w):
        return _twice(_pooled, w)

    def exact(w):
        return _twice(_pooled, w)


def _image():
    return np.random.RandomState(2).standard_normal((1, 2, 6, 6))


def _pooled(w):
    maps = tf.nn.relu(tf.nn.conv2d(channels_last(tf.constant(_image())), hwio(w), 1, "VALID"))
    return tf.reduce_sum(tf.nn.max_pool2d(maps, 2, 2, "VALID") ** 2)


@gap(
    "maximum-ties",
    "G",
    "`torch.maximum` of equal values: half to each",
    "`tf.maximum`: all to the first",
    "`keras_blitz.ops.max`",
    a=numbers(1, 2, 3),
    b=numbers(1, 0, 5),
)
class _:
    def pytorch(a, b):
        return torch.maximum(a, b)

    def naive(a, b):
        return tf.maximum(a, b)

    def exact(a, b):
        return ops.max(a, b)


@gap(
    "max-dim-ties",
    "G",
    "`x.max(dim)`: the gradient goes to one place",
    "`tf.reduce_max` splits it over equal values",
    "`keras_blitz.ops.max`",
    x=rounded(3, 20),
)
class _:
    def pytorch(x):
        return x.max(1).values

    def naive(x):
        return tf.reduce_max(x, 1)

    def exact(x):
        return ops.max(x, 1)[0]


@gap(
    "amax-ties",
    "G",
    "`amax` splits the gradient over equal values",
    "`tf.reduce_max`: the same",
    "`tf.reduce_max`",
    x=rounded(3, 20),
)
class _:
    def pytorch(x):
        return x.amax(1)

    def naive(x):
        return tf.reduce_max(x, 1)

    def exact(x):
        return tf.reduce_max(x, 1)


@gap("abs-0", "G", "abs'(0) = 0", "`tf.abs`: the same", "`keras_blitz.ops.abs`", x=numbers(-1, 0, -0.0, 2))
class _:
    def pytorch(x):
        return torch.abs(x)

    def naive(x):
        return tf.abs(x)

    def exact(x):
        return ops.abs(x)


@gap(
    "clamp-edges",
    "G",
    "clamp' = 1 at both bounds",
    "`tf.minimum(tf.maximum(x, 0), 1)`: the same",
    "`keras_blitz.ops.clamp`",
    x=numbers(-1, 0, 0.5, 1, 2),
)
class _:
    def pytorch(x):
        return x.clamp(0, 1)

    def naive(x):
        return tf.minimum(tf.maximum(x, 0.0), 1.0)

    def exact(x):
        return ops.clamp(x, 0, 1)


@output_gap(
    "clamp-nan",
    "O",
    "clamp(NaN) = NaN",
    "`tf.clip_by_value`: the same",
    "`keras_blitz.ops.clamp`",
    x=numbers(np.nan, 2),
)
class _:
    def pytorch(x):
        return x.clamp(0, 1)

    def naive(x):
        return tf.clip_by_value(x, 0.0, 1.0)

    def exact(x):
        return ops.clamp(x, 0, 1)


@gap(
    "clamp-min-gt-max",
    "O",
    "clamp(3, 1): the maximum everywhere",
    "`tf.clip_by_value(x, 3, 1)`: the minimum",
    "`keras_blitz.ops.clamp`",
    x=numbers(0, 2, 5),
)
class _:
    def pytorch(x):
        return x.clamp(3, 1) + 0 * x

    def naive(x):
        return tf.clip_by_value(x, 3.0, 1.0) + 0 * x

    def exact(x):
        return ops.clamp(x, 3, 1) + 0 * x


@gap(
    "clamp-tensor-bounds",
    "G",
    "`clamp(x, min=t)` has a gradient to t",
    "`tf.clip_by_value(x, t, ∞)`: the same",
    "`tf.maximum(x, t)`",
    x=numbers(1, 2, 3),
    t=numbers(1, 3, 0),
)
class _:
    def pytorch(x, t):
        return torch.clamp(x, min=t)

    def naive(x, t):
        return tf.clip_by_value(x, t, tf.fill([3], tf.constant(np.inf, x.dtype)))

    def exact(x, t):
        return tf.maximum(x, t)


@gap(
    "sqrt-0",
    "G",
    "√'(0) = ∞, and 0·∞ is NaN",
    "`tf.sqrt`: 0 where the gradient above is 0",
    "`keras_blitz.ops.sqrt`",
    x=numbers(0, 4),
)
class _:
    def pytorch(x):
        return torch.sqrt(x) * torch.tensor([0.0, 1.0], dtype=x.dtype)

    def naive(x):
        return tf.sqrt(x) * [0.0, 1.0]

    def exact(x):
        return ops.sqrt(x) * [0.0, 1.0]


@gap(
    "norm-0",
    "G",
    "the gradient of ‖x‖ at 0 is 0",
    "`tf.norm`: NaN",
    "`keras_blitz.ops.norm`",
    x=numbers(0, 0),
)
class _:
    def pytorch(x):
        return x.norm()

    def naive(x):
        return tf.norm(x)

    def exact(x):
        return ops.norm(x)


@gap(
    "norm-p",
    "G",
    "`norm(p=3)`, and of a matrix",
    "`tf.norm(ord=3)`: the same",
    "`keras_blitz.ops.norm`",
    x=numbers(1, -3, 3),
    m=(2, 3),
)
class _:
    def pytorch(x, m):
        return x.norm(p=3), m.norm()

    def naive(x, m):
        return tf.norm(x, ord=3), tf.norm(m)

    def exact(x, m):
        return ops.norm(x, 3), ops.norm(m)


@gap(
    "norm-inf-ties",
    "G",
    "the ∞-norm of equal values splits the gradient",
    "`tf.norm(ord=inf)`: the same",
    "`keras_blitz.ops.norm`",
    x=numbers(1, -3, 3),
)
class _:
    def pytorch(x):
        return x.norm(p=float("inf"))

    def naive(x):
        return tf.norm(x, ord=np.inf)

    def exact(x):
        return ops.norm(x, float("inf"))


@gap(
    "pow-zero-base",
    "G",
    "x⁰ at 0 has the gradient 0",
    "`tf.pow`: NaN",
    "`keras_blitz.ops.pow`",
    x=numbers(0, 0, 2),
    y=numbers(0, 2, 3),
)
class _:
    def pytorch(x, y):
        return torch.pow(x, y)

    def naive(x, y):
        return tf.pow(x, y)

    def exact(x, y):
        return ops.pow(x, y)


@gap(
    "pow-negative-base-exp-grad",
    "G",
    "x^y, x < 0: the gradient to y is NaN",
    "`tf.pow`: 0",
    "`keras_blitz.ops.pow`",
    x=numbers(-2, 2),
    y=numbers(2, 3),
)
class _:
    def pytorch(x, y):
        return torch.pow(x, y)

    def naive(x, y):
        return tf.pow(x, y)

    def exact(x, y):
        return ops.pow(x, y)


@gap(
    "where-nan-branch",
    "G",
    "`where(x > 0, √x, 0)`: the branch not taken makes the gradient NaN",
    "`tf.sqrt`: 0",
    "the NaN: `keras_blitz.ops.sqrt`; better, √ of where(x > 0, x, 1) on both sides",
    x=numbers(-1, 0, 4),
)
class _:
    def pytorch(x):
        return torch.where(x > 0, torch.sqrt(x), torch.zeros_like(x))

    def naive(x):
        return tf.where(x > 0, tf.sqrt(x), tf.zeros_like(x))

    def exact(x):
        return tf.where(x > 0, ops.sqrt(x), tf.zeros_like(x))


@gap(
    "prod-zeros",
    "G",
    "the gradient of a product with zeros",
    "`tf.reduce_prod`: the same",
    "`keras_blitz.ops.prod`",
    x=lambda s: np.array([[0.0, 2, 3], [0, 0, 3], [1, 2, 3]]),
)
class _:
    def pytorch(x):
        return x.prod(1)

    def naive(x):
        return tf.reduce_prod(x, 1)

    def exact(x):
        return ops.prod(x, 1)


@gap(
    "cumprod-zeros",
    "G",
    "the gradient of `cumprod` with zeros",
    "`tf.math.cumprod`: 0 at zeros, wrong and finite",
    "`keras_blitz.ops.cumprod`",
    x=lambda s: np.array([[0.0, 2, 3], [1, 0, 3]]),
)
class _:
    def pytorch(x):
        return x.cumprod(1)

    def naive(x):
        return tf.math.cumprod(x, 1)

    def exact(x):
        return ops.cumprod(x, 1)


@gap(
    "std-constant-grad",
    "G",
    "the deviation of equal values has the gradient 0",
    "`tf.math.reduce_std`: NaN",
    "`keras_blitz.ops.std`",
    x=lambda s: np.array([[2.0, 2, 2], [1, 2, 4]]),
)
class _:
    def pytorch(x):
        return x.std(1, unbiased=False)

    def naive(x):
        return tf.math.reduce_std(x, 1)

    def exact(x):
        return ops.std(x, 1, correction=0)


@array_gap(
    "round-floor-grad",
    "G",
    "`round`, `floor`, `ceil` have gradients of zeros",
    "`tf.round` …: None",
    "`unconnected_gradients='zero'`",
    x=numbers(1.5, -0.3),
)
class _:
    def pytorch(x):
        x = torch.tensor(x, requires_grad=True)
        return {
            str(i): torch.autograd.grad(f(x).sum(), x)[0] for i, f in enumerate((torch.round, torch.floor, torch.ceil))
        }

    def naive(x):
        return {str(i): _gradient(f, x) for i, f in enumerate((tf.round, tf.floor, tf.math.ceil))}

    def exact(x):
        functions = enumerate((tf.round, tf.floor, tf.math.ceil))
        return {str(i): _gradient(f, x, unconnected_gradients="zero") for i, f in functions}


@gap(
    "remainder-grad",
    "G",
    "`remainder`: the gradient to the divisor is −⌊x/y⌋",
    "`tf.math.floormod`: the same",
    "the same",
    x=numbers(7, -7),
    y=numbers(3, 3),
)
class _:
    def pytorch(x, y):
        return torch.remainder(x, y)

    def naive(x, y):
        return tf.math.floormod(x, y)

    def exact(x, y):
        return tf.math.floormod(x, y)


@gap(
    "fmod-grad",
    "G",
    "`fmod` rounds towards 0",
    "`tf.math.mod` rounds down",
    "x − stop_gradient(trunc(x/y))·y",
    x=numbers(7, -7),
    y=numbers(3, 3),
)
class _:
    def pytorch(x, y):
        return torch.fmod(x, y)

    def naive(x, y):
        return tf.math.mod(x, y)

    def exact(x, y):
        return x - tf.stop_gradient(tf.sign(x / y) * tf.floor(tf.abs(x / y))) * y


@gap(
    "median-grad",
    "O G",
    "the median of four is the lower of the middle two",
    "`keras.ops.median`: their mean",
    "`keras_blitz.ops.median`",
    x=(3, 4),
)
class _:
    def pytorch(x):
        return x.median(1).values

    def naive(x):
        return keras.ops.median(x, axis=1)

    def exact(x):
        return ops.median(x, 1)[0]


@gap(
    "median-full-tie-grad",
    "G",
    "`x.median()` splits the gradient over equal values",
    "`tf.sort(x)[i]`: to one",
    "`keras_blitz.ops.median`",
    x=numbers(1, 2, 2, 3),
)
class _:
    def pytorch(x):
        return x.median()

    def naive(x):
        return tf.sort(x)[1]

    def exact(x):
        return ops.median(x)


@gap(
    "sort-topk-grad",
    "G",
    "`sort(stable=True)`, the gradient of equal values goes by their order",
    "`tf.sort`",
    "`tf.argsort(stable=True)` and gather",
    x=rounded(3, 40),
)
class _:
    def pytorch(x):
        return x.sort(dim=1, stable=True).values

    def naive(x):
        return tf.sort(x, 1)

    def exact(x):
        return tf.gather(x, tf.argsort(x, 1, stable=True), batch_dims=1)


@gap(
    "gather-grad",
    "G",
    "rows gathered twice add up their gradients",
    "`tf.gather`: the same, once densified",
    "`tf.convert_to_tensor`",
    x=(3, 2),
)
class _:
    def pytorch(x):
        return x[[0, 0, 1]]

    def naive(x):
        return tf.gather(x, [0, 0, 1])

    def exact(x):
        return tf.gather(x, [0, 0, 1])


@gap(
    "logsumexp-inf",
    "G",
    "logsumexp of −∞ alone: −∞, its gradient 0",
    "`tf.reduce_logsumexp`: the same",
    "`tf.reduce_logsumexp`",
    x=lambda s: np.array([[-np.inf, -np.inf], [0.0, 1.0]]),
)
class _:
    def pytorch(x):
        return x.logsumexp(1)

    def naive(x):
        return tf.reduce_logsumexp(x, 1)

    def exact(x):
        return tf.reduce_logsumexp(x, 1)


@output_gap("xlogy", "G", "`xlogy(0, 0)` = 0", "`x·log(y)`: NaN", "`tf.math.xlogy`", x=numbers(0, 2), y=numbers(0, 3))
class _:
    def pytorch(x, y):
        return torch.xlogy(x, y)

    def naive(x, y):
        return x * tf.math.log(y)

    def exact(x, y):
        return tf.math.xlogy(x, y)


@gap(
    "atan2-0",
    "G",
    "atan2(0, 0) has the gradient 0",
    "`tf.atan2`: NaN",
    "a custom gradient",
    y=numbers(0, 1),
    x=numbers(0, 2),
)
class _:
    def pytorch(y, x):
        return torch.atan2(y, x)

    def naive(y, x):
        return tf.atan2(y, x)

    def exact(y, x):
        @tf.custom_gradient
        def atan2(y, x):
            square = x * x + y * y
            inverse = tf.where(square == 0, tf.zeros_like(square), 1 / square)
            return tf.atan2(y, x), lambda dz: (dz * x * inverse, -dz * y * inverse)

        return atan2(y, x)


@gap("acos-edges", "G", "acos'(1) = −∞", "`tf.acos`: the same", "the same", x=numbers(1, 0.5))
class _:
    def pytorch(x):
        return torch.acos(x)

    def naive(x):
        return tf.acos(x)

    def exact(x):
        return tf.acos(x)


@output_gap(
    "var-single",
    "O",
    "the unbiased variance of one value: NaN",
    "`tf.math.reduce_variance`: 0",
    "`keras_blitz.ops.var`",
    x=numbers(1),
)
class _:
    def pytorch(x):
        return x.var()

    def naive(x):
        return tf.math.reduce_variance(x)

    def exact(x):
        return ops.var(x)


@gap(
    "hook",
    "G",
    "`register_hook` changes the gradient of a tensor that is not a leaf",
    "TensorFlow has none: the gradient passes",
    "`keras_blitz.autograd.hook`",
    x=(3,),
)
class _:
    def pytorch(x):
        y = x * 3
        y.register_hook(lambda gradient: gradient * 2)
        return y

    def naive(x):
        return x * 3

    def exact(x):
        return autograd.hook(x * 3, lambda gradient: gradient * 2)


@gap(
    "mean-loss-scale",
    "T",
    "two shards of a batch: the mean of their means",
    "the sum of their means",
    "divide by the global batch",
    x=(4, 3),
)
class _:
    def pytorch(x):
        return torch.stack([shard.mean() for shard in x.chunk(2)]).mean()

    def naive(x):
        return tf.add_n([tf.reduce_mean(shard) for shard in tf.split(x, 2)])

    def exact(x):
        return tf.add_n([tf.reduce_sum(shard) / 12 for shard in tf.split(x, 2)])


@output_gap(
    "eager-vs-function",
    "O",
    "operations run one by one",
    "`tf.function` may reorder them",
    "the same, to rounding",
    x=(50, 50),
)
class _:
    def pytorch(x):
        return (torch.tanh(x @ x) * 3 - x / 7).sum()

    def naive(x):
        return tf.function(lambda x: tf.reduce_sum(tf.tanh(x @ x) * 3 - x / 7))(x)

    def exact(x):
        return tf.reduce_sum(tf.tanh(x @ x) * 3 - x / 7)
