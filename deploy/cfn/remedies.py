"""Say what to do about the reasons that AWS gives when a resource cannot be made."""

import re

_ADVICE = (
    (
        r"already exists|AlreadyExists|EntityAlreadyExists|BucketAlreadyOwnedByYou|already being used",
        "Something else has this name. Choose another --prefix, or delete it if it is left from an earlier try.",
    ),
    (
        r"LimitExceeded|limit exceeded|quota|maximum number of|TooMany\w+|VpcLimit|vcpu limit",
        "A quota of the account is used up in this region: raise it in the Service Quotas console, or delete what is "
        "not needed.",
    ),
    (
        r"not authorized to perform: ?(?P<action>[\w-]+:\w+)",
        "These credentials lack the permission {action}: grant it to them, or use others.",
    ),
    (
        r"Fn::Select\s+cannot select nonexistent value|at least two subnets in two different Availability Zones",
        "The service needs two zones, and this region has fewer for this account: choose another AWS_REGION.",
    ),
    (
        r"InvalidAMIID|image id '\[?ami-\w+\]?' does not exist",
        "The AMI is not in this region (any more). Bake one with `python manage.py bake_ami`.",
    ),
    (
        r"instance type .*not supported|Unsupported.*instance type|InvalidInstanceType",
        "This region does not have the instance type: choose another with --parameter WorkerType=, WebType= or "
        "MetricsType=.",
    ),
    (
        r"InsufficientInstanceCapacity|sufficient capacity",
        "EC2 has no such machine free at the moment: run this again later, or choose another type.",
    ),
    (
        r"[Cc]ertificate .*(not found|must have|not valid|is not supported)|UnsupportedCertificate|CertificateNotFound",
        "The load balancer does not take this certificate: it has to be in ACM of this region, valid, and RSA of at "
        "most 4096 bits or EC.",
    ),
)


def advice(reason: str) -> str:
    """Return a sentence on what to do, with a space before it; empty if the reason is none that is known."""
    for pattern, text in _ADVICE:
        if found := re.search(pattern, reason):
            return " " + text.format(**found.groupdict())
    return ""
