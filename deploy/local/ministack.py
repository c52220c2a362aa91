"""Run the local AWS, ministack: `python -m deploy.local.ministack`, set up by the environment.

Half of a deployment's time went into its parsing of templates with PyYAML's own parser: here it has the one of libyaml,
which is ten times as fast.
"""

import sys

import yaml

COMMAND = (sys.executable, "-m", "deploy.local.ministack")


def environment(port: int) -> dict[str, str]:
    """Return the variables for an AWS on this port of this machine, without the services that open further ports."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }


if __name__ == "__main__":
    # Before ministack is imported, which derives its parser from this one.
    yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[assignment, misc]
    from ministack import app

    from deploy.local import fixups

    fixups.install()
    sys.exit(app.main())
