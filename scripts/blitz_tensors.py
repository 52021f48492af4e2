"""Tensors: each operation as NumPy, PyTorch and TensorFlow spell it, run and checked line by line.

python scripts/blitz_tensors.py            without PyTorch its column is shown, not run
python scripts/blitz_tensors.py T8 T11     these tables alone
"""

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from keras_blitz import command
from keras_blitz.quiet import import_tensorflow

VALUES = {
    "x": np.float32([[1, -2, 3], [0.5, 4, -1]]),
    "y": np.float32([[2, 2, -1], [0.5, 1, 3]]),
    "v": np.float32([3, 1, 2]),
    "w": np.float32([1, 0, -1]),
    "m": np.float32([[1, 0], [2, 1], [0, 3]]),
    "c": np.arange(12, dtype=np.float32).reshape(2, 3, 2),
    "n": np.int64([4, 1, 3, 2]),
    "i": np.int64([[2, 0], [1, 1]]),
}


class Line(NamedTuple):
    """One operation.

    Args:
        numpy: its spelling; "" where there is none.
        torch: PyTorch's.
        tensorflow: TensorFlow's, or that of `keras_blitz.ops` where TensorFlow's own is not PyTorch's.
        trap: what goes wrong for whoever takes one for another; a line with "NumPy:" or "TensorFlow:" says that this
            one's result differs, and the lesson checks that it does.
    """

    numpy: str
    torch: str
    tensorflow: str
    trap: str = ""


