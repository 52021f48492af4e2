"""Losses."""

import numpy as np

from keras_blitz.floatx import precision
from parity.gaps.gap import array_gap, gap, output_gap
from parity.gaps.helpers import channels_last, integers, numbers, positive
from parity.gaps.lazy import F, keras, losses, tf, torch

LABELS = integers(4, 5)
WEIGHTS = np.array([0.1, 2.0, 3.0, 0.5])


def _labels(*values):
    return lambda stream: np.array(values, np.int64)


def _sparse(**options):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def _one_hot(y, classes, x):
    return tf.one_hot(y, classes, dtype=x.dtype)


@gap(
    "ce-logits",
    "O G T",
    "`CrossEntropyLoss` takes logits",
    "`SparseCategoricalCrossentropy()` takes probabilities",
    "`keras_blitz.losses.CrossEntropyLoss`",
    x=(5, 4),
    y=LABELS,
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return keras.losses.SparseCategoricalCrossentropy()(y, x)

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, x)


@gap(
    "ce-softmax-in-model",
    "O G T",
    "`CrossEntropyLoss` takes logits",
    "a softmax layer, then from_logits=True: softmax twice",
    "logits, and `keras_blitz.losses.CrossEntropyLoss`",
    x=(5, 4),
    y=LABELS,
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return _sparse()(y, tf.nn.softmax(x))

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, x)


@gap(
    "ce-softmax-prob-path",
    "O G",
    "`CrossEntropyLoss`, a sure and wrong prediction",
    "softmax, one operation, from_logits=False: probabilities below 1e-7 are clipped",
    "logits",
    x=numbers([30.0, 0.0, 0.0]),
    y=_labels(1),
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return keras.losses.SparseCategoricalCrossentropy()(y, keras.ops.softmax(x) * 1.0)

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, x)


@gap(
    "ce-spatial",
    "O G",
    "cross entropy of (N, C, H, W): the classes are axis 1",
    "`SparseCategoricalCrossentropy` of the same array takes the last axis",
    "channels last",
    x=(2, 4, 4, 4),
    y=integers(4, 2, 4, 4),
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return _sparse()(y, x)

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, channels_last(x))


@gap(
    "ce-label-smoothing",
    "O G",
    "`label_smoothing=0.1`",
    "`SparseCategoricalCrossentropy` has none",
    "`keras_blitz.losses.CrossEntropyLoss(label_smoothing=0.1)`",
    x=(5, 4),
    y=LABELS,
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y, label_smoothing=0.1)

    def naive(x, y):
        return _sparse()(y, x)

    def exact(x, y):
        return losses.CrossEntropyLoss(label_smoothing=0.1)(y, x)


@gap(
    "ce-ignore-index",
    "O G",
    "labels of −100 are ignored, and not counted in the mean",
    "`SparseCategoricalCrossentropy()`: NaN",
    "`keras_blitz.losses.CrossEntropyLoss`",
    x=(5, 4),
    y=_labels(0, -100, 1, -100, 2),
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return _sparse()(y, x)

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, x)


@gap(
    "ce-ignore-index-mean",
    "O G",
    "labels of −100 are not counted in the mean",
    "the function `sparse_categorical_crossentropy(ignore_class=−100)` and `reduce_mean`: they are",
    "`keras_blitz.losses.CrossEntropyLoss`",
    x=(5, 4),
    y=_labels(0, -100, 1, -100, 2),
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, x, from_logits=True, ignore_class=-100))

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, x)


@output_gap(
    "ce-all-ignored",
    "O",
    "every label ignored: 0/0, NaN",
    "`SparseCategoricalCrossentropy(ignore_class=−100)`: 0",
    "`keras_blitz.losses.CrossEntropyLoss`",
    x=(2, 4),
    y=_labels(-100, -100),
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y)

    def naive(x, y):
        return _sparse(ignore_class=-100)(y, x)

    def exact(x, y):
        return losses.CrossEntropyLoss()(y, x)


@gap(
    "ce-class-weight",
    "O G T",
    "`weight=w`: Σ w[y]·l / Σ w[y]",
    "`sample_weight` (and fit's `class_weight`): Σ w[y]·l / N",
    "`keras_blitz.losses.CrossEntropyLoss(weight=w)`",
    x=(5, 4),
    y=LABELS,
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y, weight=torch.tensor(WEIGHTS))

    def naive(x, y):
        return _sparse()(y, x, sample_weight=tf.gather(WEIGHTS, y))

    def exact(x, y):
        return losses.CrossEntropyLoss(weight=WEIGHTS)(y, x)


