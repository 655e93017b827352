"""Situations: dates."""