LESSON = {
    "T1": ("NumPy: creation and random numbers", [
        Line("np.zeros((2, 3))", "torch.zeros(2, 3)", "tf.zeros((2, 3))"),
        Line("np.ones((2, 3))", "torch.ones(2, 3)", "tf.ones((2, 3))"),
        Line("np.empty((0, 3))", "torch.empty(0, 3)", "tf.zeros((0, 3))", "empty: values nobody has set; TensorFlow has none"),
        Line("np.zeros_like(x)", "torch.zeros_like(x)", "tf.zeros_like(x)"),
        Line("np.ones_like(x)", "torch.ones_like(x)", "tf.ones_like(x)"),
        Line("np.empty_like(x).shape", "torch.empty_like(x).shape", "tf.zeros_like(x).shape"),
        Line("np.eye(3)", "torch.eye(3)", "tf.eye(3)"),
        Line("np.full((2, 2), 7)", "torch.full((2, 2), 7)", "ops.full((2, 2), 7)", "tf.fill makes int32 of a Python int"),
        Line("np.arange(0, 1, 0.25)", "torch.arange(0, 1, 0.25)", "ops.arange(0, 1, 0.25)"),
        Line("np.linspace(0, 1, 5)", "torch.linspace(0, 1, 5)", "tf.linspace(0.0, 1.0, 5)", "the second half may round otherwise"),
        Line("np.array([[1, 2], [3, 4]])", "torch.tensor([[1, 2], [3, 4]])", "ops.tensor([[1, 2], [3, 4]])", "tf.constant makes int32 of Python ints"),
        Line("(np.random.seed(0), np.random.random(3))[1]", "(torch.manual_seed(0), torch.rand(3))[1]", "(random.manual_seed(0), ops.rand(3))[1]", "NumPy: another generator; keras_blitz's is PyTorch's"),
        Line("np.random.random_sample(3).shape", "torch.rand(3).shape", "tf.random.uniform((3,)).shape"),
        Line("(np.random.seed(0), np.random.randn(3))[1]", "(torch.manual_seed(0), torch.randn(3))[1]", "(random.manual_seed(0), ops.randn(3))[1]", "NumPy: another generator"),
        Line("np.random.normal(0, 1, 3).shape", "torch.empty(3).normal_(0, 1).shape", "tf.random.normal((3,)).shape"),
        Line("np.random.uniform(-1, 1, 3).shape", "torch.empty(3).uniform_(-1, 1).shape", "tf.random.uniform((3,), -1, 1).shape"),
        Line("(np.random.seed(0), np.random.randint(0, 10, 4))[1]", "(torch.manual_seed(0), torch.randint(0, 10, (4,)))[1]", "(random.manual_seed(0), random.randint(0, 10, (4,)))[1]", "NumPy: another generator"),
        Line("(np.random.seed(0), np.random.permutation(5))[1]", "(torch.manual_seed(0), torch.randperm(5))[1]", "(random.manual_seed(0), random.randperm(5))[1]", "NumPy: another generator; np.random.shuffle works in place"),
        Line("np.random.choice(n, 2).shape", "n[torch.randint(0, 4, (2,))].shape", "tf.gather(n, random.randint(0, 4, (2,))).shape"),
    ]),
    "T2": ("NumPy: access and shape", [
        Line("x[1, 2]", "x[1, 2]", "x[1, 2]"),
        Line("x[:, 1:]", "x[:, 1:]", "x[:, 1:]", "a view in NumPy and PyTorch, a copy in TensorFlow"),
        Line("x[-1]", "x[-1]", "x[-1]"),
        Line("v[::-1]", "v.flip(0)", "v[::-1]", "PyTorch has no negative steps"),
        Line("x[x > 0]", "x[x > 0]", "x[x > 0]"),
        Line("x[[1, 0]]", "x[[1, 0]]", "tf.gather(x, [1, 0])", "a list is not an index of a TensorFlow tensor"),
        Line("x.reshape(3, 2)", "x.reshape(3, 2)", "tf.reshape(x, (3, 2))"),
        Line("np.resize(x, (2, 2))", "x.clone().resize_(2, 2)", "ops.resize(x, 2, 2)", "NumPy's repeats the array where it grows"),
        Line("x.T", "x.t()", "tf.transpose(x)"),
        Line("x.ravel()", "x.ravel()", "tf.reshape(x, [-1])"),
        Line("x.flatten()", "x.flatten()", "tf.reshape(x, [-1])", "a copy in NumPy, perhaps a view in PyTorch"),
        Line("np.squeeze(x[None])", "x[None].squeeze()", "tf.squeeze(x[None])"),
        Line("np.transpose(c, (2, 0, 1))", "c.permute(2, 0, 1)", "tf.transpose(c, (2, 0, 1))"),
        Line("np.transpose(c).shape", "c.transpose(0, 1).shape", "ops.permute(c, 1, 0, 2).shape", "NumPy: all dimensions turned round"),
    ]),
    "T3": ("NumPy: joining and splitting", [
        Line("np.append(v, 5)", "torch.cat((v, torch.tensor([5.0])))", "tf.concat((v, [5.0]), 0)", "np.append flattens"),
        Line("np.concatenate((x, y))", "torch.cat((x, y))", "tf.concat((x, y), 0)"),
        Line("np.concatenate((x, y), 1)", "torch.cat((x, y), 1)", "tf.concat((x, y), 1)"),
        Line("np.stack((v, w))", "torch.stack((v, w))", "tf.stack((v, w))"),
        Line("np.hstack((v, w))", "torch.hstack((v, w))", "tf.concat((v, w), 0)"),
        Line("np.vstack((v, w))", "torch.vstack((v, w))", "tf.stack((v, w))"),
        Line("np.dstack((x, y))", "torch.dstack((x, y))", "tf.stack((x, y), 2)"),
        Line("np.hsplit(x, 3)[1]", "torch.hsplit(x, 3)[1]", "tf.split(x, 3, axis=1)[1]"),
        Line("np.vsplit(x, 2)[1]", "torch.split(x, 1)[1]", "tf.split(x, 2)[1]", "torch.split takes the size of a piece, the others their number"),
    ]),
    "T4": ("NumPy: arithmetic", [
        Line("x * y", "x * y", "x * y"),
        Line("np.multiply(x, y)", "torch.mul(x, y)", "tf.multiply(x, y)"),
        Line("np.dot(x, m)", "x @ m", "x @ m", "torch.dot is of vectors alone"),
        Line("x + 1", "x + 1", "x + 1", "broadcasting 1: a number goes with any shape"),
        Line("x + v", "x + v", "x + v", "broadcasting 2: the shorter shape is led by ones"),
        Line("x[:, :1] + v", "x[:, :1] + v", "x[:, :1] + v", "broadcasting 3: a size of 1 is repeated"),
        Line("np.broadcast_shapes((2, 3), (3,))", "torch.broadcast_shapes((2, 3), (3,))", "tf.broadcast_static_shape(tf.TensorShape((2, 3)), tf.TensorShape((3,)))", "broadcasting 4: other sizes that differ are an error"),
        Line("np.sqrt(y * y)", "torch.sqrt(y * y)", "tf.sqrt(y * y)"),
        Line("np.sin(x)", "torch.sin(x)", "tf.sin(x)"),
        Line("np.cos(x)", "torch.cos(x)", "tf.cos(x)"),
        Line("np.abs(x)", "torch.abs(x)", "tf.abs(x)"),
        Line("np.log(v)", "torch.log(v)", "tf.math.log(v)"),
        Line("np.log10(v)", "torch.log10(v)", "tf.math.log(v) / np.float32(np.log(10))", "TensorFlow has the natural logarithm alone"),
        Line("np.log2(v)", "torch.log2(v)", "tf.math.log(v) / np.float32(np.log(2))"),
        Line("np.exp(w)", "torch.exp(w)", "tf.exp(w)"),
        Line("np.cumsum(x, 1)", "torch.cumsum(x, 1)", "tf.cumsum(x, 1)", "without an axis: all, an error, the first"),
        Line("np.cumprod(x, 1)", "torch.cumprod(x, 1)", "ops.cumprod(x, 1)", "TensorFlow's gradient is wrong at zeros"),
        Line("np.sum(x, 0)", "torch.sum(x, 0)", "tf.reduce_sum(x, 0)"),
        Line("np.mean(x, 0)", "torch.mean(x, 0)", "tf.reduce_mean(x, 0)"),
        Line("np.median(n)", "torch.median(n)", "ops.median(n)", "NumPy: the mean of the two middle ones, PyTorch the lower"),
        Line("np.std(x)", "torch.std(x)", "ops.std(x)", "NumPy: by n, as TensorFlow, PyTorch by n − 1"),
        Line("np.var(x)", "torch.var(x)", "ops.var(x)", "NumPy: by n, as TensorFlow, PyTorch by n − 1"),
        Line("np.corrcoef(x)", "torch.corrcoef(x)", "(lambda z: z @ tf.transpose(z))(tf.math.l2_normalize(x - tf.reduce_mean(x, 1, keepdims=True), 1))"),
    ]),
    "T5": ("Mini-batches of an array", [
        Line("n[np.array([2, 0, 3, 1])]", "n[torch.tensor([2, 0, 3, 1])]", "tf.gather(n, [2, 0, 3, 1])", "shuffle indices, not the data"),
        Line("[len(n[k : k + 3]) for k in range(0, 4, 3)]", "[len(part) for part in torch.utils.data.DataLoader(n, 3)]", "[len(part) for part in tf.data.Dataset.from_tensor_slices(n).batch(3)]", "the last batch is smaller"),
        Line("[len(n[k : k + 3]) for k in range(0, 4 - 2, 3)]", "[len(part) for part in torch.utils.data.DataLoader(n, 3, drop_last=True)]", "[len(part) for part in tf.data.Dataset.from_tensor_slices(n).batch(3, drop_remainder=True)]", "or dropped"),
        Line("", "(torch.manual_seed(0), torch.cat(list(torch.utils.data.DataLoader(n, 3, shuffle=True))))[1]", "(random.manual_seed(0), tf.concat([tf.gather(n, part) for part in batches(4, 3, shuffle=True)], 0))[1]", "keras_blitz.data.batches has the DataLoader's order"),
    ]),
    "T6": ("Creation", [
        Line("np.array([1.5, 2])", "torch.tensor([1.5, 2])", "ops.tensor([1.5, 2])", "tensor infers the dtype"),
        Line("np.float32([1, 2])", "torch.Tensor([1, 2])", "ops.Tensor([1, 2])", "Tensor is the default dtype, of a number so many values nobody has set"),
        Line("np.eye(2, 3)", "torch.eye(2, 3)", "ops.eye(2, 3)"),
        Line("np.linspace(0, 10, 4)", "torch.linspace(0, 10, 4)", "ops.linspace(0, 10, 4)"),
        Line("np.logspace(0, 2, 3)", "torch.logspace(0, 2, 3)", "ops.logspace(0, 2, 3)"),
        Line("", "(torch.manual_seed(1), torch.rand(2, 2))[1]", "(random.manual_seed(1), ops.rand(2, 2))[1]"),
        Line("", "(torch.manual_seed(1), torch.randn(2, 2))[1]", "(random.manual_seed(1), ops.randn(2, 2))[1]"),
        Line("np.ones(3)", "torch.ones(3)", "ops.ones(3)"),
        Line("np.zeros(3)", "torch.zeros(3)", "ops.zeros(3)"),
        Line("np.ones_like(n)", "torch.ones_like(n)", "ops.ones_like(n)"),
        Line("np.zeros_like(n)", "torch.zeros_like(n)", "ops.zeros_like(n)"),
        Line("np.arange(5)", "torch.arange(5)", "ops.arange(5)", "tf.range is int32"),
        Line("np.asarray(VALUES['v'])", "torch.from_numpy(VALUES['v'])", "ops.from_numpy(VALUES['v'])", "PyTorch's shares the array's memory, TensorFlow's is a copy"),
    ]),
    "T7": ("Shape", [
        Line("c.shape", "c.size()", "ops.size(c)"),
        Line("c.size", "c.numel()", "ops.numel(c)"),
        Line("c.ndim", "c.dim()", "ops.dim(c)"),
        Line("x.reshape(3, -1)", "x.view(3, -1)", "ops.view(x, 3, -1)", "view refuses what is not contiguous, and shares storage"),
        Line("x.T.reshape(6)", "x.t().reshape(6)", "ops.reshape(ops.t(x), 6)", "x.t().view(6) raises"),
        Line("np.resize(n, 2)", "n.clone().resize_(2)", "ops.resize(n, 2)"),
        Line("v[:1].item()", "v[:1].item()", "ops.item(v[:1])"),
        Line("np.expand_dims(v, 0)", "v.unsqueeze(0)", "ops.unsqueeze(v, 0)"),
        Line("np.squeeze(v[None], 0)", "v[None].squeeze(0)", "ops.squeeze(v[None], 0)"),
        Line("v[None]", "v[None].squeeze(1)", "ops.squeeze(v[None], 1)", "of another size PyTorch changes nothing; NumPy and TensorFlow raise"),
        Line("c.transpose(2, 0, 1)", "c.permute(2, 0, 1)", "ops.permute(c, 2, 0, 1)"),
        Line("np.ascontiguousarray(x.T)", "x.t().contiguous()", "ops.contiguous(ops.t(x))"),
    ]),
    "T8": ("Selection", [
        Line("np.take(x, [2, 0], 1)", "torch.index_select(x, 1, torch.tensor([2, 0]))", "ops.index_select(x, 1, [2, 0])"),
        Line("np.argwhere(x > 0)", "torch.nonzero(x > 0)", "ops.nonzero(x > 0)"),
        Line("x[x > 0]", "torch.masked_select(x, x > 0)", "ops.masked_select(x, x > 0)"),
        Line("np.take_along_axis(x, i, 1)", "torch.gather(x, 1, i)", "ops.gather(x, 1, i)", "tf.gather is index_select"),
        Line("(lambda z: (np.put_along_axis(z, i, 9, 1), z)[1])(x.copy())", "x.scatter(1, i, 9)", "ops.scatter(x, 1, i, 9)", "tf.scatter_nd adds what meets in one place"),
    ]),
    "T9": ("Element by element", [
        Line("np.abs(x)", "torch.abs(x)", "ops.abs(x)"),
        Line("x + 2 * y", "torch.add(x, y, alpha=2)", "ops.add(x, y, alpha=2)"),
        Line("x + 0.5 * y / v", "torch.addcdiv(x, y, v, value=0.5)", "ops.addcdiv(x, y, v, value=0.5)"),
        Line("x + 0.5 * y * v", "torch.addcmul(x, y, v, value=0.5)", "ops.addcmul(x, y, v, value=0.5)"),
        Line("np.ceil(x)", "torch.ceil(x)", "ops.ceil(x)", "the gradient is 0, TensorFlow's None"),
        Line("np.floor(x)", "torch.floor(x)", "ops.floor(x)"),
        Line("np.clip(x, -1, 2)", "torch.clamp(x, -1, 2)", "ops.clamp(x, -1, 2)", "where min > max, tf.clip_by_value gives min"),
        Line("np.exp(w)", "torch.exp(w)", "ops.exp(w)"),
        Line("np.log(v)", "torch.log(v)", "ops.log(v)"),
        Line("x**2", "torch.pow(x, 2)", "ops.pow(x, 2)"),
        Line("n * 0.5", "torch.mul(n, 0.5)", "ops.mul(n, 0.5)", "integers times a float: TensorFlow's own raises"),
        Line("-x", "torch.neg(x)", "ops.neg(x)"),
        Line("1 / (1 + np.exp(-x))", "torch.sigmoid(x)", "ops.sigmoid(x)"),
        Line("np.tanh(x)", "torch.tanh(x)", "ops.tanh(x)"),
        Line("np.exp(x) / np.exp(x).sum(1, keepdims=True)", "torch.softmax(x, 1)", "ops.softmax(x, 1)"),
        Line("np.sign(x)", "torch.sign(x)", "ops.sign(x)", "of NaN it is 0 in PyTorch, NaN in the others"),
        Line("np.sqrt(v)", "torch.sqrt(v)", "ops.sqrt(v)"),
        Line("np.add(v, w, out=v.copy())", "v.clone().add_(w)", "ops.add_(v, w)", "no tensor of TensorFlow can be written into: v = ops.add_(v, w)"),
        Line("np.multiply(v, 2, out=v.copy())", "v.clone().mul_(2)", "ops.mul_(tf.Variable(v), 2)", "a variable can: it is assigned"),
    ]),
    "T10": ("Reduction", [
        Line("np.cumprod(x, 1)", "torch.cumprod(x, 1)", "ops.cumprod(x, 1)"),
        Line("np.cumsum(n)", "torch.cumsum(n, 0)", "ops.cumsum(n, 0)"),
        Line("np.linalg.norm(x - y)", "torch.dist(x, y)", "ops.dist(x, y)"),
        Line("x.mean(1, keepdims=True)", "torch.mean(x, 1, keepdim=True)", "ops.mean(x, 1, keepdim=True)", "of integers PyTorch raises, TensorFlow rounds"),
        Line("np.median(x, 1)", "torch.median(x, 1).values", "ops.median(x, 1).values"),
        Line("np.std(x, 1, ddof=1)", "torch.std(x, 1)", "ops.std(x, 1)"),
        Line("np.var(x, 1, ddof=1)", "torch.var(x, 1)", "ops.var(x, 1)"),
        Line("np.linalg.norm(x)", "torch.norm(x)", "ops.norm(x)", "of a matrix NumPy's ord=2 is the spectral norm"),
        Line("np.prod(x, 1)", "torch.prod(x, 1)", "ops.prod(x, 1)"),
        Line("np.sum(n)", "torch.sum(n)", "ops.sum(n)", "of int32 PyTorch's is int64, TensorFlow's overflows"),
    ]),
    "T11": ("Comparison", [
        Line("np.equal(x, y)", "torch.eq(x, y)", "ops.eq(x, y)"),
        Line("np.array_equal(x, x)", "torch.equal(x, x)", "ops.equal(x, x)", "tf.equal is torch.eq"),
        Line("x >= y", "torch.ge(x, y)", "ops.ge(x, y)"),
        Line("x <= y", "torch.le(x, y)", "ops.le(x, y)"),
        Line("x > y", "torch.gt(x, y)", "ops.gt(x, y)"),
        Line("x < y", "torch.lt(x, y)", "ops.lt(x, y)"),
        Line("np.max(x)", "torch.max(x)", "ops.max(x)"),
        Line("(np.max(x, 1), np.argmax(x, 1))", "torch.max(x, 1)", "ops.max(x, 1)", "values and indices; the gradient goes to that index alone"),
        Line("(np.min(x, 1), np.argmin(x, 1))", "torch.min(x, 1)", "ops.min(x, 1)"),
        Line("np.maximum(x, y)", "torch.max(x, y)", "ops.max(x, y)"),
        Line("np.sort(n)[::-1][:2]", "torch.topk(n, 2).values", "ops.topk(n, 2).values"),
    ]),
    "T12": ("Linear algebra", [
        Line("np.dot(v, w)", "torch.dot(v, w)", "ops.dot(v, w)"),
        Line("x @ m", "torch.mm(x, m)", "ops.mm(x, m)"),
        Line("c @ c.transpose(0, 2, 1)", "torch.bmm(c, c.transpose(1, 2))", "ops.bmm(c, ops.permute(c, 0, 2, 1))"),
        Line("x @ v", "torch.mv(x, v)", "ops.mv(x, v)", "tf.matmul refuses vectors"),
        Line("x.T", "torch.t(x)", "ops.t(x)"),
        Line("np.linalg.svd(x)[1]", "torch.svd(x).S", "ops.svd(x).S", "PyTorch gives U, S, V; NumPy U, S, Vᵀ; TensorFlow S, U, V"),
    ]),
    "T13": ("NumPy's names and PyTorch's", [
        Line("x.astype(np.float64)", "x.double()", "tf.cast(x, tf.float64)", "float64: double, float32: float, int64: long, int32: int, uint8: byte, bool: bool"),
        Line("x.astype(np.int64)", "x.long()", "tf.cast(x, tf.int64)", "towards zero"),
        Line("x.copy()", "x.clone()", "tf.identity(x)"),
        Line("np.concatenate((v, w))", "torch.cat((v, w))", "ops.cat((v, w))"),
        Line("x.ndim", "x.dim()", "ops.dim(x)"),
        Line("x.size", "x.nelement()", "ops.numel(x)", "x.size is NumPy's number of elements, x.size() PyTorch's shape"),
        Line("x.shape", "x.size()", "ops.size(x)"),
        Line("x.flatten()", "x.view(-1)", "ops.view(x, -1)"),
        Line("np.floor(x)", "torch.floor(x)", "ops.floor(x)"),
        Line("np.less(x, y)", "torch.lt(x, y)", "ops.lt(x, y)"),
        Line("np.less_equal(x, y)", "torch.le(x, y)", "ops.le(x, y)"),
        Line("np.greater(x, y)", "torch.gt(x, y)", "ops.gt(x, y)"),
        Line("np.greater_equal(x, y)", "torch.ge(x, y)", "ops.ge(x, y)"),
        Line("np.equal(x, y)", "torch.eq(x, y)", "ops.eq(x, y)"),
        Line("np.not_equal(x, y)", "torch.ne(x, y)", "ops.ne(x, y)"),
        Line("np.random.seed(0)", "torch.manual_seed(0) and None", "random.manual_seed(0) and None"),
    ]),
}  # fmt: skip