@gap(
    "ce-weight-smoothing",
    "O G",
    "weights and smoothing: the smoothed part has the weights of all classes",
    "sample weights on the smoothed loss",
    "`keras_blitz.losses.CrossEntropyLoss(weight=w, label_smoothing=0.1)`",
    x=(5, 4),
    y=LABELS,
)
class _:
    def pytorch(x, y):
        return F.cross_entropy(x, y, weight=torch.tensor(WEIGHTS), label_smoothing=0.1)

    def naive(x, y):
        loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1, reduction="mean_with_sample_weight")
        return loss(_one_hot(y, 4, x), x, sample_weight=tf.gather(WEIGHTS, y))

    def exact(x, y):
        return losses.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.1)(y, x)


@gap(
    "ce-soft-targets",
    "G",
    "class probabilities that do not sum to 1",
    "`CategoricalCrossentropy`: its gradient takes it for granted that they do",
    "`keras_blitz.losses.CrossEntropyLoss`",
    x=(3, 4),
)
class _:
    def pytorch(x):
        return F.cross_entropy(x, torch.tensor(_targets()))

    def naive(x):
        return keras.losses.CategoricalCrossentropy(from_logits=True)(_targets(), x)

    def exact(x):
        return losses.CrossEntropyLoss()(tf.constant(_targets()), x)


def _targets():
    return np.random.RandomState(3).uniform(0.1, 1.1, (3, 4))


@gap(
    "ce-target-gradient",
    "G",
    "class probabilities have a gradient too",
    "`CategoricalCrossentropy`: the same, where they sum to 1",
    "`keras_blitz.losses.CrossEntropyLoss`",
    x=(3, 4),
    q=lambda s: s.dirichlet(np.ones(4), 3),
)
class _:
    def pytorch(x, q):
        return F.cross_entropy(x, q)

    def naive(x, q):
        return keras.losses.CategoricalCrossentropy(from_logits=True)(q, x)

    def exact(x, q):
        return losses.CrossEntropyLoss()(q, x)


@gap(
    "nll",
    "O G",
    "`NLLLoss` takes log-probabilities",
    "`SparseCategoricalCrossentropy()` takes them for probabilities",
    "`keras_blitz.losses.NLLLoss`",
    x=(5, 4),
    y=LABELS,
)
class _:
    def pytorch(x, y):
        return F.nll_loss(F.log_softmax(x, 1), y)

    def naive(x, y):
        return keras.losses.SparseCategoricalCrossentropy()(y, tf.nn.log_softmax(x))

    def exact(x, y):
        return losses.NLLLoss()(y, tf.nn.log_softmax(x))


PROBABLE = numbers(0, 1, 0.3, 1e-9, 1 - 1e-9, 0.7)
HAPPENED = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])


@gap(
    "bce-clamp",
    "O G T",
    "`BCELoss`: a logarithm is −100 at least",
    "`BinaryCrossentropy()`: probabilities are clipped to 1e-7, the loss to 16.1, the gradient is 0 there",
    "`keras_blitz.losses.BCELoss`",
    p=PROBABLE,
)
class _:
    def pytorch(p):
        return F.binary_cross_entropy(p, torch.tensor(HAPPENED))

    def naive(p):
        return keras.losses.BinaryCrossentropy()(HAPPENED, p)

    def exact(p):
        return losses.BCELoss()(tf.constant(HAPPENED), p)


@gap(
    "bce-generic",
    "O G",
    "`BCELoss` after a saturated sigmoid: 40 at a logit of 40, 100 at 800",
    "`BinaryCrossentropy()` after `keras.ops.sigmoid` takes the logits, silently",
    "`keras_blitz.losses.BCELoss`",
    x=numbers(-800, 40, 800),
)
class _:
    def pytorch(x):
        return F.binary_cross_entropy(torch.sigmoid(x), torch.tensor([1.0, 0.0, 0.0], dtype=x.dtype))

    def naive(x):
        return keras.losses.BinaryCrossentropy()(np.array([1.0, 0.0, 0.0]), keras.ops.sigmoid(x))

    def exact(x):
        return losses.BCELoss()(tf.constant([1.0, 0.0, 0.0], x.dtype), tf.sigmoid(x))


