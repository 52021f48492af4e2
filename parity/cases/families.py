"""N6–N9, torchvision's families: eval and train mode.

Train mode takes 3 steps of SGD with momentum, through the same dropout masks on both sides, and compares BatchNorm's
buffers. Under XLA float64 runs for resnet18 at 64×64 alone: one float64 convolution at 224 takes 6–10 s there on a CPU.
"""

from dataclasses import replace

from parity.cases.networks import NetworkRow

KEEP = 1 << 16  # values; whole, the traces of the large members would not fit into memory
# A plain `parity run` is to stay under a minute: of this network one mode in eval and one in train mode.
NOT_DEFAULT = ("float32-*", "*-graph", "*-xla")
NO_XLA64 = ("*-eager", "*-graph", "float32-xla")


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
        "not_golden": ("param:*", "step[12]:*"),
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


RESNET18 = _row("resnet18", "N6", (3, 3, 64, 64), "resnet18", fan_out=True, runs=("*",), slow=NOT_DEFAULT)
ALEXNET = _row("alexnet", "N8", (2, 3, 224, 224), "alexnet", runs=("float64-graph",), slow=("*",))
INCEPTION = _row(
    "inception_v3", "N9", (2, 3, 299, 299), "inception_v3", runs=("float64-graph",), slow=("*",),
    reference="families.inception",
    reference_options=(("aux_logits", True), ("transform_input", True)),
    port_options=(("transform_input", True),),
)  # fmt: skip


def _brief(network: str, covers: str) -> NetworkRow:
    """Return a row in one mode: float64, eval mode, eager."""
    return _row(network, covers, (1, 3, 224, 224), network, fan_out=True, runs=("float64-eager",), slow=("*",))


ROWS = (
    RESNET18,
    _trained(RESNET18, slow=("float32-*", "*-eager", "*-xla")),
    replace(RESNET18, name="resnet18-single", shape=(1, 3, 64, 64), runs=("*-eager",), slow=("*",)),
    replace(
        RESNET18, name="resnet18-oblong", shape=(2, 3, 64, 48), runs=("float64-graph",), slow=("*",),
        port_options=(("input_shape", (64, 48, 3)),),
    ),
    _trained(
        replace(RESNET18, name="resnet18-frozen", runs=("float64-graph",), slow=("*",)), ("H2", "H5"), trained=("fc.*",)
    ),
    _brief("resnet50", "N6"),
    _brief("vgg16", "N7"),
    _trained(ALEXNET, ("H4",)),
    INCEPTION,
)  # fmt: skip
