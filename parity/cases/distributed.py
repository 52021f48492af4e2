"""S7: training by two workers, beside PyTorch's DistributedDataParallel, and beside one process of PyTorch.

Nothing is loaded from the reference: initial values, order and dropout masks are what the same seed gives on both
sides. 231 images in batches of 16 leave a last batch of 7, which two workers cannot share evenly; as DDP it is 8.
"""

from parity.cases.rows import DistributedRow

SGD = ("SGD", (("lr", 0.01), ("momentum", 0.9)))
ADAM = ("Adam", (("lr", 0.001),))
# ResNet18: 160 images in batches of 8, because BatchNorm over one image of a last batch is not the same on two workers.
# Its last BatchNorms see 4×2×2 values; with a larger rate the rounding becomes a run of its own.
SMALL_SGD = ("SGD", (("lr", 0.001), ("momentum", 0.9)))
SMALL_ADAM = ("Adam", (("lr", 0.0001),))

# Of ResNet18 a golden file keeps the losses, and what is nearest to the images and to the logits.
_DEEP = ("param:*", "step*:param:layer*", "step*:slot:*:layer*", "step*:buffer:*layer*")
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
    DistributedRow("resnet18", "sgd", SMALL_SGD, "ddp", batch_size=8, images=160, not_golden=_DEEP),
    DistributedRow("resnet18", "adam", SMALL_ADAM, "ddp", batch_size=8, images=160, not_golden=_DEEP),
    DistributedRow("resnet18", "sgd", SMALL_SGD, "one", batch_size=8, images=160, not_golden=_DEEP),
)
