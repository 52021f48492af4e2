"""The equivalence harness: the same weights and inputs through PyTorch and Keras, everything observable compared.

Everything after the recording needs NumPy alone; TensorFlow and PyTorch are loaded by the recorders.
"""
