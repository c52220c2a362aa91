"""Compares this transport with what else runs tasks on SQS in Python."""