@gap(
    "bce-with-logits",
    "O G",
    "`BCEWithLogitsLoss(pos_weight=w)`",
    "`BinaryCrossentropy(from_logits=True)` has no pos_weight",
    "`keras_blitz.losses.BCEWithLogitsLoss(pos_weight=w)`",
    x=(4, 4),
    y=lambda s: s.randint(0, 2, (4, 4)),
)
class _:
    def pytorch(x, y):
        return F.binary_cross_entropy_with_logits(x, y.double(), pos_weight=torch.tensor(WEIGHTS))

    def naive(x, y):
        return keras.losses.BinaryCrossentropy(from_logits=True)(y, x)

    def exact(x, y):
        return losses.BCEWithLogitsLoss(pos_weight=WEIGHTS)(y, x)


@gap(
    "bcelogits-grad-at-0",
    "G",
    "the gradient at a logit of 0: ½ − y",
    "`BinaryCrossentropy(from_logits=True)`: the same",
    "the same",
    x=numbers(0, 0),
)
class _:
    def pytorch(x):
        return F.binary_cross_entropy_with_logits(x, torch.tensor([1.0, 0.0], dtype=x.dtype))

    def naive(x):
        return keras.losses.BinaryCrossentropy(from_logits=True)(np.array([1.0, 0.0]), x)

    def exact(x):
        return losses.BCEWithLogitsLoss()(tf.constant([1.0, 0.0], x.dtype), x)


@gap(
    "mse-reduction",
    "O G",
    "`MSELoss(reduction='sum')` sums all values",
    "`MeanSquaredError(reduction='sum')` sums the samples' means",
    "`keras_blitz.losses.MSELoss(reduction='sum')`",
    x=(4, 3),
    y=(4, 3),
)
class _:
    def pytorch(x, y):
        return F.mse_loss(x, y, reduction="sum")

    def naive(x, y):
        return keras.losses.MeanSquaredError(reduction="sum")(y, x)

    def exact(x, y):
        return losses.MSELoss(reduction="sum")(y, x)


@gap(
    "mse-broadcast",
    "O G T",
    "`mse_loss` of (N, 1) and (N,) broadcasts to (N, N), with a warning",
    "`MeanSquaredError` squeezes to (N,)",
    "`keras_blitz.losses.MSELoss`; better, fix the shapes",
    x=(4, 1),
    y=(4,),
)
class _:
    def pytorch(x, y):
        return F.mse_loss(x, y)

    def naive(x, y):
        return keras.losses.MeanSquaredError()(y, x)

    def exact(x, y):
        return losses.MSELoss()(y, x)


@output_gap(
    "loss-object-floatx",
    "O G",
    "a loss has its inputs' type",
    "Keras's loss objects cast to floatx, float32 unless set",
    "`keras_blitz.losses`: the type of y_pred",
    x=(40, 3),
    y=(40, 3),
)
class _:
    def pytorch(x, y):
        return F.mse_loss(x, y)

    def naive(x, y):
        with precision("float32"):
            return keras.losses.MeanSquaredError()(y, x)

    def exact(x, y):
        return losses.MSELoss()(y, x)


@gap(
    "l1",
    "G",
    "`L1Loss`: no gradient where the difference is 0",
    "`MeanAbsoluteError`: the same",
    "the same",
    x=numbers(1, 2, 3),
)
class _:
    def pytorch(x):
        return F.l1_loss(x, torch.tensor([1.0, 0.0, 5.0], dtype=x.dtype))

    def naive(x):
        return keras.losses.MeanAbsoluteError()(np.array([1.0, 0.0, 5.0]), x)

    def exact(x):
        return keras.losses.MeanAbsoluteError()(np.array([1.0, 0.0, 5.0]), x)


@gap(
    "smoothl1-huber",
    "O G T",
    "`SmoothL1Loss(beta=0.3)`",
    "`Huber(0.3)`: β times as large",
    "`keras_blitz.losses.SmoothL1Loss(beta=0.3)`",
    x=(30,),
    y=(30,),
)
class _:
    def pytorch(x, y):
        return F.smooth_l1_loss(x, y, beta=0.3)

    def naive(x, y):
        return keras.losses.Huber(np.float64(0.3))(y, x)

    def exact(x, y):
        return losses.SmoothL1Loss(beta=0.3)(y, x)


