"""What goes wrong where several workers share a batch. The mistake is planted in each worker's process."""

from collections.abc import Callable
from functools import partial

import keras_blitz
from keras_blitz.data.sampler import DistributedSampler
from keras_blitz.optim.base import Optimizer
from keras_blitz.training import replicas
from parity.faults.fault import Place, fault
from parity.faults.plant import Plant, planted
from parity.suite import ranks
from parity.twins.keras import distributed


def divisor_of_each(plant: Plant) -> None:
    """The mean of the replicas' means, where the parts of the last batch are 4 and 3."""

    def choose(loss, workers):
        loss.over_replicas = "each"
        return loss

    plant.attribute(distributed, "choose_mean", choose)


def buffers_of_the_first(plant: Plant) -> None:
    """Rank 0's running statistics for all at the end."""

    def state(original, net, optimizer, prefix, rank):
        distributed.take_chiefs_values(distributed._joined(), net)
        return original(net, optimizer, prefix, rank)

    plant.around(distributed, "_state", state)


def same_part(plant: Plant) -> None:
    """Every worker has rank 0's part of a batch."""
    plant.around(replicas, "rows_of", lambda rows, count, _, world: rows(count, 0, world))


def gradients_summed(plant: Plant) -> None:
    """The sum of the ranks' gradients for their mean."""

    def update(original, self, grads, variables, rate):
        original(self, [2 * gradient for gradient in grads], variables, rate)

    plant.around(Optimizer, "_backend_update_step", update)


def seed_shared(plant: Plant) -> None:
    """The same seed on all ranks."""
    workers = distributed._joined()
    plant.around(keras_blitz, "manual_seed", lambda begin, seed: begin(seed - workers.rank))


def epoch_not_set(plant: Plant) -> None:
    """`set_epoch` forgotten."""
    plant.around(DistributedSampler, "set_epoch", lambda original, self, epoch: None)


def order_not_padded(plant: Plant) -> None:
    """The last images left out, where PyTorch takes the first ones once more."""
    plant.around(
        DistributedSampler, "__init__", lambda init, self, *given, **named: init(self, *given, **named, drop_last=True)
    )


def on_workers(subject: str, seen: str, mistake: Callable[[Plant], None]) -> Place:
    """Return a place in a case of two workers."""
    around = partial(planted, mistake)
    return Place(
        f"train-distributed-{subject}-float64-graph", seen, lambda plant: plant.attribute(ranks, "AROUND", around)
    )


FAULTS = (
    fault(
        "divisor-per-replica", "the mean of the replicas' means for the whole batch's", "measured: 4e-2 off",
        on_workers("one-lenet-sgd", "step15:loss", divisor_of_each),
        on_workers("one-cifar-dropout-adam", "step15:loss", divisor_of_each),
    ),
    fault(
        "buffers-of-rank-0", "BatchNorm's buffers of rank 0 for all ranks", "DistributedDataParallel",
        on_workers("ddp-batchnorm-sgd", "step100:buffer:rank1.bn1.running_mean", buffers_of_the_first),
        on_workers("ddp-batchnorm-adam", "step100:buffer:rank1.bn1.running_mean", buffers_of_the_first),
    ),
    fault(
        "same-shard", "the same part of each batch on every rank", "torch.utils.data.DistributedSampler left out",
        on_workers("ddp-lenet-sgd", "step1:loss", same_part),
        on_workers("one-lenet-sgd", "step1:loss", same_part),
    ),
    fault(
        "gradients-summed", "the ranks' gradients summed, not averaged", "DistributedDataParallel averages",
        on_workers("ddp-lenet-sgd", "step2:loss", gradients_summed),
        on_workers("ddp-batchnorm-sgd", "step2:loss", gradients_summed),
    ),
    fault(
        "seed-shared", "the same dropout masks on all ranks", "torch.manual_seed(seed) for seed + rank",
        on_workers("ddp-cifar-dropout-sgd", "step1:loss", seed_shared),
        on_workers("ddp-cifar-dropout-adam", "step1:loss", seed_shared),
    ),
    fault(
        "epoch-not-set", "DistributedSampler.set_epoch forgotten: every epoch in the same order",
        "torch.utils.data.DistributedSampler.set_epoch",
        on_workers("ddp-lenet-sgd", "step16:loss", epoch_not_set),
        on_workers("ddp-lenet-adam", "step16:loss", epoch_not_set),
    ),
    fault(
        "order-not-padded", "the images that the ranks cannot share left out, not made up for",
        "torch.utils.data.DistributedSampler(drop_last)",
        on_workers("ddp-lenet-sgd", "step15:loss", order_not_padded),
        on_workers("ddp-lenet-adam", "step15:loss", order_not_padded),
    ),
)  # fmt: skip
