"""A package index on this machine, as pip asks for one: it has the wheels of a folder, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deploy import background


@dataclass
class PackageIndex:
    """A running index; `asked` are the paths of all requests."""

    wheels: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def get(self, path: str) -> bytes | None:
        """Return what lies at a path: the links of a project, or a file."""
        self.asked.append(path)
        folder, _, name = path.rstrip("/").rpartition("/")
        if folder == "/simple":
            files = sorted(self.wheels.glob(f"{name}-*.whl"))
            return "".join(f'<a href="/files/{file.name}">{file.name}</a>' for file in files).encode() or None
        file = self.wheels / name
        return file.read_bytes() if file.is_file() else None


@contextmanager
def package_index(wheels: Path) -> Iterator[PackageIndex]:
    """Run an index for the length of the block."""
    index = PackageIndex(wheels)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = index.get(self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "text/html" if self.path.startswith("/simple/") else "application/zip")
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index.url = f"http://127.0.0.1:{server.server_port}/simple"
        serving = background.start(server.serve_forever)
        try:
            yield index
        finally:
            server.shutdown()
            serving.result()
