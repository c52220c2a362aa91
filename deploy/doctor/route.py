"""Whether a worker reaches `/results` through the load balancer, and whether the site knows its signature."""

import urllib3

from deploy import environment
from deploy.doctor.findings import Verdict, failed, ok
from deploy.doctor.place import Place
from detection import callback

# No prediction has it: ids are hexadecimal. A signed call is answered by 404, after the signature was verified.
_NOBODY = "doctor"
_TIMEOUT = urllib3.Timeout(connect=3, read=8)


def check(place: Place) -> Verdict:
    """Call `/results` as a stranger, then as a worker."""
    url = f"{environment.of(place.prefix)['POLYBOT_URL']}/results?predictionId={_NOBODY}"
    signature = callback.sign(_NOBODY, place.secret("RESULTS_KEY"))
    try:
        return judge(_status(url, {}), _status(url, {callback.SIGNATURE_HEADER: signature}), url)
    except urllib3.exceptions.HTTPError as error:
        return failed(f"{url} does not answer: {error}", "See `targets`: does the load balancer have healthy sites?")


def judge(stranger: int, worker: int, url: str) -> Verdict:
    """Judge the status that each got."""
    seen = f"{url}: {stranger} without a signature, {worker} with one"
    match stranger, worker:
        case 403, 404:
            return ok(seen)
        case (502 | 503 | 504, _) | (_, 502 | 503 | 504):
            return failed(seen, "The load balancer finds no site that answers: see `targets`, and the sites' logs.")
        case 404, 404:
            return failed(seen, "The listener on port 80 lacks the rule of /results: run `manage.py provision`.")
        case 403, 403:
            return failed(
                seen, "The sites have another RESULTS_KEY, or a clock that is wrong: see `clock`, restart the sites."
            )
        case 400, _:
            return failed(seen, "The sites do not know the load balancer's name: see DJANGO_ALLOWED_HOSTS.")
        case 200 | 409, _:
            return failed(seen, "A site answers without a signature: it does not run this code. Bake and roll it out.")
    return failed(seen, "Expected are 403 and 404: read the sites' logs.")


def _status(url: str, headers: dict[str, str]) -> int:
    answer = urllib3.request("GET", url, headers=headers, timeout=_TIMEOUT, retries=False, redirect=False)
    return int(answer.status)
