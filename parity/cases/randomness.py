"""R1–R4, L3: the random stream, and what is drawn from it, bit for bit; float32 and float64 in one case."""

from parity.cases.rows import CallRow

SEEDS = (0, 1, 42, -3, 2**40 + 7)
NETWORKS = {"lenet": "N1", "cifar": "N2", "mlp": "N3", "mnist": "N4", "mnist1": "N5", "resnet18": "N6"}


def _row(name: str, covers: tuple[str, ...], function: str, **options) -> CallRow:
    return CallRow(
        name,
        covers,
        "randomness",
        f"randomness.{function}",
        f"randomness.{function}",
        options=tuple(options.items()),
        runs=("float64-eager",),
    )


ROWS = (
    *(_row(f"random-numbers-{seed}", ("R1",), "numbers", seed=seed) for seed in SEEDS),
    *(_row(f"random-order-{seed}", ("R3", "D5"), "order", seed=seed) for seed in SEEDS),
    *(_row(f"random-masks-{seed}", ("R4",), "masks", seed=seed) for seed in SEEDS),
    *(
        _row(f"initial-{name}", ("R2", "L3", covered), "initial", network=name, seed=0)
        for name, covered in NETWORKS.items()
    ),
)
