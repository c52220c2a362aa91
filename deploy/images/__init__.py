"""The AMIs of the three roles: build them, find the newest, roll them out."""
