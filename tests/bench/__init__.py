"""Measure the worker against what it could be and what it could have been; see `__main__.py`."""
