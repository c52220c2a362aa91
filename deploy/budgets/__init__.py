"""A monthly budget: AWS writes to whoever gets the alarms when most of it is spent, and when it won't last.

It isn't in a template: whether the service's tag filters costs is only known at run time, and emulators refuse a whole
stack with an `AWS::Budgets::Budget`. A mail needs no topic policy, which would take the alarms' topic its default one.
"""
