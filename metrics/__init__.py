"""The scale: how much work is waiting, and how many machines it needs."""
