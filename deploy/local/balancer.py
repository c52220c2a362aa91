"""Stand in for the load balancer's name and two ports: ministack serves everything on one port.

    python -m deploy.local.balancer --endpoint http://127.0.0.1:4566 --name x.elb.amazonaws.com --http 8080 \\
        --https 8443 --certificate certificate.pem --key key.pem

ministack tells load balancers and their listeners apart by the Host header alone: NAME:80 and NAME:443.
"""

import argparse
import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

# Headers of one connection are not passed on. The body is passed on whole, with a length of its own.
_OF_THE_CONNECTION = frozenset(
    ("host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length")
)
_LARGEST_BYTES = 32 * 1024**2


class Front:
    """One port of the load balancer."""

    def __init__(self, session: ClientSession, endpoint: str, host: str) -> None:
        self._session, self._endpoint, self._host = session, endpoint, host

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forward a request and return the response."""
        url = URL(self._endpoint + request.raw_path, encoded=True)
        headers = _passed_on(request.headers)
        headers["Host"] = self._host
        body = await request.read()
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return web.Response(status=answer.status, body=await answer.read(), headers=_passed_on(answer.headers))
        except (ClientError, TimeoutError) as error:
            return web.Response(status=502, text=f"the local AWS did not answer: {error!r}")


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION)


async def serve(endpoint: str, name: str, http: int, https: int, certificate: Path, key: Path) -> None:
    """Serve both ports until cancelled, `https` with `certificate` and its `key` (PEM files)."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    session = ClientSession(
        auto_decompress=False,
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=75),
    )
    async with session:
        for port, listener, context in ((http, 80, None), (https, 443, tls)):
            app = web.Application(client_max_size=_LARGEST_BYTES)
            app.router.add_route("*", "/{path:.*}", Front(session, endpoint, f"{name}:{listener}").handle)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        await asyncio.Event().wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--endpoint", required=True, help="address of ministack")
    parser.add_argument("--name", required=True, help="DNS name of the load balancer")
    parser.add_argument("--http", type=int, required=True, help="port that stands for 80")
    parser.add_argument("--https", type=int, required=True, help="port that stands for 443")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file of the certificate for --https")
    parser.add_argument(
        "--key", type=Path, required=True, help="PEM file of its key, not needed once this is listening"
    )
    given = parser.parse_args()
    asyncio.run(serve(given.endpoint, given.name, given.http, given.https, given.certificate, given.key))


if __name__ == "__main__":
    main()
