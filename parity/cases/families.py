"""N6–N9, torchvision's families: eval and train mode, whole members and the deeper ones in brief.

Train mode takes 3 steps of SGD with momentum, through the same dropout masks on both sides, and compares BatchNorm's
buffers. Under XLA float64 runs for resnet18 at 64×64 alone: one float64 convolution at 224 takes 6–10 s there on a CPU.
"""

from dataclasses import replace

from parity.cases.networks import NetworkRow

KEEP = 1 << 16  # values; the weights of all members together would not fit into memory
EAGER_AND_GRAPH = ("*-eager", "*-graph")
NO_XLA64 = (*EAGER_AND_GRAPH, "float32-xla")


def _row(name: str, covers: str, shape: tuple[int, int, int, int], network: str, **fields) -> NetworkRow:
    """Return a row in eval mode: outputs, activations, loss and gradients, no step."""
    _, channels, height, width = shape
    defaults = {
        "loss": "cross_entropy",
        "reference": "families.build",
        "reference_options": (("name", network),),
        "port_options": (("input_shape", (height, width, channels)),),
        "steps": 0,
        "classes": 1000,
        "batches": ("synthetic",),
        "keep": KEEP,
        "runs": NO_XLA64,
    }
    return NetworkRow(name=name, covers=(covers,), shape=shape, port=network, **(defaults | fields))


def _trained(row: NetworkRow, covers: tuple[str, ...] = ("H2",), **fields) -> NetworkRow:
    """Return the row in train mode, with 3 steps."""
    return replace(
        row,
        name=f"{row.name}-train",
        covers=(*row.covers, *covers),
        train=True,
        steps=3,
        rate=0.01,
        momentum=0.9,
        **fields,
    )


RESNET18 = _row("resnet18", "N6", (3, 3, 64, 64), "resnet18", fan_out=True, runs=("*",), slow=("*-xla",))
RESNET18_224 = _row("resnet18-224", "N6", (3, 3, 224, 224), "resnet18", fan_out=True, slow=("*",))
VGG16 = _row("vgg16", "N7", (1, 3, 224, 224), "vgg16", fan_out=True, slow=("*",))
VGG16_BN = _row("vgg16_bn", "N7", (1, 3, 224, 224), "vgg16_bn", fan_out=True, slow=("*",))
ALEXNET = _row("alexnet", "N8", (2, 3, 224, 224), "alexnet", slow=("*",))
INCEPTION = _row(
    "inception_v3", "N9", (2, 3, 299, 299), "inception_v3", slow=("*",), reference="families.inception",
    reference_options=(("aux_logits", True), ("transform_input", True)),
    port_options=(("transform_input", True),),
)  # fmt: skip
INCEPTION_NO_AUX = replace(
    INCEPTION, name="inception_v3_no_aux", port="inception_v3_no_aux", runs=("float64-eager",),
    reference_options=(("aux_logits", False),), port_options=(),
)  # fmt: skip


def _brief(network: str, covers: str) -> NetworkRow:
    """Return a row for a member whose blocks another member proves already: float64, eval mode, eager."""
    return _row(network, covers, (1, 3, 224, 224), network, fan_out=True, slow=("*",), runs=("float64-eager",))


ROWS = (
    RESNET18,
    _trained(RESNET18, slow=("*-xla", "float64-eager", "float32-graph")),
    replace(RESNET18, name="resnet18-single", shape=(1, 3, 64, 64), runs=("*-eager",)),
    replace(
        RESNET18, name="resnet18-oblong", shape=(2, 3, 64, 48), runs=("float64-graph",),
        port_options=(("input_shape", (64, 48, 3)),),
    ),
    _trained(replace(RESNET18, name="resnet18-frozen", runs=("float64-graph",)), ("H2", "H5"), trained=("fc.*",)),
    RESNET18_224,
    _trained(RESNET18_224),
    replace(RESNET18_224, name="resnet18-224-single", shape=(1, 3, 224, 224), runs=EAGER_AND_GRAPH),
    *(_brief(f"resnet{depth}", "N6") for depth in (34, 50, 101, 152)),
    VGG16,
    _trained(VGG16, ("H4",)),
    VGG16_BN,
    _trained(VGG16_BN, ("H2", "H4")),
    *(_brief(f"vgg{depth}{suffix}", "N7") for depth in (11, 13, 19) for suffix in ("", "_bn")),
    ALEXNET,
    _trained(ALEXNET, ("H4",)),
    INCEPTION,
    _trained(INCEPTION, ("H2", "H4"), loss="inception"),
    INCEPTION_NO_AUX,
)  # fmt: skip
