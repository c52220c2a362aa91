"""Look at a deployed service and say what is wrong with it: one named check a known failure, read permissions only."""
