"""What each role may do, written down independently: tests compare the policies of the templates with it."""

# By role: action -> resources (names as in tests/deploy/test_roles.py). Everything else has to be denied.
MAY: dict[str, dict[str, set[str]]] = {
    "polybot": {
        "sqs:SendMessage": {"jobs"},
        "sqs:ReceiveMessage": {"jobs-dlq"},
        "sqs:DeleteMessage": {"jobs-dlq"},
        "sqs:ChangeMessageVisibility": {"jobs-dlq"},
        "sqs:GetQueueAttributes": {"jobs", "jobs-dlq"},
        "s3:ListBucket": {"bucket"},
        "s3:PutObject": {"photo"},
        "s3:GetObject": {"photo", "result"},
        "s3:DeleteObject": {"photo", "result"},
        "dynamodb:GetItem": {"table"},
        "dynamodb:PutItem": {"table"},
        "dynamodb:UpdateItem": {"table"},
        "dynamodb:DeleteItem": {"table"},
        "dynamodb:Query": {"by_chat", "by_status", "by_delivery", "by_time"},
        "secretsmanager:GetSecretValue": {"results-key", "django-key", "webhook-secret", "admin-password", "token"},
        "logs:CreateLogStream": {"polybot-logs"},
        "logs:PutLogEvents": {"polybot-logs"},
    },
    "yolo5": {
        "sqs:SendMessage": {"jobs"},
        "sqs:ReceiveMessage": {"jobs"},
        "sqs:DeleteMessage": {"jobs"},
        "sqs:ChangeMessageVisibility": {"jobs"},
        "sqs:GetQueueAttributes": {"jobs"},
        "s3:ListBucket": {"bucket"},
        "s3:PutObject": {"result"},
        "s3:GetObject": {"photo"},
        "s3:DeleteObject": {"result"},
        "dynamodb:GetItem": {"table"},
        "dynamodb:UpdateItem": {"table"},
        "autoscaling:CompleteLifecycleAction": {"yolo5-group"},
        "secretsmanager:GetSecretValue": {"results-key"},
        "logs:CreateLogStream": {"yolo5-logs"},
        "logs:PutLogEvents": {"yolo5-logs"},
    },
    "metrics": {
        "sqs:SendMessage": {"ticks", "jobs"},
        "sqs:ReceiveMessage": {"ticks", "jobs-dlq"},
        "sqs:DeleteMessage": {"ticks"},
        "sqs:ChangeMessageVisibility": {"ticks", "jobs-dlq"},
        "sqs:GetQueueAttributes": {"ticks", "jobs"},
        "dynamodb:GetItem": {"table"},
        "dynamodb:UpdateItem": {"table"},
        "dynamodb:Query": {"by_status", "by_delivery", "by_time"},
        "secretsmanager:GetSecretValue": {"results-key"},
        "logs:CreateLogStream": {"metrics-logs"},
        "logs:PutLogEvents": {"metrics-logs"},
    },
    # The machine that bakes an image: no access to the service.
    "bake": {
        "s3:GetObject": {"source"},
        "s3:PutObject": {"source"},
        "sqs:SendMessage": {"bake"},
        "sqs:ReceiveMessage": {"bake"},
        "sqs:DeleteMessage": {"bake"},
        "sqs:ChangeMessageVisibility": {"bake"},
        "sqs:GetQueueAttributes": {"bake"},
        "ecr:BatchGetImage": {"repository"},
        "ecr:GetDownloadUrlForLayer": {"repository"},
    },
}
# Actions without resources: allowed everywhere or not at all.
_SESSION = {
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
MAY_ANYWHERE = {
    "polybot": {
        *_SESSION,
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribePolicies",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeScheduledActions",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
    },
    "yolo5": _SESSION,
    "metrics": {*_SESSION, "autoscaling:DescribeAutoScalingGroups", "cloudwatch:PutMetricData"},
    "bake": {"ecr:GetAuthorizationToken"},
}
# Actions that no role should have.
_DANGEROUS = {
    "sqs": ("PurgeQueue", "DeleteQueue", "SetQueueAttributes", "CreateQueue", "ListQueues"),
    "s3": ("DeleteBucket", "PutBucketPolicy", "DeleteObjectVersion", "PutLifecycleConfiguration", "ListAllMyBuckets"),
    "dynamodb": ("Scan", "DeleteTable", "UpdateTable", "BatchWriteItem", "ExportTableToPointInTime"),
    "secretsmanager": ("PutSecretValue", "DeleteSecret", "ListSecrets", "UpdateSecret"),
    "autoscaling": ("SetDesiredCapacity", "UpdateAutoScalingGroup", "DeleteAutoScalingGroup"),
    "cloudwatch": ("DeleteAlarms", "PutMetricAlarm", "DisableAlarmActions"),
    "logs": ("DeleteLogGroup", "CreateLogGroup", "GetLogEvents", "PutRetentionPolicy"),
    "iam": ("PassRole", "PutRolePolicy", "CreateAccessKey"),
    "sts": ("AssumeRole",),
    "ec2": ("RunInstances", "TerminateInstances", "CreateImage", "AuthorizeSecurityGroupIngress", "DescribeInstances"),
    "ssm": ("GetParameter", "GetParameters", "SendCommand", "StartSession"),
    "cloudformation": ("DescribeStacks", "UpdateStack"),
    "ecr": ("PutImage", "InitiateLayerUpload", "CreateRepository", "DeleteRepository"),
}
NOBODY = [f"{service}:{action}" for service, actions in _DANGEROUS.items() for action in actions]
