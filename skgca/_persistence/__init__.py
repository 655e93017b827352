"""Convert a fitted embedder to plain values, for files, pickles and ONNX, and back."""
