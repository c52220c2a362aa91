"""Check that a worker reaches `/results` through the load balancer, and that sites accept its signature."""

import urllib3

from deploy.doctor.findings import Verdict, failed, ok
from deploy.service import Service
from detection.work import callback

# Not a prediction's id, which is hexadecimal: a correctly signed call gets 404.
_NOBODY = "doctor"
_TIMEOUT = urllib3.Timeout(connect=3, read=8)


def check(service: Service) -> Verdict:
    """Call `/results` without a signature, then with one."""
    url = f"{service.environment()['POLYBOT_URL']}/results?predictionId={_NOBODY}"
    signature = callback.sign(_NOBODY, service.secret("RESULTS_KEY"))
    try:
        return judge(_status(url, {}), _status(url, {callback.SIGNATURE_HEADER: signature}), url)
    except urllib3.exceptions.HTTPError as error:
        return failed(f"{url} doesn't answer: {error}", "See `targets`: does the load balancer have healthy sites?")


def judge(stranger: int, worker: int, url: str) -> Verdict:
    """Judge the status that each call got."""
    seen = f"{url}: {stranger} without a signature, {worker} with one"
    match stranger, worker:
        case 403, 404:
            return ok(seen)
        case (502 | 503 | 504, _) | (_, 502 | 503 | 504):
            return failed(seen, "The load balancer has no healthy site: see `targets` and the sites' logs.")
        case 404, 404:
            return failed(seen, "The listener on port 80 lacks the rule for /results: run `manage.py provision`.")
        case 403, 403:
            return failed(
                seen, "The sites have another RESULTS_KEY or a wrong clock: see `clock`, then restart the sites."
            )
        case 400, _:
            return failed(seen, "The sites don't accept the load balancer's name: see DJANGO_ALLOWED_HOSTS.")
        case 200 | 409, _:
            return failed(
                seen, "A site answers without a signature, so it runs other code: bake an image and roll it out."
            )
    return failed(seen, "Expected 403 and 404: read the sites' logs.")


def _status(url: str, headers: dict[str, str]) -> int:
    answer = urllib3.request("GET", url, headers=headers, timeout=_TIMEOUT, retries=False, redirect=False)
    return int(answer.status)
