"""Open a shell where a role runs, and record who did."""
