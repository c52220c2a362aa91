"""Replay a load against the scaling arithmetic, without AWS: `manage.py simulate_scaling`."""
