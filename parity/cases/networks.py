"""N1–N5, the tutorials' networks: on synthetic images with unlike axes, and on real images of the sample.

The real images go through the tutorial's own transform.
"""

from parity.cases.rows import NetworkRow

ROWS = (
    NetworkRow("lenet", ("N1",), "lenet.Net", (3, 1, 32, 32), "mse", 0.01),
    NetworkRow("cifar", ("N2",), "cifar.Net", (4, 3, 32, 32), "cross_entropy", 0.001, (0.5, 0.5)),
    NetworkRow("mlp", ("N3",), "mlp.NeuralNetwork", (64, 1, 28, 28), "cross_entropy", 0.001),
    NetworkRow(
        "mlp-last-relu", ("N3",), "mlp.NeuralNetwork", (64, 1, 28, 28), "cross_entropy", 0.001,
        reference_options=(("last_relu", True),), slow=("*-xla",),
    ),
    NetworkRow("mnist0", ("N5",), "mnist.Network0", (5, 1, 28, 28)),
    NetworkRow("mnist1", ("N5",), "mnist.Network1", (5, 1, 28, 28)),
    NetworkRow("mnist", ("N4",), "mnist.Network2", (20, 1, 28, 28), "cross_entropy", 0.1, (0.1307, 0.3081)),
)  # fmt: skip
