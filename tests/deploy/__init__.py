"""Templates, roles, costs and checks of a deployment."""