@gap(
    "huber-f64",
    "O G T",
    "`HuberLoss(delta=0.3)`",
    "`Huber(0.3)`: the same",
    "`keras_blitz.losses.HuberLoss(delta=0.3)`",
    x=(30,),
    y=(30,),
)
class _:
    def pytorch(x, y):
        return F.huber_loss(x, y, delta=0.3)

    def naive(x, y):
        return keras.losses.Huber(0.3)(y, x)

    def exact(x, y):
        return losses.HuberLoss(delta=0.3)(y, x)


@gap(
    "kldiv",
    "O G",
    "`KLDivLoss()` of log-probabilities divides by all values",
    "`KLDivergence()` of probabilities divides by the batch, and clips to 1e-7",
    "`keras_blitz.losses.KLDivLoss()`",
    x=lambda s: np.log(s.dirichlet(np.ones(5), 4)),
)
class _:
    def pytorch(x):
        return F.kl_div(x, torch.tensor(_distribution()))

    def naive(x):
        return keras.losses.KLDivergence()(_distribution(), tf.exp(x))

    def exact(x):
        return losses.KLDivLoss()(_distribution(), x)


@gap(
    "kldiv-batchmean",
    "O G",
    "`KLDivLoss('batchmean')`",
    "`KLDivergence()` clips both sides to [1e-7, 1]",
    "`keras_blitz.losses.KLDivLoss('batchmean')`",
    x=lambda s: np.log(s.dirichlet(np.ones(5), 4)),
)
class _:
    def pytorch(x):
        return F.kl_div(x, torch.tensor(_distribution()), reduction="batchmean")

    def naive(x):
        return keras.losses.KLDivergence()(_distribution(), tf.exp(x))

    def exact(x):
        return losses.KLDivLoss("batchmean")(_distribution(), x)


def _distribution():
    t = np.random.RandomState(5).dirichlet(np.ones(5), 4)
    t[0, 0] = 0
    return t / t.sum(1, keepdims=True)


COUNTS = np.array([0.0, 1.0, 2.0, 3.0, 1.0])


@gap(
    "poisson-nll",
    "O G",
    "`PoissonNLLLoss()`: eˣ − t·x, x is the logarithm of the rate",
    "`Poisson()`: x is the rate",
    "`keras_blitz.losses.PoissonNLLLoss()`",
    x=positive(5),
)
class _:
    def pytorch(x):
        return F.poisson_nll_loss(x, torch.tensor(COUNTS))

    def naive(x):
        return keras.losses.Poisson()(COUNTS, x)

    def exact(x):
        return losses.PoissonNLLLoss()(COUNTS, x)


@gap(
    "poisson-nll-rate",
    "O G",
    "`PoissonNLLLoss(log_input=False)`: x − t·log(x + 1e-8)",
    "`Poisson()`: 1e-7",
    "`keras_blitz.losses.PoissonNLLLoss(log_input=False)`",
    x=positive(5),
)
class _:
    def pytorch(x):
        return F.poisson_nll_loss(x, torch.tensor(COUNTS), log_input=False)

    def naive(x):
        return keras.losses.Poisson()(COUNTS, x)

    def exact(x):
        return losses.PoissonNLLLoss(log_input=False)(COUNTS, x)


@gap(
    "gaussian-nll",
    "O G",
    "`GaussianNLLLoss`: the variance is clamped to 1e-6 outside of autograd, its gradient passes",
    "`tf.maximum(v, 1e-6)`: no gradient below",
    "`keras_blitz.losses.GaussianNLLLoss`",
    x=(5,),
    y=(5,),
    v=numbers(1, 0.5, 1e-8, 2, 3),
)
class _:
    def pytorch(x, y, v):
        return F.gaussian_nll_loss(x, y, v)

    def naive(x, y, v):
        v = tf.maximum(v, 1e-6)
        return tf.reduce_mean(0.5 * (tf.math.log(v) + (x - y) ** 2 / v))

    def exact(x, y, v):
        return losses.GaussianNLLLoss()(y, (x, v))


