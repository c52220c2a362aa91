"""Bring predictions back from the table's backups into the table that the service uses.

DynamoDB restores into a new table only, and everything names the one that the storage stack owns. So the items are
copied back from the new table: the stack keeps its table with indexes, time to live and recovery, no process has to
learn another name, and the service goes on meanwhile. Putting the new table in the old one's place would need the stack
to let go of a table whose exports the other stacks import.
"""
