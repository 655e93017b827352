"""Situations: labels."""
