"""Rehearse the first hour on AWS: make a service of its own, send photos, break things, measure, delete everything."""
