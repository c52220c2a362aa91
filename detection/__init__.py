"""The path of a photo behind the site: from its job in the queue to its boxed picture in the bucket."""
