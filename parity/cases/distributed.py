"""S7: training by two workers, beside PyTorch's DistributedDataParallel, and beside one process of PyTorch.

Nothing is loaded from the reference: initial values, order and dropout masks are what the same seed gives on both
sides. 231 images in batches of 16 leave a last batch of 7, which two workers cannot share evenly; as DDP it is 8.
"""

from parity.cases.rows import DistributedRow

SGD = ("SGD", (("lr", 0.01), ("momentum", 0.9)))
ADAM = ("Adam", (("lr", 0.001),))

_WEIGHTS = ("param:*", "step*:param:*weight", "step*:slot:*weight")

ROWS = (
    DistributedRow("lenet", "sgd", SGD, "ddp", not_golden=_WEIGHTS),
    DistributedRow("lenet", "adam", ADAM, "ddp", not_golden=_WEIGHTS),
    DistributedRow("lenet", "sgd", SGD, "one", not_golden=_WEIGHTS),
    DistributedRow("cifar-dropout", "sgd", SGD, "ddp", not_golden=_WEIGHTS),
    DistributedRow("cifar-dropout", "adam", ADAM, "ddp", not_golden=_WEIGHTS),
    DistributedRow("cifar-dropout", "adam", ADAM, "one", not_golden=_WEIGHTS, slow=False),
    DistributedRow("batchnorm", "sgd", SGD, "ddp", not_golden=_WEIGHTS, slow=False),
    DistributedRow("batchnorm", "adam", ADAM, "ddp", not_golden=_WEIGHTS),
)
