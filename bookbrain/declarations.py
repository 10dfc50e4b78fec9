"""Every setting, declared once; what is secret in settings is left out by this declaration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting. A `secret` one may also be in the file `credential`, which systemd gives to the
    `units` that need it, and to no other."""

    name: str
    secret: bool = False
    credential: str = ""
    units: tuple[str, ...] = ()


SETTINGS = (
    Setting(
        "OPENAI_API_KEY", secret=True, credential="openai-api-key",
        units=("bookbrain", "bookbrain-ingest", "bookbrain-health"),
    ),
    Setting("OPENAI_BASE_URL"),
    Setting("CHROMA_URL"),
    Setting("BOOKBRAIN_EMBEDDING_MODEL"),
    Setting("BOOKBRAIN_EMBEDDING_DIMENSIONS"),
    Setting("BOOKBRAIN_EMBEDDING_PRICE"),
    Setting("BOOKBRAIN_EMBEDDING_TIMEOUT"),
    Setting("BOOKBRAIN_READ_TIMEOUT"),
    Setting("BOOKBRAIN_READ_MEMORY"),
    Setting("BOOKBRAIN_FUSION"),
    Setting("BOOKBRAIN_VECTOR_WEIGHT"),
    Setting("BOOKBRAIN_RERANK_URL"),
    Setting("BOOKBRAIN_RERANK_MODEL"),
    Setting(
        "BOOKBRAIN_RERANK_API_KEY", secret=True, credential="rerank-api-key", units=("bookbrain",)
    ),
    Setting("BOOKBRAIN_RERANK_SECONDS"),
    Setting("BOOKBRAIN_ALLOWED_HOSTS"),
    Setting("BOOKBRAIN_NOTIFY", secret=True),
    Setting("BOOKBRAIN_PING", secret=True),
    Setting("BOOKBRAIN_LANGUAGE"),
    Setting("BOOKBRAIN_LOG_QUERIES"),
    Setting("BOOKBRAIN_LOG_BUDGET_MB"),
    Setting("BOOKBRAIN_BACKUP_KEEP"),
    Setting("BOOKBRAIN_BACKUP_DAILY"),
    Setting("BOOKBRAIN_BACKUP_WEEKLY"),
    Setting("BOOKBRAIN_BACKUP_MONTHLY"),
    Setting("BOOKBRAIN_BACKUP_RECIPIENT"),
    Setting("BOOKBRAIN_BACKUP_COPY"),
)  # fmt: skip
KNOWN_KEYS = tuple(setting.name for setting in SETTINGS)

_SECRET = {setting.name for setting in SETTINGS if setting.secret}
_IN_URL = re.compile(r"(?<=://)\S*@")  # a user, mostly with a password
_KEY_IN_VALUE = re.compile(r"://\S*[@?]|(pass|secret|token|key)\w*\s*[=:]", re.IGNORECASE)


def credential_of(name: str) -> str:
    """The file that the secret of this setting may be in."""
    return next(setting.credential for setting in SETTINGS if setting.name == name)


def holds_secret(name: str, value: str) -> bool:
    """Whether nobody else may see the value of this setting: it is one, or has one in it."""
    return name in _SECRET or bool(_KEY_IN_VALUE.search(value))


def without_secrets(text: str) -> str:
    """Of a settings file what is nobody's secret: settings that are known, and their values.

    A comment may be an old key, and so may a line that cannot be read: none is in it.
    """
    kept = []
    for line in text.splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if equals and name in KNOWN_KEYS:
            kept.append(f"#{name}=" if holds_secret(name, value) else f"{name}={value}")
    return "".join(f"{line}\n" for line in kept)


def environment_without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that needs none of our secrets."""
    return {
        name: value
        for name, value in environ.items()
        if name != "CREDENTIALS_DIRECTORY"
        and not (name in KNOWN_KEYS and holds_secret(name, value))
    }


def without_passwords(text: str) -> str:
    """A text that is shown or logged, without the users and passwords in its addresses."""
    return _IN_URL.sub("…@", text) if "://" in text else text
