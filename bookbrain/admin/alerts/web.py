"""POST to a server somewhere. The home of HTTP that leaves this machine, but for embeddings."""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from bookbrain.elsewhere import run
from bookbrain.wording import fill

_SECONDS = 10.0
_PAUSES = (1.0, 4.0)  # between three tries
_TOO_MANY = 429

Pause = Callable[[float], None]


@dataclass(frozen=True)
class Delivery:
    """What came of telling somebody: `where` has no secret, `seen` is what was answered."""

    where: str
    ok: bool
    seen: str


def post(url: str, body: bytes, headers: Mapping[str, str], pause: Pause) -> Delivery:
    """POST `body`, three times at most; redirects are not followed, certificates are checked."""
    delivery, again = _try(url, body, headers)
    for seconds in _PAUSES:
        if delivery.ok or not again:
            break
        pause(seconds)
        delivery, again = _try(url, body, headers)
    return delivery


def place_of(url: str) -> str:
    """Scheme and host: the rest of such an address is a secret."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest)[0].rpartition('@')[2]}"


def _try(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Delivery, bool]:
    """What came of it, and whether to try again."""
    where = place_of(url)

    async def send() -> httpx.Response:
        """Its status and headers, all in time: httpx counts the seconds of each read anew."""
        async with (
            httpx.AsyncClient(timeout=_SECONDS, verify=ssl.create_default_context()) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as answer,
        ):
            return answer

    try:
        answer = run(send, _SECONDS)
    except (httpx.TimeoutException, TimeoutError):
        return Delivery(
            where, False, fill("It did not answer in {seconds:g} s.", seconds=_SECONDS)
        ), True
    except httpx.ConnectError as error:
        return Delivery(where, False, fill("It cannot be reached: {reason}.", reason=error)), True
    except (httpx.HTTPError, OSError) as error:
        return Delivery(
            where, False, fill("It broke off: {reason}.", reason=type(error).__name__)
        ), True
    except (httpx.InvalidURL, ValueError):
        return Delivery(where, False, "This is no address."), False
    status = answer.status_code
    if answer.is_success:
        return Delivery(where, True, fill("it answered {status}", status=status)), False
    return Delivery(
        where, False, fill("It answered {status}.", status=status)
    ), status == _TOO_MANY or status >= 500
