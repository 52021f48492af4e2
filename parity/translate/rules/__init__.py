"""The rules: what a PyTorch module or function is in Keras, an operation family a file."""
