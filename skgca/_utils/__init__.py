"""Helpers of all wings: private scikit-learn names, devices, random numbers, threads, files, classes, missing data."""
