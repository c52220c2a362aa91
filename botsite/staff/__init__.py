"""Every page for operators, and their login."""
