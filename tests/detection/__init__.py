"""The record of photos, the worker, its model and its pictures."""
