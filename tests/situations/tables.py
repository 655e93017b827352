"""Situations: tables."""
