"""What a trained encoder is used for: embeddings, the score of views, outlier scores."""
