"""torch.nn → exact in Keras: what to use for each public class of PyTorch 2.13, or why it is not offered.

python -m parity.torch_table > docs/layers.md     writes the page

A name that keras_blitz has too is ours. The rest is written down here: Keras's own where a test measures that it is
exact (`tests/library/test_torch_table.py` has a pair for each), another name of ours, or the reason for its absence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class Row:
    """One class or function of PyTorch.

    Args:
        name: PyTorch's, without its module.
        use: the dotted name of what to use; "" where it is not offered, or no layer.
        note: how to use it, or why it is not offered.
    """

    name: str
    use: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """What the page says of it."""
        if self.use.startswith("keras."):
            return "Keras's own is exact"
        return "ours" if self.use else "not offered"


@dataclass(frozen=True)
class Part:
    """A part of the table.

    Args:
        torch: PyTorch's module.
        title: of the part.
        ours: this package's module, whose classes of the same name are used.
        names: PyTorch's public names, but for those in `others`.
        others: name -> (what to use, a note), where the name is another, or nothing is offered.
        notes: name -> where Keras's own layer is exact, too, or by how much it is off.
    """

    torch: str
    title: str
    ours: str
    names: str
    others: dict[str, tuple[str, str]]
    notes: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """Return the rows by name."""
        offered = set(import_module(self.ours).__all__)
        names = self.names.split()
        found = [Row(name, f"{self.ours}.{name}", self.notes.get(name, "")) for name in names if name in offered]
        missing = [Row(name, "", "no such class yet") for name in names if name not in offered]
        others = [Row(name, *use) for name, use in self.others.items() if name not in offered]
        others += [Row(name, f"{self.ours}.{name}") for name in self.others if name in offered]
        return sorted([*found, *missing, *others], key=lambda row: row.name)


_LAYERS = "keras_blitz.layers"
_LAZY = "a Keras layer infers its input size at the first call"
_CONTAINER = "no layer"

# What has no layer, by name; it is not counted among the layers.
NO_LAYER = frozenset({
    "Buffer", "Container", "DataParallel", "LinearCrossEntropyOptions", "Module", "ModuleDict", "ModuleList",
    "Parameter", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase", "Sequential", "UninitializedBuffer",
    "UninitializedParameter",
})  # fmt: skip

LAYERS = Part(
    "torch.nn", "Layers", _LAYERS,
    "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d "
    "AlphaDropout AvgPool1d AvgPool2d AvgPool3d Bilinear CELU ChannelShuffle CircularPad1d CircularPad2d CircularPad3d "
    "ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d "
    "CosineSimilarity Dropout Dropout1d Dropout2d Dropout3d ELU Embedding EmbeddingBag Fold GELU GRU GRUCell GroupNorm "
    "Hardsigmoid Hardtanh LPPool1d LPPool2d LPPool3d LSTM LSTMCell LayerNorm LeakyReLU LocalResponseNorm MaxPool1d "
    "MaxPool2d MaxPool3d MultiheadAttention PReLU PairwiseDistance PixelShuffle PixelUnshuffle RMSNorm RNN RNNCell "
    "RReLU ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d SELU "
    "Softplus Unfold Upsample ZeroPad1d ZeroPad2d ZeroPad3d FeatureAlphaDropout",
    {
        **{f"BatchNorm{n}d": (f"{_LAYERS}.BatchNorm", "for every number of axes") for n in (1, 2, 3)},
        **{f"InstanceNorm{n}d": (f"{_LAYERS}.InstanceNorm", "for every number of axes") for n in (1, 2, 3)},
        **{f"LazyBatchNorm{n}d": (f"{_LAYERS}.BatchNorm", _LAZY) for n in (1, 2, 3)},
        **{f"LazyInstanceNorm{n}d": (f"{_LAYERS}.InstanceNorm", _LAZY) for n in (1, 2, 3)},
        **{
            f"Lazy{kind}{n}d": (f"{_LAYERS}.{kind}{n}d", _LAZY)
            for kind in ("Conv", "ConvTranspose") for n in (1, 2, 3)
        },
        "LazyLinear": ("keras.layers.Dense", _LAZY),
        "Linear": ("keras.layers.Dense", "kernel = weight.T; other initial values (gap init-conv-linear-default)"),
        "Identity": ("keras.layers.Identity", ""),
        "Flatten": ("keras.layers.Flatten", "in the order H, W, C; `load_state_dict` permutes what comes after it"),
        "Unflatten": ("keras.layers.Reshape", "in the order H, W, C"),
        "ReLU": ("keras.layers.ReLU", "but for the gradient at NaN (gap relu-nan)"),
        "ReLU6": ("keras.layers.ReLU", "`ReLU(6.0)`"),
        "Sigmoid": ("keras.activations.sigmoid", ""),
        "Tanh": ("keras.activations.tanh", ""),
        "SiLU": ("keras.activations.silu", ""),
        "Mish": ("keras.activations.mish", ""),
        "LogSigmoid": ("keras.activations.log_sigmoid", ""),
        "Softsign": ("keras.activations.softsign", ""),
        "Tanhshrink": ("keras.ops.tanh_shrink", ""),
        "Hardshrink": ("keras.ops.hard_shrink", ""),
        "Softshrink": ("keras.ops.soft_shrink", ""),
        "Hardswish": ("keras.ops.hard_silu", '`keras.layers.Activation("hard_silu")`'),
        "Threshold": ("keras.ops.threshold", ""),
        "GLU": ("keras.activations.glu", "axis=−1 for channels, PyTorch's dim=1"),
        "Softmax": ("keras.layers.Softmax", "name the axis (gap softmax-implicit-dim)"),
        "Softmax2d": ("keras.layers.Softmax", "axis=−1"),
        "LogSoftmax": ("keras.ops.log_softmax", "name the axis"),
        "Softmin": ("keras.ops.softmax", "of −x"),
        "UpsamplingNearest2d": (f"{_LAYERS}.Upsample", ""),
        "UpsamplingBilinear2d": (f"{_LAYERS}.Upsample", '`mode="bilinear", align_corners=True`'),
        "CrossMapLRN2d": ("", "its own sums differ from LocalResponseNorm's from the fourth channel on; use that"),
        "SyncBatchNorm": (f"{_LAYERS}.BatchNorm", "`synchronized=True`, or `convert_sync_batchnorm(model)`"),
        **{f"MaxUnpool{n}d": ("", "needs the maxima's indices, which MaxPool here does not return") for n in (1, 2, 3)},
        **{f"FractionalMaxPool{n}d": ("", "its windows are drawn at random on each call") for n in (2, 3)},
        "AdaptiveLogSoftmaxWithLoss": ("", "a loss that owns weights; no port has asked for it"),
        **{
            f"Transformer{part}": ("", "written of MultiheadAttention, LayerNorm and Dense")
            for part in ("", "Encoder", "EncoderLayer", "Decoder", "DecoderLayer")
        },
        "Sequential": ("keras.Sequential", _CONTAINER),
        **dict.fromkeys(sorted(NO_LAYER - {"Sequential"}), ("", _CONTAINER)),
    },
    {
        "AdaptiveAvgPool2d": "for size 1 `keras.layers.GlobalAveragePooling2D(keepdims=True)` is exact",
        "Conv2d": (
            "`keras.layers.Conv2D` is exact with padding='valid', `ZeroPadding2D` before it; with groups=channels "
            "`keras.layers.DepthwiseConv2D` is, likewise"
        ),
        "Hardsigmoid": (
            "`keras.ops.hard_sigmoid` is good enough: its values and float32 gradients are the same, float64 gradients "
            "differ by 3e-8, PyTorch's own rounding of 1/6 (gap hardsigmoid-grad-f64)"
        ),
    },
)  # fmt: skip

_LOSSES = "keras_blitz.losses"

LOSSES = Part(
    "torch.nn", "Losses", _LOSSES,
    "BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss "
    "HuberLoss KLDivLoss L1Loss MSELoss MarginRankingLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss "
    "MultiMarginLoss NLLLoss PoissonNLLLoss SmoothL1Loss SoftMarginLoss TripletMarginLoss "
    "TripletMarginWithDistanceLoss",
    {
        "NLLLoss2d": (f"{_LOSSES}.NLLLoss", "a deprecated name of it"),
        "LinearCrossEntropyLoss": ("", "owns the last layer's weights: use Dense and CrossEntropyLoss"),
    },
)  # fmt: skip

FUNCTIONS = Part(
    "torch.nn.functional", "Losses as functions", _LOSSES, "",
    {
        function: (f"{_LOSSES}.{name}", "a loss object, the target first")
        for function, name in {
            "binary_cross_entropy": "BCELoss", "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
            "cosine_embedding_loss": "CosineEmbeddingLoss", "cross_entropy": "CrossEntropyLoss", "ctc_loss": "CTCLoss",
            "gaussian_nll_loss": "GaussianNLLLoss", "hinge_embedding_loss": "HingeEmbeddingLoss",
            "huber_loss": "HuberLoss", "kl_div": "KLDivLoss", "l1_loss": "L1Loss",
            "margin_ranking_loss": "MarginRankingLoss", "mse_loss": "MSELoss", "multi_margin_loss": "MultiMarginLoss",
            "multilabel_margin_loss": "MultiLabelMarginLoss",
            "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss", "nll_loss": "NLLLoss",
            "poisson_nll_loss": "PoissonNLLLoss", "smooth_l1_loss": "SmoothL1Loss",
            "soft_margin_loss": "SoftMarginLoss", "triplet_margin_loss": "TripletMarginLoss",
            "triplet_margin_with_distance_loss": "TripletMarginWithDistanceLoss",
        }.items()
    } | {"linear_cross_entropy": ("", "as LinearCrossEntropyLoss")},
)  # fmt: skip

OPTIMIZERS = Part(
    "torch.optim", "Optimizers", "keras_blitz.optim",
    "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax NAdam RAdam RMSprop Rprop SGD SparseAdam",
    {
        "Optimizer": ("", "the base class; keras_blitz's is `keras_blitz.optim.base.Optimizer`"),
        "LBFGS": ("", "evaluates the loss several times in a step, which `fit` has no place for"),
        "Muon": (
            "", "its iteration runs in bfloat16, in sums whose order follows the CPU: the same formula in TensorFlow "
            "is off by 3e-3 on a matrix of 128×300, by nothing on 16×16; Keras has a Muon of its own"
        ),
    },
)  # fmt: skip

SCHEDULES = Part(
    "torch.optim.lr_scheduler", "Schedules", "keras_blitz.optim.schedules",
    "ChainedScheduler ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR ExponentialLR LambdaLR "
    "LinearLR MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR ReduceLROnPlateau SequentialLR StepLR",
    {"LRScheduler": ("", "the base class; `keras_blitz.optim.schedules.RateTable` makes a schedule of any rates")},
)  # fmt: skip

PARTS = (LAYERS, LOSSES, FUNCTIONS, OPTIMIZERS, SCHEDULES)

# RMS error of outputs ÷ PyTorch's own in float32: layer, shape, mean of the noise -> (Keras's, ours). Measured as
# tests/library/test_norms.py does, which measures them again; TensorFlow 2.21, PyTorch 2.13, two cores with AVX-512.
RATIOS = {
    ("GroupNorm(4)", "(1, 32, 24, 64)", 0): (9.99, 1.17),
    ("GroupNorm(4)", "(1, 32, 24, 64)", 50): (23.93, 0.03),
    ("GroupNorm(4)", "(1, 32, 24, 64)", 1000): (251.31, 0.01),
    ("LayerNorm(64)", "(8, 50, 64)", 0): (0.98, 0.99),
    ("LayerNorm(64)", "(8, 50, 64)", 50): (1.11, 0.03),
    ("LayerNorm(64)", "(8, 50, 64)", 1000): (1.45, 0.01),
}

_HEAD = """\
# torch.nn → exact in Keras

