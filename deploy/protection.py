"""Keep what people have stored from being deleted by mistake, until somebody has confirmed a teardown."""

from botsite import aws
from deploy.cfn import cloudformation
from deploy.cfn.cloudformation import Stack

# A table that changes can't be deleted.
_CHANGED = {"Delay": 2, "MaxAttempts": 60}


def put(stack: Stack) -> None:
    """Have CloudFormation refuse to delete the stack; its template protects its tables."""
    cloudformation.protect(stack, on=True)


def lift(stack: Stack) -> None:
    """Let the stack and its tables be deleted."""
    cloudformation.protect(stack, on=False)
    dynamodb = aws.client("dynamodb")
    for name in cloudformation.names(stack, "AWS::DynamoDB::Table"):
        try:
            if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
                dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
                dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig=_CHANGED)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
