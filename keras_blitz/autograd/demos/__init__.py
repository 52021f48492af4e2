"""The autograd tutorials' demos, A1–A15: each a function of its inputs that returns NumPy values by name.

Inputs default to the tutorials' own; random ones are PyTorch's, of the seed. Networks take images (N, H, W, C) and give
their parameters and gradients under PyTorch's names, in PyTorch's layouts.
"""

from keras_blitz.autograd.demos.backprop import a15_two_layers_by_hand
from keras_blitz.autograd.demos.loops import a6_control_flow, a11_backward_twice, a12_small_batches
from keras_blitz.autograd.demos.networks import a1_resnet_step, a8_frozen_resnet, a13_lenet_step
from keras_blitz.autograd.demos.powers import a2_powers, a3_powers_summed, a4_products, a5_graph
from keras_blitz.autograd.demos.tracking import a7_propagation, a9_logits, a10_switches, a14_scalars_and_leaves

# id in the inventory -> the demo
DEMOS = {
    "A1": a1_resnet_step,
    "A2": a2_powers,
    "A3": a3_powers_summed,
    "A4": a4_products,
    "A5": a5_graph,
    "A6": a6_control_flow,
    "A7": a7_propagation,
    "A8": a8_frozen_resnet,
    "A9": a9_logits,
    "A10": a10_switches,
    "A11": a11_backward_twice,
    "A12": a12_small_batches,
    "A13": a13_lenet_step,
    "A14": a14_scalars_and_leaves,
    "A15": a15_two_layers_by_hand,
}

__all__ = ["DEMOS", *(demo.__name__ for demo in DEMOS.values())]
