"""Random pairs: one description of a network, written in PyTorch and in Keras apart, half of them with a mistake."""
