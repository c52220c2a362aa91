"""What is inside an image: its tags, and the list of its contents (SBOM), which its builder makes."""

import json
from typing import Any

from botsite import aws
from botsite.roles import YOLO5
from deploy.images import builder, source
from deploy.images.spec import ImageSpec

_NAME = "sbom.json"


def read(bucket: str, folder: str) -> str | None:
    """Return the list that the builder has left in its folder, None if its container has none."""
    return builder.read(bucket, f"{folder}/{_NAME}")


def tags(spec: ImageSpec, listed: str | None) -> dict[str, str]:
    """Return the tags that tell what was baked: the commit, or the registry's container; the model as it came out."""
    if spec.image:
        return {"Container": spec.image[:256]}
    found = {"Commit": source.commit()}
    if spec.role == YOLO5.short:
        found |= {"Model": spec.model, "WeightsSha256": spec.weights_sha256, "Precision": _precision(listed)}
    return {name: value for name, value in found.items() if value}


def keep(bucket: str, image_name: str, listed: str) -> str:
    """Store the list under the image's name, for as long as the bucket lives; return its address."""
    key = f"sboms/{image_name}.json"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=listed.encode(), ContentType="application/json")
    return f"s3://{bucket}/{key}"


def _precision(listed: str | None) -> str:
    """Return the precision of the model that the list names."""
    components: list[dict[str, Any]] = json.loads(listed)["components"] if listed else []
    properties = [one for component in components for one in component.get("properties", [])]
    return next((str(one["value"]) for one in properties if one["name"] == "objdet:precision"), "")
