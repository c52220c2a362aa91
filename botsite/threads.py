"""Run what blocks, such as a call of AWS, in a thread, so that the event loop goes on."""

from asgiref.sync import sync_to_async

in_thread = sync_to_async(thread_sensitive=False)
