"""The work on a photo: the jobs and their queue, the worker, the call back, and what sets going again what is stuck."""
