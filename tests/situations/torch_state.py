"""Situations: torch_state."""
