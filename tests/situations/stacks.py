"""Situations: stacks."""
