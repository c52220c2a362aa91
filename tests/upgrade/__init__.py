"""Upgrade a running service from the previous release to this one."""
