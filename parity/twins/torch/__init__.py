"""PyTorch's side: the tutorial networks in torch.nn, as the tutorials define them. Needs PyTorch."""
