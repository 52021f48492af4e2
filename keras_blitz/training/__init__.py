"""Training as the tutorials do it, fast: batches gathered and looped inside the graph, in PyTorch's order."""