What to use for each public class of PyTorch 2.13 in a port, channels last. "Keras's own is exact": a test measures its
outputs and gradients in float64 against PyTorch, within 1e-12. "ours": it differs by what its docstring says, and
keras_blitz has the exact one, with a test of the same bound.

`python -m parity.torch_table > docs/layers.md` writes this page from `parity/torch_table.py`. A test checks that every
public class is in it and that what it names exists.
"""

_RATIOS = """\
## Normalization in float32

The RMS error of the outputs on unit noise around a mean, divided by PyTorch's own float32 error; the truth is PyTorch
in float64, epsilon 1e-5. Keras computes E[x²] − mean² and x·s − mean·s, ours takes the mean off first.

| layer | shape | mean | Keras's | ours |
|---|---|---|---|---|
"""


def share(rows: list[Row]) -> tuple[int, int]:
    """Return (offered, all) of the rows that are layers, losses, optimizers or schedules."""
    counted = [row for row in rows if row.name not in NO_LAYER and row.name not in ("Optimizer", "LRScheduler")]
    return sum(bool(row.use) for row in counted), len(counted)


def _lines(part: Part) -> Iterator[str]:
    rows = part.rows()
    offered, total = share(rows)
    yield f"## {part.title}, `{part.torch}`\n\n{offered} of {total} are offered, {offered / total:.1%}.\n"
    yield "| PyTorch | | use | note |\n|---|---|---|---|"
    for row in rows:
        verdict = "no layer" if row.name in NO_LAYER else row.verdict
        use = f"`{row.use}`" if row.use else ""
        yield f"| {row.name} | {verdict} | {use} | {'' if row.note == _CONTAINER else row.note} |"
    yield ""


def _shares() -> str:
    """Return how much of each part is offered, in one sentence."""
    each = ((part.title.lower(), *share(part.rows())) for part in PARTS)
    return f"Offered: {', '.join(f'{offered / total:.1%} of {title}' for title, offered, total in each)}."


def page() -> str:
    """Return docs/layers.md."""
    ratios = "\n".join(
        f"| {layer} | {shape} | {mean:,} | {theirs:.2f} | {ours:.2f} |"
        for (layer, shape, mean), (theirs, ours) in RATIOS.items()
    )
    return "\n".join(
        [_HEAD, f"{_shares()}\n", f"{_RATIOS}{ratios}\n", *(line for part in PARTS for line in _lines(part))]
    )


if __name__ == "__main__":
    print(page(), end="")
