"""How a network is trained: the nets of skorch, parts of batches, roll-back, callbacks, checkpoints."""
