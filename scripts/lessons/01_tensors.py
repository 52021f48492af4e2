"""
Tensors
=======

A tensor is an array of numbers of one type, with a shape. PyTorch and TensorFlow have the same one, and spell it
differently; now and then the same spelling means something else. This lesson follows the blitz's first part,
*Tensors*, and the operations that the tutorials use later on.

In every cell below the same thing is done in both frameworks, and the values of both are printed and compared. A line
that begins with **↑ differs** marks a value that is *not* the same, on purpose: those are the traps.

In the :doc:`inventory </inventory>`: T6 to T12. The counterpart of this lesson for NumPy users is
:doc:`05_numpy_pytorch_tensorflow`.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Setup
# -----
# ``torch`` comes from ``parity.lessons``, which loads it before TensorFlow, because the two cannot be loaded the other
# way round. Where PyTorch is not installed, its column shows values that were recorded, and the lesson still runs.
#
# ``keras_blitz.ops`` holds PyTorch's functions for tensors of TensorFlow. We use it where TensorFlow has no function
# that does the same, and plain ``tf`` where it has.

from parity.lessons import Lesson, torch

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import keras_blitz
from keras_blitz import data, ops

compare = Lesson("tensors").compare

# %%
# Creating tensors
# ----------------
# From data, the type is inferred. TensorFlow makes 32-bit integers where PyTorch and NumPy make 64-bit ones, and
# that goes unnoticed until an index or a sum overflows. Say the type, or use ``ops.tensor``.


# PyTorch
def with_pytorch():
    x = torch.tensor([[1, 2], [3, 4]])
    return {
        "type of whole numbers": x.dtype,
        "type of decimals": torch.tensor([1.5]).dtype,
        "ones_like": torch.ones_like(x),
        "full": torch.full((2, 2), 7),
        "arange": torch.arange(0, 1, 0.25),
        "eye": torch.eye(2),
    }


# Keras
def with_keras():
    x = ops.tensor([[1, 2], [3, 4]])
    return {
        "type of whole numbers": tf.constant(
            [[1, 2]]
        ).dtype,
        "type of decimals": tf.constant([1.5]).dtype,
        "ones_like": tf.ones_like(x),
        "full": ops.full((2, 2), 7),
        "arange": tf.range(0, 1, 0.25),
        "eye": tf.eye(2),
    }


why = "tf.constant makes int32 of Python's whole numbers; ops.tensor makes int64"
compare(
    "create",
    with_pytorch,
    with_keras,
    differs={"type of whole numbers": why},
)

# %%
# Random numbers come from a generator with a seed. ``keras_blitz.random`` is PyTorch's generator without PyTorch: the
# same seed gives the same bits, so that a tutorial's run can be followed number by number. TensorFlow's own
# ``tf.random`` is another generator, and its numbers have nothing to do with PyTorch's.


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    return {
        "rand": torch.rand(2, 3),
        "randn": torch.randn(3),
        "randint": torch.randint(0, 10, (4,)),
        "randperm": torch.randperm(5),
    }


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    return {
        "rand": ops.rand(2, 3),
        "randn": ops.randn(3),
        "randint": keras_blitz.random.randint(
            0, 10, (4,)
        ),
        "randperm": keras_blitz.random.randperm(5),
    }


compare("random", with_pytorch, with_keras)

# %%
# The NumPy bridge
# ----------------
# ``torch.from_numpy`` shares the array's memory: change the array, and the tensor changes. A TensorFlow tensor is a
# copy. Code that fills a buffer in place and expects the tensor to follow does nothing in TensorFlow.


# PyTorch
def with_pytorch():
    array = np.ones(3)
    t = torch.from_numpy(array)
    np.add(array, 1, out=array)
    return {"the array": array, "the tensor": t}


# Keras
def with_keras():
    array = np.ones(3)
    t = tf.constant(array)
    np.add(array, 1, out=array)
    return {"the array": array, "the tensor": t}


compare(
    "bridge",
    with_pytorch,
    with_keras,
    differs={
        "the tensor": "TensorFlow copied the array, PyTorch looks at it"
    },
)

# %%
# Attributes
# ----------
# A shape, a type, a device. ``x.size()`` is a function in PyTorch and its result the shape; in NumPy ``x.size`` is
# the number of elements, which PyTorch calls ``numel``.


# PyTorch
def with_pytorch():
    x = torch.zeros(2, 3, 4)
    return {
        "shape": x.shape,
        "size()": x.size(),
        "dim()": x.dim(),
        "numel()": x.numel(),
        "dtype": x.dtype,
    }


# Keras
def with_keras():
    x = tf.zeros((2, 3, 4))
    return {
        "shape": x.shape,
        "size()": ops.size(x),
        "dim()": x.ndim,
        "numel()": ops.numel(x),
        "dtype": x.dtype,
    }


compare("attributes", with_pytorch, with_keras)

# %%
# Indexing
# --------
# Reading is the same: slices, negative indices, a mask. There are two differences. A slice of a PyTorch tensor is a
# *view*: it shares memory. And writing through an index, ``x[:, 1] = 0``, does not exist for a TensorFlow tensor,
# which never changes: make a new one, or keep the values in a ``tf.Variable``, which can be assigned to.


# PyTorch
def with_pytorch():
    x = torch.arange(12.0).reshape(3, 4)
    first = x[0]
    x[:, 1] = 0
    return {
        "last column": x[:, -1],
        "masked": x[x > 5],
        "x": x,
        "first, taken before": first,
    }


# Keras
def with_keras():
    x = tf.Variable(tf.reshape(tf.range(12.0), (3, 4)))
    first = x[0]
    x[:, 1].assign(tf.zeros(3))
    return {
        "last column": x[:, -1],
        "masked": x[x > 5],
        "x": x,
        "first, taken before": first,
    }


why = "PyTorch's slice is a view and sees the zero; TensorFlow's is a copy"
compare(
    "index",
    with_pytorch,
    with_keras,
    differs={"first, taken before": why},
)

# %%
# In-place operations
# -------------------
# ``x.add_(1)`` changes ``x`` in PyTorch. On the other side it is an assignment: of a name to a new tensor, or of a
# variable.


# PyTorch
def with_pytorch():
    x = torch.tensor([1.0, 2.0, 3.0])
    x.add_(5)
    x.clamp_(max=7)
    return {"x": x}


# Keras
def with_keras():
    x = tf.Variable([1.0, 2.0, 3.0])
    x.assign_add([5.0, 5.0, 5.0])
    x.assign(tf.minimum(x, 7))
    return {"x": x}


compare("in place", with_pytorch, with_keras)

# %%
# Arithmetic and matrix products
# ------------------------------
# ``*`` multiplies element by element, ``@`` matrices, in both. Broadcasting has NumPy's rules in both. Mixed types do
# not: PyTorch promotes ``int + float``; TensorFlow raises, where both are tensors.


# PyTorch
def with_pytorch():
    a = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    n = torch.tensor([1, 2])
    return {
        "a * a": a * a,
        "a @ a": a @ a,
        "a + row": a + torch.tensor([10.0, 20.0]),
        "whole * decimal": n * torch.tensor([0.5, 0.5]),
        "n / 2": n / 2,
        "mv": torch.mv(a, a[0]),
    }


# Keras
def with_keras():
    a = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    n = ops.tensor([1, 2])
    return {
        "a * a": a * a,
        "a @ a": a @ a,
        "a + row": a + tf.constant([10.0, 20.0]),
        "whole * decimal": ops.mul(
            n, tf.constant([0.5, 0.5])
        ),
        "n / 2": ops.div(n, 2),
        "mv": tf.linalg.matvec(a, a[0]),
    }


compare("arithmetic", with_pytorch, with_keras)

# %%
# Joining
# -------
# ``cat`` joins along an axis that is there, ``stack`` makes a new one.


# PyTorch
def with_pytorch():
    x = torch.tensor([[1, 2], [3, 4]])
    return {
        "cat, 0": torch.cat([x, x]),
        "cat, 1": torch.cat([x, x], dim=1),
        "stack": torch.stack([x[0], x[1]], dim=1),
    }


# Keras
def with_keras():
    x = ops.tensor([[1, 2], [3, 4]])
    return {
        "cat, 0": tf.concat([x, x], axis=0),
        "cat, 1": tf.concat([x, x], axis=1),
        "stack": tf.stack([x[0], x[1]], axis=1),
    }


compare("join", with_pytorch, with_keras)

# %%
# Shape
# -----
# ``view`` and ``reshape`` take the values in the order in which they are in memory, and never move them.
# ``permute`` exchanges axes. In PyTorch a permuted tensor is not contiguous, and ``view`` refuses it; in TensorFlow
# every tensor is contiguous, and there is only ``reshape``.


# PyTorch
def with_pytorch():
    x = torch.arange(6).reshape(2, 3)
    try:
        x.t().view(6)
    except RuntimeError:
        refused = True
    return {
        "view": x.view(3, -1),
        "t().reshape": x.t().reshape(6),
        "t().view is refused": refused,
        "unsqueeze": x.unsqueeze(1).shape,
        "squeeze": x[None].squeeze().shape,
        "permute": x[None].permute(2, 0, 1).shape,
    }


# Keras
def with_keras():
    x = tf.reshape(ops.arange(6), (2, 3))
    tf.reshape(tf.transpose(x), (6,))
    return {
        "view": tf.reshape(x, (3, -1)),
        "t().reshape": tf.reshape(tf.transpose(x), (6,)),
        "t().view is refused": False,
        "unsqueeze": tf.expand_dims(x, 1).shape,
        "squeeze": tf.squeeze(x[None]).shape,
        "permute": tf.transpose(x[None], (2, 0, 1)).shape,
    }


why = "no TensorFlow tensor is a view of another, so none is refused"
compare(
    "shape",
    with_pytorch,
    with_keras,
    differs={"t().view is refused": why},
)

# %%
# Why it matters: PyTorch's images are (N, C, H, W), channels first; Keras's are (N, H, W, C), channels last. To get
# from one to the other the axes must be *permuted*. ``reshape`` gives the right shape, too, but the values are in the
# wrong places, and no error tells you. This is one of the most frequent mistakes in ports. Here three images of
# Fashion-MNIST are the channels red, green and blue of one image:

images, labels = data.load_sample("test")
chw = images[
    [0, 2, 5], :, :, 0
]  # (3, 28, 28), as PyTorch has it
figure, axes = plt.subplots(
    1, 2, figsize=(6, 3), layout="constrained"
)
axes[0].imshow(tf.transpose(chw, (1, 2, 0)))
axes[0].set_title("transpose: the image")
axes[1].imshow(tf.reshape(chw, (28, 28, 3)))
axes[1].set_title("reshape: the same shape, no image")
for one in axes:
    one.set_axis_off()
plt.show()

# %%
# Selecting
# ---------
# The two have a function called ``gather``, and they are different functions. PyTorch's takes one value for each index
# along an axis; TensorFlow's takes whole rows, which PyTorch calls ``index_select``.


# PyTorch
def with_pytorch():
    x = torch.tensor([[1.0, -2, 3], [0.5, 4, -1]])
    i = torch.tensor([[2, 0], [1, 1]])
    return {
        "gather": torch.gather(x, 1, i),
        "index_select": torch.index_select(x, 1, i[0]),
        "masked_select": torch.masked_select(x, x > 0),
        "nonzero": torch.nonzero(x < 0),
        "scatter": x.scatter(1, i, 9),
    }


# Keras
def with_keras():
    x = tf.constant([[1.0, -2, 3], [0.5, 4, -1]])
    i = ops.tensor([[2, 0], [1, 1]])
    return {
        "gather": ops.gather(x, 1, i),
        "index_select": tf.gather(x, i[0], axis=1),
        "masked_select": tf.boolean_mask(x, x > 0),
        "nonzero": tf.where(x < 0),
        "scatter": ops.scatter(x, 1, i, 9),
    }


compare("select", with_pytorch, with_keras)

# %%
# Reducing
# --------
# ``std`` and ``var`` divide by n − 1 in PyTorch, by n in TensorFlow and Keras. The median of an even count is the
# lower of the two in the middle in PyTorch, their mean in NumPy. ``keepdim`` is ``keepdims``.


# PyTorch
def with_pytorch():
    x = torch.tensor([[1.0, -2, 3], [0.5, 4, -1]])
    return {
        "mean, keepdim": torch.mean(x, 1, keepdim=True),
        "std": torch.std(x),
        "std, exact": torch.std(x),
        "median": torch.median(x),
        "cumsum": torch.cumsum(x, 1),
        "norm": torch.norm(x),
    }


# Keras
def with_keras():
    x = tf.constant([[1.0, -2, 3], [0.5, 4, -1]])
    return {
        "mean, keepdim": tf.reduce_mean(
            x, 1, keepdims=True
        ),
        "std": tf.math.reduce_std(x),
        "std, exact": ops.std(x),
        "median": ops.median(x),
        "cumsum": tf.cumsum(x, 1),
        "norm": tf.norm(x),
    }


compare(
    "reduce",
    with_pytorch,
    with_keras,
    differs={
        "std": "TensorFlow divides by n, PyTorch by n − 1"
    },
)

# %%
# Comparing
# ---------
# ``torch.max(x, 1)`` returns values *and* indices. ``torch.equal`` is one answer for two tensors; ``tf.equal`` is one
# for each element, which PyTorch calls ``eq``.


# PyTorch
def with_pytorch():
    x = torch.tensor([[1.0, -2, 3], [0.5, 4, -1]])
    values, indices = torch.max(x, 1)
    return {
        "max, values": values,
        "max, indices": indices,
        "topk": torch.topk(x, 2).values,
        "gt": torch.gt(x, 0.5),
        "equal": torch.equal(x, x),
    }


# Keras
def with_keras():
    x = tf.constant([[1.0, -2, 3], [0.5, 4, -1]])
    return {
        "max, values": tf.reduce_max(x, 1),
        "max, indices": tf.argmax(x, 1),
        "topk": tf.math.top_k(x, 2).values,
        "gt": x > 0.5,
        "equal": bool(tf.reduce_all(x == x)),
    }


compare("compare", with_pytorch, with_keras)

# %%
# Linear algebra
# --------------
# The three libraries return a singular value decomposition in three orders: PyTorch U, S, V; NumPy U, S, Vᵀ;
# TensorFlow S, U, V. Whoever unpacks it in the wrong order gets no error if the matrix is square.


# PyTorch
def with_pytorch():
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0]])
    U, S, V = torch.svd(x)
    return {
        "S": S,
        "U S Vᵀ": U @ torch.diag(S) @ V.t(),
        "bmm": torch.bmm(x[None], x[None]),
        "dot": torch.dot(x[0], x[1]),
    }


# Keras
def with_keras():
    x = tf.constant([[3.0, 1.0], [1.0, 3.0]])
    S, U, V = tf.linalg.svd(x)
    return {
        "S": S,
        "U S Vᵀ": U @ tf.linalg.diag(S) @ tf.transpose(V),
        "bmm": x[None] @ x[None],
        "dot": tf.tensordot(x[0], x[1], 1),
    }


compare("linear algebra", with_pytorch, with_keras)

# %%
# What to take along
# ------------------
# * Say the type of whole numbers; TensorFlow's default is int32.
# * A TensorFlow tensor is never a view and never changes. Variables change, by ``assign``.
# * From (N, C, H, W) to (N, H, W, C) is ``transpose``, never ``reshape``.
# * ``gather``, ``equal``, ``std`` and ``svd`` are the names that mean something else.
#
# All 160 spellings of the tutorials, NumPy, PyTorch and TensorFlow, are printed and checked by
# ``python scripts/blitz_tensors.py``. Next: :doc:`02_autograd`.
