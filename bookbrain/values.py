"""What the text of a setting says. Raises ConfigError, naming it, where it cannot say that."""

from collections.abc import Mapping

from bookbrain.errors import ConfigError


def number(values: Mapping[str, str], key: str) -> float | None:
    """0 or more; None where it is not set."""
    if key not in values:
        return None
    try:
        given = float(values[key])
    except ValueError:
        given = -1.0
    if not 0 <= given < float("inf"):
        raise ConfigError(f"{key} is {values[key]!r}.", "Set it to a number, 0 or more.")
    return given


def switch(values: Mapping[str, str], key: str) -> bool:
    """1 is true; 0, or not set, is false."""
    value = values.get(key, "0")
    if value not in ("0", "1"):
        raise ConfigError(f"{key} is {value!r}.", "Set it to 0 or 1.")
    return value == "1"


def seconds(values: Mapping[str, str], key: str) -> float | None:
    """Above 0; None where it is not set."""
    given = number(values, key)
    if given == 0:
        raise ConfigError(f"{key} is {values[key]!r}.", "Set it to a number above 0.")
    return given


def whole(values: Mapping[str, str], key: str) -> int | None:
    """A whole number above 0; None where it is not set."""
    given = number(values, key)
    if given is not None and (given != int(given) or given == 0):
        raise ConfigError(f"{key} is {values[key]!r}.", "Set it to a whole number above 0.")
    return None if given is None else int(given)


def count(values: Mapping[str, str], key: str) -> int:
    """A whole number; 0 where it is not set."""
    return 0 if values.get(key, "").strip("0") == "" else whole(values, key) or 0
