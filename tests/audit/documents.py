"""Print every policy as plain JSON, by its name: of the roles as they are deployed, and of deploy/policies/.

An emulator resolves the templates' functions: `python -m tests.audit.documents`.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from botsite import aws
from deploy import provision
from deploy.preflight import rights
from deploy.service import Service
from tests.support import emulators

_ROLES = Path(__file__).parents[2] / "deploy" / "github" / "roles.yaml"
_GITHUB = {
    "Repository": "octo-org/octo-repo",
    "DeployerPolicyArns": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    "ProviderArn": "arn:aws:iam::000000000000:oidc-provider/token.actions.githubusercontent.com",
}


def handed_out() -> Iterator[tuple[str, Any]]:
    """Yield the policies for people."""
    for path in sorted(rights.FOLDER.rglob("*.json")):
        yield path.stem, json.loads(path.read_text(encoding="utf-8"))


def deployed() -> Iterator[tuple[str, Any]]:
    """Yield the policies of roles, and managed ones, as the emulator has them."""
    iam = aws.client("iam")
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            found = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)
            yield role["RoleName"], found["PolicyDocument"]
    for policy in iam.list_policies(Scope="Local")["Policies"]:
        version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        yield policy["PolicyName"], version["PolicyVersion"]["Document"]


def main() -> None:
    """Deploy everything, and print the policies."""
    with emulators.ministack():
        provision.deploy(Service("objdet"))
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in _GITHUB.items()]
        made = {"TemplateBody": _ROLES.read_text(), "Capabilities": ["CAPABILITY_NAMED_IAM"]}
        aws.client("cloudformation").create_stack(StackName="github", Parameters=parameters, **made)
        json.dump(dict([*handed_out(), *deployed()]), sys.stdout, indent=1)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "botsite.settings"
    os.environ.setdefault("AWS_REGION", "us-east-1")
    django.setup()
    main()
