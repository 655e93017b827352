"""What measures the tables of docs/ and the README; from the root, ``python -m benchmarks.NAME`` runs a script."""
