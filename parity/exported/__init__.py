"""A PyTorch module beside a file: ONNX, TFLite, SavedModel."""
