"""N6–N9, torchvision's families: eval and train mode.

Train mode takes 3 steps of SGD with momentum, through the same dropout masks on both sides, and compares BatchNorm's
buffers. Under XLA float64 runs for resnet18 at 64×64 alone: one float64 convolution at 224 takes 6–10 s there on a CPU.
"""

from dataclasses import replace
from typing import Any

from parity.cases.rows import NetworkRow

KEEP = 1 << 16  # values; whole, the traces of the large members would not fit into memory
# A plain `parity run` is to stay under a minute: of this network one mode in eval and one in train mode.
NOT_DEFAULT = ("float32-*", "*-graph", "*-xla")
OUTLINE = ("param:*", "activation:*", "buffer:*")  # what a small golden trace does without
NO_XLA64 = ("*-eager", "*-graph", "float32-xla")


def _row(name: str, covers: str, shape: tuple[int, int, int, int], network: str, **fields: Any) -> NetworkRow:
    """Return a row in eval mode: outputs, activations, loss and gradients, no step."""
    _, channels, height, width = shape
    defaults: dict[str, Any] = {
        "loss": "cross_entropy",
        "reference": "families.empty",
        "reference_options": (("name", network),),
        "port_options": (("input_shape", (height, width, channels)),),
        "steps": 0,
        "classes": 1000,
        "batches": ("synthetic",),
        "keep": KEEP,
        "samples": 8,
        "heavy": height >= 224,
        "not_golden": ("param:*", "step[12]:*"),
        "runs": NO_XLA64,
        "slow": ("*",),
    }
    return NetworkRow(name=name, covers=(covers,), shape=shape, port=network, **(defaults | fields))


def _train(row: NetworkRow, *covers: str, **fields: Any) -> NetworkRow:
    """Return the row in train mode, with 3 steps."""
    return replace(
        row,
        name=f"{row.name}-train",
        covers=(*row.covers, "H2", *covers),
        train=True,
        steps=3,
        **({"rate": 0.01, "momentum": 0.9} | fields),
    )


def _brief(network: str, covers: str) -> NetworkRow:
    """Return a row in one mode: float64, eval mode, eager; its golden trace is small."""
    return _row(
        network, covers, (1, 3, 224, 224), network, fan_out=True, runs=("float64-eager",),
        not_golden=OUTLINE,
    )  # fmt: skip


def _inception(name: str, aux_logits: bool) -> NetworkRow:
    """Return a row of Inception v3; with its auxiliary head it also transforms its input."""
    return _row(
        name, "N9", (3, 3, 299, 299), name,
        reference_options=(("name", "inception_v3"), ("aux_logits", aux_logits), ("transform_input", aux_logits)),
        port_options=(("transform_input", aux_logits),),
    )  # fmt: skip


RESNET18 = _row("resnet18", "N6", (3, 3, 64, 64), "resnet18", fan_out=True, runs=("*",), slow=NOT_DEFAULT)
RESNET18_224 = _row("resnet18-224", "N6", (3, 3, 224, 224), "resnet18", fan_out=True)
FLOAT64 = ("float64-eager", "float64-graph")
VGG16 = _row("vgg16", "N7", (1, 3, 224, 224), "vgg16", fan_out=True, runs=FLOAT64, samples=3)
VGG16_BN = _row("vgg16_bn", "N7", (1, 3, 224, 224), "vgg16_bn", fan_out=True, runs=FLOAT64, samples=8)
ALEXNET = _row("alexnet", "N8", (2, 3, 224, 224), "alexnet")
INCEPTION = _inception("inception_v3", aux_logits=True)


def _small(row: NetworkRow) -> NetworkRow:
    """Return the row in float32 on 64×64.

    Of VGG's 13.5 million relus at 224×224 some are so near zero that rounding decides them, and its gradients jump by
    1e-3: PyTorch's own do so in two of three runs with weights moved by two units in the last place.
    """
    return replace(
        row, name=f"{row.name}-64", shape=(2, 3, 64, 64), runs=("float32-*",),
        port_options=(("input_shape", (64, 64, 3)),),
    )  # fmt: skip


def _single(row: NetworkRow, **fields: Any) -> NetworkRow:
    """Return the row with one image."""
    return replace(row, name=f"{row.name}-single", shape=(1, *row.shape[1:]), slow=("*",), **fields)


# Of Inception in train mode: its parameters after the last step alone would take a megabyte.
TALL = ("param:*", "step[12]:*", "step3:param:*.weight", "activation:*")

ROWS = (
    RESNET18,
    _train(RESNET18, slow=("float32-*", "*-eager", "*-xla")),
    _single(RESNET18, runs=("*-eager",)),
    _train(_single(RESNET18, runs=("*-eager",)), rate=0.001),
    replace(
        RESNET18, name="resnet18-oblong", shape=(2, 3, 64, 48), runs=("float64-graph",), slow=("*",),
        port_options=(("input_shape", (64, 48, 3)),),
    ),
    _train(
        replace(RESNET18, name="resnet18-frozen", runs=("float64-graph",), slow=("*",)), "H5", trained=("fc.*",)
    ),
    RESNET18_224,
    _train(RESNET18_224),
    _single(RESNET18_224, runs=("*-graph",)),
    _train(_single(RESNET18_224, runs=("*-graph",)), rate=0.001),
    *(_brief(network, "N6") for network in ("resnet34", "resnet50", "resnet101", "resnet152")),
    VGG16,
    _train(VGG16, "H4", rate=0.001),
    _small(VGG16),
    _train(_small(VGG16), "H4", rate=0.001),
    VGG16_BN,
    _train(VGG16_BN, "H4", rate=0.001),
    _small(VGG16_BN),
    # A bias before BatchNorm has no gradient but rounding, of which a larger rate would make the bias's own error.
    _train(_small(VGG16_BN), "H4", rate=0.0001),
    *(_brief(network, "N7") for network in ("vgg11", "vgg13", "vgg19", "vgg11_bn", "vgg13_bn", "vgg19_bn")),
    ALEXNET,
    _train(ALEXNET, "H4"),
    INCEPTION,
    _train(INCEPTION, "H4", loss="inception", rate=1e-5, not_golden=TALL),
    replace(
        _inception("inception_v3_no_aux", aux_logits=False), runs=("float64-eager",),
        not_golden=OUTLINE,
    ),
)  # fmt: skip
