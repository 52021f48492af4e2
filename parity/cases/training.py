"""R5, S1–S3: whole runs from a seed, the loss of every step; on the sample and on the real data sets.

The port runs as the scripts do, many steps in one call of the graph. Nothing is loaded from the reference: the initial
values and the order of the batches are what the same seed gives on both sides.
"""

from itertools import product

from parity.cases.rows import TrainingRow

COVERS = {"cifar10": "S1", "fashion_mnist": "S2", "mnist": "S3"}
SEEDS = range(5)

ROWS = (
    *(TrainingRow("cifar10", "sample", loop, steps=30, dtypes=("float64",), slow=False) for loop in ("fit", "tape")),
    *(TrainingRow(*row) for row in product(COVERS, ("sample", "real"), ("fit", "tape"))),
    *(TrainingRow(recipe, "real", "tape", seed) for recipe, seed in product(COVERS, SEEDS) if seed),
    *(TrainingRow(recipe, "sample", "tape", steps=None, dtypes=("float64",)) for recipe in COVERS),
)
