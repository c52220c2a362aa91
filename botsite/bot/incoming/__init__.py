"""What people send: updates, whom they are for, who may send, and the files themselves."""
