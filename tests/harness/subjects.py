"""Which subjects of `parity run` the default tests leave to the slow ones."""

# ResNet18 in train mode: 25 s for three cases, of which `parity run` and `parity run --golden` have the verdicts. The
# default tests have ResNet18 in eval mode, and train mode in smaller networks.
DEEP = ("resnet18-train", "autograd-resnet18", "autograd-frozen-train")
