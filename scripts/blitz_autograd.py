"""Autograd: gradients through formulas, loops, switches and whole networks.

python scripts/blitz_autograd.py
"""

from keras_blitz import command
from keras_blitz.quiet import import_tensorflow


def show(found: dict, *names: str) -> None:
    """Print the named values, or all."""
    for name in names or found:
        print(f"{name} =", found[name])


def main() -> None:
    """Print the lesson."""
    parser = command.argument_parser(__doc__)
    parser.add_argument("--dry-run", action="store_true", help="one step of the frozen ResNet18 instead of five")
    parser.add_argument("--graph", help="also draw A5's graph to this .svg, .png, .dot or .txt")
    options = parser.parse_args()
    steps = 1 if options.dry_run else 5
    import_tensorflow()
    from keras_blitz.autograd import demos, trace

    if options.graph:
        trace(demos.powers.powers, **demos.powers.leaves()).write(options.graph)

    print("A1: a training step of ResNet18. loss = Σ (prediction − labels), so fc.bias.grad is 1 everywhere")
    found = demos.a1_resnet_step()
    show(found, "loss")
    print("fc.bias.grad is 1 everywhere:", bool((found["grad.fc.bias"] == 1).all()))

    print("\nA2: Q = 3a³ − b², so ∂Q/∂a = 9a² and ∂Q/∂b = −2b")
    show(demos.a2_powers())
    print("\nA3: the same through Q.sum(), one value: no gradient argument")
    show(demos.a3_powers_summed())

    print(
        "\nA4: products with the Jacobian and the Hessian, without either: vᵀJ backward, Jv forward, Hv backward twice"
    )
    show(demos.a4_products())

    print("\nA5: the graph of Q: the gradient comes in at the top and stays at the leaves")
    print(demos.a5_graph()["text"])

    print("\nA6: a loop and a branch. c is a times a number that they decide, so dc/da = c/a")
    show(demos.a6_control_flow())

    print("\nA7: a result is tracked if one of its inputs is: z is, x and y are not")
    show(demos.a7_propagation())

    print("\nA8: ResNet18 frozen but for a new head. The 60 frozen gradients are absent; running statistics still move")
    print("in train mode, and stand still in eval mode")
    for training in (True, False):
        found = demos.a8_frozen_resnet(training=training, steps=steps)
        print("train mode:" if training else "eval mode:", len(found["absent"]), "gradients absent")
        show(found, "losses", "running statistics moved")

    print("\nA9: z = x·w + b and its binary cross entropy with 0: b.grad = sigmoid(z)/3, and so is each row of w.grad.")
    print("PyTorch has one function for the loss; TensorFlow several, the last of them the division of the mean")
    show(demos.a9_logits())

    print("\nA10: what is tracked under each switch; y = detach(x²)·x has the gradient x², not 3x²")
    show(demos.a10_switches())

    print("\nA11: (inp + 1)² backward: 2(inp + 1), twice that after a second pass, the first again once zeroed")
    show(demos.a11_backward_twice())

    print("\nA12: three small batches add up to the whole; without zeroing, the whole counts twice")
    show(demos.a12_small_batches())

    print("\nA13: the blitz's Net: conv1.bias.grad is None after zero_grad, and there after backward; w ← w − 0.01·g")
    show(demos.a13_lenet_step(), "loss", "conv1.bias.grad is None before", "grad.conv1.bias", "state.conv1.bias")

    print("\nA14: y = x², z = 3·y.sum(). y has several values and needs a gradient argument; z.backward() gives 6x")
    show(demos.a14_scalars_and_leaves())

    print("\nA15: two layers by hand: ∂w2 = rᵀ·∂p, ∂w1 = xᵀ·∂h; the tape finds the same")
    show(demos.a15_two_layers_by_hand(), "numpy.losses", "tensorflow.losses")


if __name__ == "__main__":
    command.run(main, "blitz_autograd")
