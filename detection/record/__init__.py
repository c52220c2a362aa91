"""What is kept of each photo: items in the table, pictures in the bucket, and what can be said from them."""
