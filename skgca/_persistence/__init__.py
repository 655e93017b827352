"""How a fitted embedder becomes plain values, for files, pickles and ONNX, and back."""
