"""The work: from the job in the queue to the boxed photo in the bucket."""