@gap(
    "cosine-embedding",
    "O G",
    "`CosineEmbeddingLoss`, targets 1 and −1",
    "`CosineSimilarity`: negated, and knows no targets",
    "`keras_blitz.losses.CosineEmbeddingLoss`",
    a=(4, 3),
    b=(4, 3),
)
class _:
    def pytorch(a, b):
        return F.cosine_embedding_loss(a, b, torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=a.dtype))

    def naive(a, b):
        return keras.losses.CosineSimilarity()(a, b)

    def exact(a, b):
        return losses.CosineEmbeddingLoss()([1.0, -1.0, 1.0, -1.0], (a, b))


@gap(
    "triplet-margin",
    "O G",
    "`TripletMarginLoss` adds 1e-6 to the difference",
    "‖a − p‖",
    "`keras_blitz.losses.TripletMarginLoss`",
    a=(4, 3),
    p=(4, 3),
    n=(4, 3),
)
class _:
    def pytorch(a, p, n):
        return F.triplet_margin_loss(a, p, n)

    def naive(a, p, n):
        return tf.reduce_mean(tf.nn.relu(tf.norm(a - p, axis=1) - tf.norm(a - n, axis=1) + 1.0))

    def exact(a, p, n):
        return losses.TripletMarginLoss()(None, (a, p, n))


@gap(
    "hinge",
    "O G",
    "`MultiMarginLoss`: Σ relu(1 − x[y] + x[j])/C",
    "`CategoricalHinge()`: the largest of them",
    "`keras_blitz.losses.MultiMarginLoss`",
    x=(4, 5),
    y=integers(5, 4),
)
class _:
    def pytorch(x, y):
        return F.multi_margin_loss(x, y)

    def naive(x, y):
        return keras.losses.CategoricalHinge()(_one_hot(y, 5, x), x)

    def exact(x, y):
        return losses.MultiMarginLoss()(y, x)


@gap(
    "l1-reduction",
    "O G",
    "`L1Loss(reduction='sum')` sums all values",
    "`MeanAbsoluteError(reduction='sum')` sums the samples' means",
    "`keras_blitz.losses.L1Loss(reduction='sum')`",
    x=(4, 3),
    y=(4, 3),
)
class _:
    def pytorch(x, y):
        return F.l1_loss(x, y, reduction="sum")

    def naive(x, y):
        return keras.losses.MeanAbsoluteError(reduction="sum")(y, x)

    def exact(x, y):
        return losses.L1Loss(reduction="sum")(y, x)


@gap(
    "huber-reduction",
    "O G",
    "`HuberLoss(reduction='sum')` sums all values",
    "`Huber(reduction='sum')` sums the samples' means",
    "`keras_blitz.losses.HuberLoss(reduction='sum')`",
    x=(4, 3),
    y=(4, 3),
)
class _:
    def pytorch(x, y):
        return F.huber_loss(x, y, reduction="sum")

    def naive(x, y):
        return keras.losses.Huber(reduction="sum")(y, x)

    def exact(x, y):
        return losses.HuberLoss(reduction="sum")(y, x)


SIGNS = np.array([1.0, -1.0, -1.0, 1.0, -1.0])


@gap(
    "hinge-embedding",
    "O G",
    "`HingeEmbeddingLoss`: x where y = 1, max(1 − x, 0) where −1",
    "`Hinge()`: max(1 − y·x, 0)",
    "`keras_blitz.losses.HingeEmbeddingLoss`",
    x=(5,),
)
class _:
    def pytorch(x):
        return F.hinge_embedding_loss(x, torch.tensor(SIGNS))

    def naive(x):
        return keras.losses.Hinge()(SIGNS, x)

    def exact(x):
        return losses.HingeEmbeddingLoss()(SIGNS, x)


@gap(
    "margin-ranking",
    "O G",
    "`MarginRankingLoss()` of two equal scores: the gradient passes the clamp",
    "`relu(−y·(a − b))`: no gradient at 0",
    "`keras_blitz.losses.MarginRankingLoss`",
    a=numbers(1, 2, 3, 4, 5),
    b=numbers(1, 2, 3, 4, 5),
)
class _:
    def pytorch(a, b):
        return F.margin_ranking_loss(a, b, torch.tensor(SIGNS))

    def naive(a, b):
        return tf.reduce_mean(tf.nn.relu(-SIGNS * (a - b)))

    def exact(a, b):
        return losses.MarginRankingLoss()(SIGNS, (a, b))


