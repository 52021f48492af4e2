"""Learning rates that change too early, too late, or to something else."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_blitz.optim import schedules
from keras_blitz.optim.base import MomentumOptimizer, Optimizer
from parity.faults.fault import Place, eager, fault, graph
from parity.faults.plant import Plant
from parity.suite import plans

Planting = Callable[[Plant], None]


def _on(optimizer: str, plan: str, seen: str, plant: Planting) -> Place:
    """Return a place in 100 compiled steps on the test functions."""
    return graph(f"{optimizer}-functions-{plan}", seen, plant)


def _rates(schedule: str, plant: Planting) -> Place:
    """Return a place in the rates of a schedule."""
    return eager(f"schedule-{schedule}", "output:rates", plant)


def _following(schedule: type, _following: Callable) -> Planting:
    """Another rule for the next rates: following(original, schedule, epoch, rates)."""
    return lambda plant: plant.around(schedule, "_next", _following)


def _epoch_late(original, self, epoch, _rates):
    """`PiecewiseConstantDecay` keeps the old rate at its boundary."""
    return original(self, epoch - 1, _rates) if epoch else _rates


def _at_each_epoch(original, self, epoch, _rates):
    """Stepped once a batch, of which there are two in an epoch."""
    return original(self, epoch // 2, _rates) if epoch % 2 == 0 else _rates


def _half_period(original, self, epoch, _rates):
    """`CosineDecay` stays where it is after its end."""
    return original(self, epoch, _rates) if epoch <= self.T_max else _rates


def _begun(plant: Plant) -> None:
    """The schedule stepped before the first update."""

    def behind(original, plan, optimizer):
        after = original(plan, optimizer)
        after(0)
        return after

    plant.around(plans, "of_keras", behind)


def _restarted(plant: Plant) -> None:
    """A new optimizer for the new rate: the state begins again."""

    def set_lrs(original, self, _rates):
        original(self, _rates)
        for slot in self.slots():
            slot.variable.assign(tf.zeros_like(slot.variable.value))

    plant.around(Optimizer, "set_lrs", set_lrs)


def _rescaled(plant: Plant) -> None:
    """The momentum corrected for the new rate."""

    def set_lrs(original, self, _rates):
        before = self.param_lrs
        original(self, _rates)
        for slot in self.slots():
            if slot.key == "momentum_buffer":
                slot.variable.assign(slot.variable.value * (before[0] / _rates[0]))

    plant.around(Optimizer, "set_lrs", set_lrs)


def _in_float32(original, self, epoch, _rates):
    return [float(np.float32(rate)) for rate in original(self, epoch, _rates)]


def _one_sooner(original, self, *arguments, **options):
    original(self, *arguments, **options)
    self.patience -= 1


FAULTS = (
    fault(
        "rate-change-ignored", "a changed rate not taken up by the compiled step", "gap opt-sgd-lr-change",
        _on("sgd", "changed", "step51:param:*", lambda plant: plant.attribute(Optimizer, "set_lrs", lambda *_: None)),
        _on("adam", "changed", "step51:param:*", lambda plant: plant.attribute(Optimizer, "set_lrs", lambda *_: None)),
    ),
    fault(
        "rate-change-early", "the new rate a step too early", "gap sched-steplr",
        _on("sgd", "changed", "step50:param:*", lambda plant: plant.attribute(plans, "CHANGED_AT", 49)),
        _on("rmsprop", "changed", "step50:param:*", lambda plant: plant.attribute(plans, "CHANGED_AT", 49)),
    ),
    fault(
        "rate-change-late", "the new rate a step too late", "gap sched-steplr",
        _on("sgd", "changed", "step51:param:*", lambda plant: plant.attribute(plans, "CHANGED_AT", 51)),
        _on("adamw", "changed", "step51:param:*", lambda plant: plant.attribute(plans, "CHANGED_AT", 51)),
    ),
    fault(
        "optimizer-restarted", "a new optimizer for the new rate, whose state begins again", "gap opt-sgd-lr-change",
        _on("sgd-momentum", "changed", "step51:slot:momentum_buffer:*", _restarted),
        _on("adam", "changed", "step51:slot:step:*", _restarted),
    ),
    fault(
        "momentum-corrected", "the momentum rescaled when the rate changes", "gap opt-sgd-lr-change",
        _on("sgd-momentum", "changed", "step51:slot:momentum_buffer:*", _rescaled),
        _on("rmsprop-momentum", "changed", "step51:slot:momentum_buffer:*", _rescaled),
    ),
    fault(
        "schedule-stepped-first", "the schedule stepped before the optimizer", "gap sched-per-epoch",
        _on("sgd", "schedule", "step1:param:*", _begun),
        _on("adam", "schedule", "step1:param:*", _begun),
    ),
    fault(
        "schedule-epoch-late", "PiecewiseConstantDecay with PyTorch's milestones", "gap sched-multistep",
        _rates("step", _following(schedules.StepLR, _epoch_late)),
        _rates("multistep", _following(schedules.MultiStepLR, _epoch_late)),
    ),
    fault(
        "schedule-per-epoch", "a schedule stepped once an epoch, not once a batch", "gap sched-per-epoch",
        _rates("step", _following(schedules.StepLR, _at_each_epoch)),
        _rates("exponential", _following(schedules.ExponentialLR, _at_each_epoch)),
    ),
    fault(
        "schedule-in-float32", "a Keras schedule, whose rates are float32", "gap sched-float32",
        _rates("exponential", _following(schedules.ExponentialLR, _in_float32)),
        _rates("cosine", _following(schedules.CosineAnnealingLR, _in_float32)),
    ),
    fault(
        "cosine-clamped", "a cosine that stays down after its end", "gap sched-cosine",
        _rates("cosine-periods", _following(schedules.CosineAnnealingLR, _half_period)),
        # Of the steps after its end the golden trace has the last, and that begins with its loss.
        _on("sgd", "schedule", "step100:loss", _following(schedules.CosineAnnealingLR, _half_period)),
    ),
    fault(
        "plateau-patience", "Keras's patience, which is an epoch shorter", "gap sched-plateau",
        _rates("plateau", lambda plant: plant.around(schedules.ReduceLROnPlateau, "__init__", _one_sooner)),
        _rates("plateau-max", lambda plant: plant.around(schedules.ReduceLROnPlateau, "__init__", _one_sooner)),
    ),
    fault(
        "onecycle-without-momentum", "OneCycleLR that leaves the momentum alone", "gap sched-onecycle",
        _on("sgd-momentum", "onecycle", "step2:slot:momentum_buffer:*",
           lambda plant: plant.attribute(MomentumOptimizer, "set_momenta", lambda *_: None)),
        _on("adam", "onecycle", "step1:slot:exp_avg:*",
           lambda plant: plant.attribute(MomentumOptimizer, "set_momenta", lambda *_: None)),
    ),
)  # fmt: skip
