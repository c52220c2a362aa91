"""Run the local AWS, ministack: `python -m deploy.local.ministack`, configured by the environment.

Parsing templates with PyYAML's own parser took half the time of a deployment; libyaml's is ten times as fast.
"""

import sys

import yaml

COMMAND = (sys.executable, "-m", "deploy.local.ministack")


def environment(port: int) -> dict[str, str]:
    """Return the variables for an AWS on this port, without the services that open more ports."""
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
    from ministack.services import alb

    from deploy.local import fixups
    from deploy.local.telegram import gate

    fixups.install()
    app.app = gate.closed(app.app, alb.find_lb_for_host)
    sys.exit(app.main())
