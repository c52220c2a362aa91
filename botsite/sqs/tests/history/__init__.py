"""Break workers and network at random, note what happens to every message, and judge the history afterwards."""
