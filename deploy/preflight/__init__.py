"""Look at an account before anything is made in it: what is fine, what is missing, and how to get it."""
