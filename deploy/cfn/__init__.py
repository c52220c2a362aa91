"""CloudFormation: stacks, change sets, templates, parameters and drift."""
