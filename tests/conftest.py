"""Settings that must stand before scipy is imported, and fixtures for all tests."""

import os

# Without it scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
