"""What the text of a setting says. Raises ConfigError, naming it, where it cannot say that."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from bookbrain.errors import ConfigError
from bookbrain.wording import fill

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)


def number(values: Mapping[str, str], key: str) -> float | None:
    """0 or more; None where it is not set."""
    if key not in values:
        return None
    try:
        given = float(values[key])
    except ValueError:
        given = -1.0
    if not 0 <= given < float("inf"):
        raise ConfigError(
            fill("{key} is {value!r}.", key=key, value=values[key]),
            "Set it to a number, 0 or more.",
        )
    return given


def switch(values: Mapping[str, str], key: str) -> bool:
    """1 is true; 0, or not set, is false."""
    value = values.get(key, "0")
    if value not in ("0", "1"):
        raise ConfigError(fill("{key} is {value!r}.", key=key, value=value), "Set it to 0 or 1.")
    return value == "1"


def seconds(values: Mapping[str, str], key: str) -> float | None:
    """Above 0; None where it is not set."""
    given = number(values, key)
    if given == 0:
        raise ConfigError(
            fill("{key} is {value!r}.", key=key, value=values[key]), "Set it to a number above 0."
        )
    return given


def whole(values: Mapping[str, str], key: str) -> int | None:
    """A whole number above 0; None where it is not set."""
    given = number(values, key)
    if given is not None and (given != int(given) or given == 0):
        raise ConfigError(
            fill("{key} is {value!r}.", key=key, value=values[key]),
            "Set it to a whole number above 0.",
        )
    return None if given is None else int(given)


def count(values: Mapping[str, str], key: str) -> int:
    """A whole number; 0 where it is not set."""
    return 0 if values.get(key, "").strip("0") == "" else whole(values, key) or 0


def hosts(values: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Names and addresses with commas between them, each as `host_name` writes it."""
    given = tuple(filter(None, map(str.strip, values.get(key, "").split(","))))
    for one in given:
        if not host_name(one):
            raise ConfigError(
                fill("{key} has {name!r}, which is no name.", key=key, name=one),
                "Set it to names like books.example.org, without https:// and port.",
            )
    return tuple(map(host_name, given))


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
