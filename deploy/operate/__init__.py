"""Operate a deployed service day by day: its state, its logs, its cost, a shell."""