@gap(
    "triplet-swap-ties",
    "G",
    "`TripletMarginLoss(swap=True)`: of two equal distances each has half the gradient",
    "`tf.minimum` gives it all to the first",
    "`keras_blitz.losses.TripletMarginLoss(swap=True)`",
    a=numbers([1, 0], [2, 2]),
    p=numbers([0, 1], [2, 3]),
    n=numbers([0, 0], [3, 2.5]),
)
class _:
    def pytorch(a, p, n):
        return F.triplet_margin_loss(a, p, n, eps=0.0, swap=True)

    def naive(a, p, n):
        nearest = tf.minimum(tf.norm(a - n, axis=1), tf.norm(p - n, axis=1))
        return tf.reduce_mean(tf.nn.relu(tf.norm(a - p, axis=1) - nearest + 1.0))

    def exact(a, p, n):
        return losses.TripletMarginLoss(eps=0.0, swap=True)(None, (a, p, n))


@gap(
    "multilabel-soft-margin",
    "O G",
    "`MultiLabelSoftMarginLoss(weight=w)`",
    "`BinaryCrossentropy(from_logits=True)` has no class weights",
    "`keras_blitz.losses.MultiLabelSoftMarginLoss(weight=w)`",
    x=(4, 4),
    y=lambda s: s.randint(0, 2, (4, 4)),
)
class _:
    def pytorch(x, y):
        return F.multilabel_soft_margin_loss(x, y.double(), weight=torch.tensor(WEIGHTS))

    def naive(x, y):
        return keras.losses.BinaryCrossentropy(from_logits=True)(y, x)

    def exact(x, y):
        return losses.MultiLabelSoftMarginLoss(WEIGHTS)(y, x)


MEMBERS = np.array([[3, 0, -1, 1], [1, -1, 2, -1]])


@gap(
    "multilabel-margin",
    "O G",
    "`MultiLabelMarginLoss`: a list of classes, ended by −1; every pair of a target and another class",
    "`CategoricalHinge` of the targets as 0 and 1: the largest other class against the sum of the targets",
    "`keras_blitz.losses.MultiLabelMarginLoss`",
    x=(2, 4),
)
class _:
    def pytorch(x):
        return F.multilabel_margin_loss(x, torch.tensor(MEMBERS))

    def naive(x):
        return keras.losses.CategoricalHinge()(np.array([[1, 0, 0, 1], [0, 1, 0, 0]]), x)

    def exact(x):
        return losses.MultiLabelMarginLoss()(MEMBERS, x)


@gap(
    "soft-margin",
    "G",
    "`SoftMarginLoss`: log(1 + exp(−y·x)) as it is written, infinite from −y·x = 710 on",
    "`softplus(−y·x)` stays finite",
    "`keras_blitz.losses.SoftMarginLoss`, which overflows too",
    x=numbers(-800, 3, 0, -1, 2),
)
class _:
    def pytorch(x):
        return F.soft_margin_loss(x, torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0], dtype=x.dtype))

    def naive(x):
        return tf.reduce_mean(tf.nn.softplus(-np.array([1.0, -1.0, 1.0, 1.0, -1.0]) * x))

    def exact(x):
        return losses.SoftMarginLoss()(np.array([1.0, -1.0, 1.0, 1.0, -1.0]), x)


@output_gap(
    "logcosh-f64",
    "O",
    "log(cosh(x)) in float64",
    "`LogCosh()` passes log 2 through float32",
    "x + softplus(−2x) − log 2",
    x=(5,),
)
class _:
    def pytorch(x):
        return torch.log(torch.cosh(x)).mean()

    def naive(x):
        return keras.losses.LogCosh()(tf.zeros_like(x), x)

    def exact(x):
        return tf.reduce_mean(x + tf.nn.softplus(-2 * x) - np.log(2))


@gap(
    "msle-f64",
    "O",
    "(log1p(x) − log1p(y))²",
    "`MeanSquaredLogarithmicError`: the same",
    "the same",
    x=positive(5),
    y=positive(5),
)
class _:
    def pytorch(x, y):
        return ((torch.log1p(x) - torch.log1p(y)) ** 2).mean()

    def naive(x, y):
        return keras.losses.MeanSquaredLogarithmicError()(y, x)

    def exact(x, y):
        return tf.reduce_mean((tf.math.log1p(x) - tf.math.log1p(y)) ** 2)


