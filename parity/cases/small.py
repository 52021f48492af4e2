"""H8: the small network that parity/faults plants most of its mistakes in: eval mode, train mode, frozen layers,
parameter groups."""

from dataclasses import replace

from parity.cases.families import OUTLINE
from parity.cases.rows import NetworkRow

EVAL = NetworkRow(
    "small", ("H8",), "small.Net", (5, 3, 32, 24), "cross_entropy", 0.1, group="faults", steps=3,
    batches=("synthetic",), runs=("float64-eager",), not_golden=("step3:*",),
)  # fmt: skip
TRAIN = replace(EVAL, name="small-train", covers=("H8", "H2", "H4"), port="small", momentum=0.9, train=True)

# Groups that overlap, and a norm that is never reached.
OPTIMIZED = replace(
    EVAL, port="small", covers=("H8", "O2", "O3"), clip=("norm", 1000.0), not_golden=(*OUTLINE, "grad:*", "step3:*"),
    groups=(("conv*", (("lr", 1e-3), ("weight_decay", 0.1))), ("*.bias", (("lr", 0.05),))),
)  # fmt: skip

ROWS = (
    EVAL,
    TRAIN,
    replace(TRAIN, name="small-frozen", covers=("H8", "H5"), trained=("fc*",)),
    replace(OPTIMIZED, name="small-sgd", optimizer=("SGD", (("lr", 0.01), ("momentum", 0.9)))),
    replace(OPTIMIZED, name="small-adam", optimizer=("Adam", (("lr", 1e-3),))),
)
