"""microburst, a proxy in front of an AWS that breaks the calls it is told to break."""

import json
from pathlib import Path

from deploy.local.stack import script


def command(folder: Path, upstream: str, port: int) -> list[str]:
    """Return the command that runs it in front of the AWS at `upstream`, with nothing broken yet."""
    config = folder / "microburst.yml"
    # JSON is YAML too.
    config.write_text(json.dumps({"upstream": upstream, "port": port, "rules": []}))
    return [script("microburst"), "--config", str(config)]


def address(port: int) -> str:
    """Return its address, by name: in a host with dots it looks for a service, and reads the models of all for 3 s."""
    return f"http://localhost:{port}"
