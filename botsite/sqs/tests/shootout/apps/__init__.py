"""The same app for each of those compared; each runs in an environment of its own, with this folder on its path."""
