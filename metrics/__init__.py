"""The scale: how much work is waiting, and for how many machines that is work."""
