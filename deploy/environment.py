"""Say what the processes of the service need to know of the stacks, as environment variables."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.conf import settings

from deploy import stacks

# Variable -> (part of the service, output of its stack).
OUTPUTS: Mapping[str, tuple[str, str]] = {
    "JOBS_QUEUE_URL": ("queue", "JobsQueueUrl"),
    "METRICS_QUEUE_URL": ("queue", "MetricsQueueUrl"),
    "IMAGES_BUCKET": ("storage", "ImagesBucketName"),
    "PREDICTIONS_TABLE": ("storage", "PredictionsTableName"),
    "PREDICTIONS_KEPT_DAYS": ("storage", "KeptDays"),
    "ASG_NAME": ("workers", "Yolo5GroupName"),
    "METRIC_NAMESPACE": ("workers", "MetricNamespace"),
    "BACKLOG_TARGET": ("workers", "BacklogTarget"),
    "KEEP_WARM_SECONDS": ("metrics", "KeepWarmSeconds"),
    "POLYBOT_URL": ("web", "PolybotUrl"),
    "TELEGRAM_TOKEN_SECRET": ("web", "TokenSecretName"),
    "SERVICE_SECRETS": ("web", "ServiceSecrets"),
}


def of(prefix: str) -> dict[str, str]:
    """Return variable -> value for the stacks that begin with `prefix`; raise StackError if one is not whole."""
    found = {"AWS_REGION": settings.AWS_REGION}
    if settings.AWS_ENDPOINT_URL:
        found["AWS_ENDPOINT_URL"] = settings.AWS_ENDPOINT_URL
    outputs = {part: stacks.existing(prefix, part).outputs for part in stacks.ORDER}
    for variable, (part, output) in OUTPUTS.items():
        if output not in outputs[part]:
            raise stacks.StackError(
                f"{stacks.name(prefix, part)} has no output {output}: it is half made, or older than this code. "
                f"Run: python manage.py provision --prefix {prefix}"
            )
        found[variable] = outputs[part][output]
    if settings.AWS_ENDPOINT_URL:
        found |= {name: _reachable(url) for name, url in found.items() if name.endswith("_QUEUE_URL")}
        # No name server knows the load balancer there: its own name stands in the path.
        found["POLYBOT_URL"] = f"{settings.AWS_ENDPOINT_URL.rstrip('/')}/_alb/{outputs['web']['BalancerName']}"
    return found


def _reachable(url: str) -> str:
    """Return a queue's address at the endpoint in use: an emulator calls itself localhost, wherever it listens."""
    endpoint = urlsplit(settings.AWS_ENDPOINT_URL)
    return urlsplit(url)._replace(scheme=endpoint.scheme, netloc=endpoint.netloc).geturl()
