"""What a layer is, in both frameworks: one table, a row for each kind.

A row knows classes by their names, so the table loads neither framework. A layer is of the kind of its own class, or of
the nearest of its ancestors that has a row. A user's own class with such a name has the row too, because its weights
may well be the same; but not that of a layer that is whole: an own `MultiHeadAttention` made of four Dense layers is
just a container. `flow` and `mapping` read the table for keras_blitz's own models, both recorders and `parity.check`
for anyone's. To add a layer, add a row here and a pair of models to the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from keras_blitz.weights.layout import SAME, Layout

Weights = Mapping[str, tuple[str, Layout]]


@dataclass(frozen=True)
class Kind:
    """One row.

    Args:
        name: the kind, "conv2d". In a layer without weights, what it does ("pool"): such layers are matched by it.
        torch: PyTorch's classes.
        keras: Keras's classes and operations; keras_blitz's too, "keras_blitz.LSTM" where Keras has that name.
        weights: Keras's variable -> (PyTorch's name in the module, layout).
        special: its weights are not one variable for one of PyTorch's tensors; `mapped.py` takes them apart.
        verbatim: its variables have PyTorch's own names and layouts, `weight_ih_l0`.
        channels: PyTorch's axis of channels or features in what the layer returns, 1 or -1; None where it is as in
            what the layer was given.
        flatten: what the layer does with features that a Flatten ordered: "keeps" the order, feature by feature;
            "mixes" them, so that its kernel's rows have it; "starts" from its input's rank.
        linear: a linear map plus a bias: the bias's gradient is the plain sum of the output's.
        gates: of a recurrent layer: the position in PyTorch of each of Keras's gates.
        whole: its inner layers are not modules of their own in PyTorch, or not called as such.
        pairs_as: the kind whose weights these are in the other framework; "" is this one.
        eps_gap: the row of `parity gaps` on its epsilon.
    """

    name: str
    torch: tuple[str, ...] = ()
    keras: tuple[str, ...] = ()
    weights: Weights = field(default_factory=dict)
    special: bool = False
    verbatim: bool = False
    channels: Literal[1, -1, None] = None
    flatten: Literal["keeps", "mixes", "starts"] = "starts"
    linear: bool = False
    gates: tuple[int, ...] = ()
    whole: bool = False
    pairs_as: str = ""
    eps_gap: str = "bn-eps-default"

    @property
    def has_weights(self) -> bool:
        """Whether the table says how its weights correspond."""
        return self.paired in _WITH_WEIGHTS

    @property
    def paired(self) -> str:
        """The kind that both frameworks agree on."""
        return self.pairs_as or self.name


def _convolution(rank: int) -> Weights:
    """Return a kernel's row: (kh, kw, in, out) here, (out, in, kh, kw) there.

    A transposed convolution's is (kh, kw, out, in) here and (in, out, kh, kw) there: the same transpose.
    """
    return {"kernel": ("weight", Layout((rank + 1, rank, *range(rank)))), "bias": ("bias", SAME)}


_NORM: Weights = {"gamma": ("weight", SAME), "beta": ("bias", SAME)}
_BATCH_NORM: Weights = {
    **_NORM,
    "moving_mean": ("running_mean", SAME),
    "moving_variance": ("running_var", SAME),
    "num_batches_tracked": ("num_batches_tracked", SAME),
}

KINDS = (
    *(
        Kind(f"conv{n}d", (f"Conv{n}d",), (f"Conv{n}D", *own), _convolution(n), channels=1, linear=True)
        for n, *own in ((1, "Conv1d"), (2, "Conv2d"), (3, "Conv3d"))
    ),
    *(
        Kind(f"convtranspose{n}d", (f"ConvTranspose{n}d",), (f"Conv{n}DTranspose", f"ConvTranspose{n}d"),
             _convolution(n), channels=1, linear=True)
        for n in (1, 2, 3)
    ),
    *(Kind(f"depthwise{n}d", (), (f"DepthwiseConv{n}D",), special=True, pairs_as=f"conv{n}d") for n in (1, 2)),
    *(Kind(f"separable{n}d", (), (f"SeparableConv{n}D",), special=True, pairs_as=f"conv{n}d") for n in (1, 2)),
    Kind("linear", ("Linear",), ("Dense",), {"kernel": ("weight", Layout((1, 0))), "bias": ("bias", SAME)},
         channels=-1, flatten="mixes", linear=True),
    Kind("bilinear", ("Bilinear",), ("Bilinear",), verbatim=True, channels=-1),
    Kind("embedding", ("Embedding",), ("Embedding",),
         {"embeddings": ("weight", SAME), "reverse_embeddings": ("reverse.weight", Layout((1, 0)))}, channels=-1),
    Kind("embeddingbag", ("EmbeddingBag",), ("EmbeddingBag",), {"embeddings": ("weight", SAME)}, channels=-1,
         pairs_as="embedding"),
    Kind("batchnorm", ("_BatchNorm",), ("BatchNorm", "BatchNormalization"), _BATCH_NORM, channels=1, flatten="keeps"),
    Kind("layernorm", ("LayerNorm",), ("LayerNormalization", "LayerNorm"), _NORM, channels=-1, flatten="keeps",
         eps_gap="layernorm-eps"),
    Kind("groupnorm", ("GroupNorm",), ("GroupNormalization", "GroupNorm"), _NORM, channels=1, eps_gap="groupnorm"),
    Kind("instancenorm", ("_InstanceNorm",), ("InstanceNorm",), _BATCH_NORM, channels=1,
         pairs_as="groupnorm", eps_gap="groupnorm"),
    Kind("rmsnorm", ("RMSNorm",), ("RMSNormalization", "RMSNorm"), {"scale": ("weight", SAME)}, flatten="keeps"),
    Kind("prelu", ("PReLU",), ("PReLU",), special=True, flatten="keeps"),
    Kind("lstm", ("LSTM",), ("LSTM",), special=True, channels=-1, gates=(0, 1, 2, 3), whole=True),
    Kind("gru", ("GRU",), ("GRU",), special=True, channels=-1, gates=(1, 0, 2), whole=True),
    Kind("rnn", ("RNN",), ("SimpleRNN",), special=True, channels=-1, gates=(0,), whole=True),
    Kind("recurrent", ("RNNBase", "RNNCellBase"), ("RNN",), channels=-1, whole=True),
    Kind("bidirectional", (), ("Bidirectional",), special=True, whole=True),
    Kind("attention", ("MultiheadAttention",), ("MultiHeadAttention",), special=True, channels=-1, whole=True),
    Kind("transformer",
         ("Transformer", "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer",
          "TransformerDecoderLayer"), channels=-1),
    # Of keras_blitz, with PyTorch's own weights.
    *(
        Kind(f"{name.lower()}-verbatim", (), (f"keras_blitz.{name}",), verbatim=True, channels=-1, whole=True,
             pairs_as=name.lower())
        for name in ("LSTM", "GRU", "RNN")
    ),
    Kind("prelu-verbatim", (), ("keras_blitz.PReLU",), verbatim=True, pairs_as="prelu"),
    Kind("attention-verbatim", (), ("MultiheadAttention",), verbatim=True, channels=-1, whole=True,
         pairs_as="attention"),
    *(
        Kind(name.lower(), (name,), (f"keras_blitz.{name}",), verbatim=True, channels=-1)
        for name in ("LSTMCell", "GRUCell", "RNNCell")
    ),
    # Without weights; of Keras's, operations too.
    Kind("activation",
         ("ReLU", "RReLU", "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid",
          "Hardtanh", "Hardshrink", "Softshrink", "Tanhshrink", "Softplus", "Softsign", "Sigmoid", "LogSigmoid",
          "Tanh", "Threshold", "GLU", "Softmax", "Softmin", "Softmax2d", "LogSoftmax"),
         ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "CELU", "SELU", "GELU", "RReLU", "Hardtanh",
          "Hardsigmoid", "Elu", "Gelu", "LeakyRelu", "Relu", "Sigmoid", "Silu", "Softplus", "Tanh"), flatten="keeps"),
    Kind("dropout", ("_DropoutNd",),
         ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout",
          "FeatureAlphaDropout", "GaussianDropout"), flatten="keeps"),
    Kind("identity", ("Identity",), ("Identity",), flatten="keeps"),
    Kind("pool",
         ("_MaxPoolNd", "_AvgPoolNd", "_AdaptiveMaxPoolNd", "_AdaptiveAvgPoolNd", "_LPPoolNd", "_MaxUnpoolNd",
          "FractionalMaxPool2d", "FractionalMaxPool3d"),
         ("BasePooling", "BaseGlobalPooling", "BaseAdaptivePooling",
          *(f"{what}Pool{n}d" for what in ("Max", "Avg", "LP", "AdaptiveAvg", "AdaptiveMax") for n in (1, 2, 3))),
         channels=1),
    Kind("flatten", ("Flatten", "Unflatten"), ("Flatten",)),
    Kind("upsample", ("Upsample",), ("UpSampling1D", "UpSampling2D", "UpSampling3D", "Upsample"),
         channels=1),
    Kind("pad",
         ("_ConstantPadNd", "_ReflectionPadNd", "_ReplicationPadNd", "_CircularPadNd"),
         ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
          *(f"{mode}Pad{n}d" for mode in ("Constant", "Zero", "Reflection", "Replication", "Circular")
            for n in (1, 2, 3))), channels=1),
    Kind("pixelshuffle", ("PixelShuffle", "PixelUnshuffle"), ("PixelShuffle", "PixelUnshuffle"), channels=1),
)  # fmt: skip

# What PyTorch registers as buffers; everything else is a parameter, frozen or not.
BUFFERS = frozenset({"running_mean", "running_var", "num_batches_tracked"})

FRAMEWORKS = frozenset({"torch", "keras", "keras_blitz"})  # packages; a class from elsewhere is a user's own

_TORCH = {name: kind for kind in KINDS for name in kind.torch}
_KERAS = {name: kind for kind in KINDS for name in kind.keras}
_NAMES = {variable: name for kind in KINDS for variable, (name, _) in kind.weights.items()}
_WITH_WEIGHTS = frozenset(kind.paired for kind in KINDS if kind.weights or kind.special or kind.verbatim)


def of_torch(module: Any) -> Kind | None:
    """Return the kind of a PyTorch module, None where no class of its ancestry has a row."""
    return _nearest(module, _TORCH)


def of_keras(layer: Any) -> Kind | None:
    """Return the kind of a Keras layer or operation, None where no class of its ancestry has a row."""
    return _nearest(layer, _KERAS)


def _nearest(layer: Any, rows: Mapping[str, Kind]) -> Kind | None:
    found = ((_row(c, rows), c) for c in type(layer).__mro__)
    return next((kind for kind, cls in found if kind and (not kind.whole or is_of_framework(cls))), None)


def _row(cls: type, rows: Mapping[str, Kind]) -> Kind | None:
    return rows.get(f"{_package(cls)}.{cls.__name__}", rows.get(cls.__name__))


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def is_of_framework(cls: type) -> bool:
    """Return whether a class is PyTorch's, Keras's or this package's, and not a user's own."""
    return _package(cls) in FRAMEWORKS


def torch_name(variable: str) -> str:
    """Return PyTorch's name of a weight by Keras's name of its variable, `weight` of `kernel`, in any kind of layer."""
    return _NAMES.get(variable, variable)
