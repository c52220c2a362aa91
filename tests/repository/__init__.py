"""The repository itself: docs, layers, CI, mutants, the fault suite."""
