"""Judge, from what is stored and logged, whether each update that was taken has exactly one answer."""
