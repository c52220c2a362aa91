"""Read the roles' log lines, from CloudWatch Logs or from the folder of the local AWS."""