def run(line: Line) -> dict[str, object]:
    """Return what each spelling gives, by framework; PyTorch's only where it is installed."""
    import tensorflow as tf

    from keras_blitz import ops, random
    from keras_blitz.data import batches

    found = {}
    own = {name: tf.constant(array) for name, array in VALUES.items()}
    found["tensorflow"] = eval(line.tensorflow, {"tf": tf, "np": np, "ops": ops, "random": random, "batches": batches,
                                                 "VALUES": VALUES, **own})  # fmt: skip
    if line.numpy:
        found["numpy"] = eval(line.numpy, {"np": np, "VALUES": VALUES, **VALUES})
    if find_spec("torch"):
        import torch

        given = {name: torch.tensor(array) for name, array in VALUES.items()}
        with torch.random.fork_rng(devices=[]):
            found["torch"] = eval(line.torch, {"torch": torch, "VALUES": VALUES, **given})
    return found


def parts(found) -> list[np.ndarray]:
    """Return a result as arrays: of values and indices two."""
    several = isinstance(found, tuple) and found and not isinstance(found[0], int)
    if found is None:
        return []
    return [np.asarray(part) for part in (found if several else [found])]


def wrong(line: Line, found: dict[str, object]) -> str:
    """Return what is not as the line says, or ""."""
    ours = parts(found["tensorflow"])
    if "torch" in found:
        theirs = parts(found["torch"])
        if [part.dtype.kind for part in theirs] != [part.dtype.kind for part in ours] or not alike(theirs, ours):
            return f"PyTorch gives {found['torch']}, TensorFlow {found['tensorflow']}"
    if "numpy" in found and alike(parts(found["numpy"]), ours) == line.trap.startswith("NumPy:"):
        return f"NumPy gives {found['numpy']}, TensorFlow {found['tensorflow']}"
    return ""