TARGETS = np.array([[1, 2, 2], [4, 1, 3]])


@gap(
    "ctc-f64",
    "O G",
    "`ctc_loss` in float64",
    "`keras.ops.ctc_loss`: a tensor called float64 with float32's digits",
    "`keras_blitz.losses.CTCLoss`",
    x=(8, 2, 5),
)
class _:
    def pytorch(x):
        lengths = torch.tensor([8, 8]), torch.tensor([3, 3])
        return F.ctc_loss(F.log_softmax(x, -1), torch.tensor(TARGETS), *lengths, reduction="none")

    def naive(x):
        return keras.ops.ctc_loss(TARGETS, tf.transpose(x, [1, 0, 2]), np.array([3, 3]), np.array([8, 8]), mask_index=0)

    def exact(x):
        return losses.CTCLoss(reduction="none")((TARGETS, [8, 8], [3, 3]), _batch_first(x))


def _batch_first(x):
    return tf.transpose(tf.nn.log_softmax(x), [1, 0, 2])


@output_gap(
    "ctc-mean-reduction",
    "O G",
    "`reduction='mean'` divides each loss by its target's length",
    "`keras.losses.CTC` takes the mean over the batch",
    "`keras_blitz.losses.CTCLoss`",
    x=(8, 2, 5),
)
class _:
    def pytorch(x):
        lengths = torch.tensor([8, 8]), torch.tensor([3, 2])
        return F.ctc_loss(F.log_softmax(x, -1), torch.tensor(TARGETS), *lengths)

    def naive(x):
        return tf.reduce_mean(losses.CTCLoss(reduction="none")((TARGETS, [8, 8], [3, 2]), _batch_first(x)))

    def exact(x):
        return losses.CTCLoss()((TARGETS, [8, 8], [3, 2]), _batch_first(x))


@output_gap(
    "ctc-too-short",
    "O",
    "a target longer than its input costs infinity; `zero_infinity=True`: 0",
    "`keras.ops.ctc_loss` and `tf.nn.ctc_loss`: a large finite number",
    "`keras_blitz.losses.CTCLoss`",
    x=(2, 2, 5),
)
class _:
    def pytorch(x):
        lengths = torch.tensor([2, 2]), torch.tensor([3, 3])
        return F.ctc_loss(F.log_softmax(x, -1), torch.tensor(TARGETS), *lengths, reduction="none")

    def naive(x):
        return keras.ops.ctc_loss(TARGETS, tf.transpose(x, [1, 0, 2]), np.array([3, 3]), np.array([2, 2]), mask_index=0)

    def exact(x):
        return losses.CTCLoss(reduction="none")((TARGETS, [2, 2], [3, 3]), _batch_first(x))


@gap(
    "ctc-log-probs-gradient",
    "G",
    "`ctc_loss` has the gradient eˣ − P for log-probabilities x, whatever made them",
    "the derivative of the recursion: −P",
    "`keras_blitz.losses.CTCLoss`",
    x=lambda s: np.log(s.dirichlet(np.ones(3), (2, 1))),
)
class _:
    def pytorch(x):
        return F.ctc_loss(x, torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1]))

    def naive(x):
        blank, label = x[:, 0, 0], x[:, 0, 1]
        paths = [label[0] + label[1], blank[0] + label[1], label[0] + blank[1]]
        return -tf.reduce_logsumexp(tf.stack(paths))

    def exact(x):
        return losses.CTCLoss()(([[1]], [2], [1]), tf.transpose(x, [1, 0, 2]))


@array_gap(
    "loss-mean-last-batch",
    "report",
    "the usual loop reports the mean of the batches' means",
    "`fit` weighs the batches by their size",
    "divide the summed batch losses by the number of batches",
    batch=numbers(1, 2, 6),
)
class _:
    def pytorch(batch):
        return torch.tensor(batch).mean()

    def naive(batch):
        mean = keras.metrics.Mean(dtype="float64")
        for loss, size in zip(batch, (4, 4, 1), strict=True):
            mean.update_state(loss, sample_weight=size)
        return mean.result()

    def exact(batch):
        return tf.reduce_mean(tf.constant(batch))
