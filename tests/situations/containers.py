"""Situations: containers."""