def alike(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    """Whether shapes are equal, and values to float32's rounding."""
    return len(some) == len(others) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-6, atol=1e-6)
        for one, other in zip(some, others, strict=True)
    )


def shown(found) -> str:
    """Return a result on one line."""
    arrays = [np.array2string(part, precision=4, separator=", ", threshold=12) for part in parts(found)]
    return " ".join(" and ".join(arrays).split())


def main() -> int:
    """Print the lesson, and check each of its lines; return 1 if one is wrong."""
    parser = command.argument_parser(__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(LESSON)}; default: all")
    parser.add_argument("--dry-run", action="store_true", help="no effect, because the script takes only seconds")
    tables = parser.parse_args().tables
    if unknown := [table for table in tables if table not in LESSON]:
        parser.error(f"no table {unknown[0]!r}; there are {', '.join(LESSON)}")
    if find_spec("torch"):
        import torch  # noqa: F401 – before TensorFlow
    import_tensorflow()
    print("The tensors of all tables:")
    for name, value in VALUES.items():
        print(f"  {name} = {shown(value)}  {value.dtype}")
    lines = mistakes = 0
    for table in tables or LESSON:
        title, rows = LESSON[table]
        print(f"\n{table}  {title}")
        for line in rows:
            found = run(line)
            print(f"\n  NumPy       {line.numpy or '–'}\n  PyTorch     {line.torch}\n  TensorFlow  {line.tensorflow}")
            if line.trap:
                print(f"  mind        {line.trap}")
            print(f"  = {shown(found['tensorflow'])}")
            lines += 1
            if problem := wrong(line, found):
                mistakes += 1
                print(f"  WRONG       {problem}")
    beside = "NumPy and PyTorch" if find_spec("torch") else "NumPy; PyTorch is not installed"
    print(f"\n{lines} lines, {mistakes} wrong, checked against {beside}")
    return 1 if mistakes else 0


if __name__ == "__main__":
    command.run(main, "blitz_tensors")
