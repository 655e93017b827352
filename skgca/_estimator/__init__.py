"""GCAEmbedder: its parameters, fit, transform, cost and description."""
