"""What is made for a prefix beside its stacks, and goes with them: machine images and certificates."""

from collections.abc import Iterator

from deploy import ami, certificates, prototype, recipe
from deploy.ami import Image
from deploy.cfn import Change, Event, Report

_IMAGE = "AWS::EC2::Image"


def deletions(prefix: str) -> list[Change]:
    """Return what `delete` would remove."""
    images = [Change(f"{prefix}-images", "Remove", image.name, _IMAGE) for image in _images(prefix)]
    found = [one["DomainName"] for kind in certificates.KINDS for one in certificates.ours(prefix, kind)]
    return images + [Change(f"{prefix}-certificate", "Remove", one, certificates.TYPE) for one in found]


def delete(prefix: str, report: Report) -> None:
    """Delete it all. The stacks have to be gone: a listener holds a certificate, and machines run from images."""
    prototype.end(prototype.all_of(prefix))
    for image in _images(prefix):
        ami.remove(image)
        report(Event(f"{prefix}-images", image.name, _IMAGE, "DELETE_COMPLETE"))
    for arn in certificates.delete(prefix):
        report(Event(f"{prefix}-certificate", arn, certificates.TYPE, "DELETE_COMPLETE"))


def _images(prefix: str) -> Iterator[Image]:
    for role in recipe.ROLES:
        yield from ami.of_role(prefix, role)
