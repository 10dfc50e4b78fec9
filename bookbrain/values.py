"""What a setting can be: the kinds of values, and how their texts are read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import inf
from typing import Any

from bookbrain.wording import fill

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)
_WEB = re.compile(r"https?://[^\s/?#]+\S*")
# A webhook, a topic of ntfy, a letter; else an address of Apprise, which alone knows all its kinds.
_CHANNEL = re.compile(
    rf"(ntfy\+)?{_WEB.pattern}|mailto:(?!//)[^\s@<>]+@[^\s@<>]+|(?!https?:)[a-z0-9]+://\S+",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Kind:
    """`allowed` is the next step for a text of which `read` raises ValueError, or does not fit.

    A `private` one may have a password in it: it is in no message and in no repr. Of `several`,
    each is read for itself; `between` them is what this pattern says.
    """

    read: Callable[[str], Any]
    fits: Callable[[Any], object] = lambda _: True
    allowed: str = ""
    private: bool = False
    several: bool = False
    between: str = ","


def one_of(first: str, other: str) -> Kind:
    """One of two words."""
    allowed = fill("Set it to {first} or {other}.", first=first, other=other)
    return Kind(str, (first, other).__contains__, allowed)


def _whole(text: str) -> int:
    if not (number := float(text)).is_integer():
        raise ValueError
    return int(number)


def host_name(text: str) -> str:
    """A name or an address, without a port, as browsers write it; "" for what is neither.

    Lower case, other scripts as punycode, an IPv6 address without its brackets.
    """
    bare = text.lower().removesuffix(".")
    in_brackets = bare.startswith("[") and bare.endswith("]")
    try:
        address = ip_address(bare[1:-1] if in_brackets else bare)
    except ValueError:
        return _punycode(bare)
    if isinstance(address, IPv4Address):
        return "" if in_brackets else str(address)
    return str(address.ipv4_mapped or IPv6Address(int(address)))  # without its zone


def _punycode(name: str) -> str:
    try:
        ascii_only = name.encode("idna").decode()
    except UnicodeError:
        return ""
    return ascii_only if _NAME.fullmatch(ascii_only) else ""


TEXT = Kind(str)
ADDRESS = Kind(str, private=True)
NUMBER = Kind(float, lambda given: 0 <= given < inf, "Set it to a number, 0 or more.")
SECONDS = Kind(float, lambda given: 0 < given < inf, "Set it to a number above 0.")
SHARE = Kind(float, lambda given: 0 <= given <= 1, "Set it between 0 and 1.")
WHOLE = Kind(_whole, lambda given: given > 0, "Set it to a whole number above 0.")
COUNT = Kind(_whole, lambda given: given >= 0, "Set it to a whole number, 0 or more.")
SWITCH = Kind({"0": False, "1": True}.get, lambda given: given is not None, "Set it to 0 or 1.")
WEB = Kind(str, _WEB.fullmatch, "Set it to an address like https://…", private=True)
HOSTS = Kind(
    host_name, bool, "Set it to names like books.example.org, without https:// and port.",
    several=True,
)  # fmt: skip
CHANNELS = Kind(
    str, _CHANNEL.fullmatch,
    "Use https://…, ntfy+https://…, mailto:… or an address of Apprise, with commas between them.",
    private=True, several=True, between=r",(?=\s*(?:[a-zA-Z0-9+]+:|,|$))",
)  # fmt: skip
