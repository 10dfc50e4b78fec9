"""Settings: one frozen object, read once from the environment, a file and the defaults."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bookbrain.declarations import KNOWN_KEYS, credential_of
from bookbrain.errors import ConfigError
from bookbrain.server import with_server_defaults
from bookbrain.values import count, hosts, number, seconds, switch, whole
from bookbrain.wording import fill

SETTINGS_FILE = "bookbrain.env"
KEY_CREDENTIAL = credential_of("OPENAI_API_KEY")
_RERANK_CREDENTIAL = credential_of("BOOKBRAIN_RERANK_API_KEY")

_WEB = re.compile(r"https?://[^\s/?#]+\S*")
# A webhook, a topic of ntfy, a letter; else an address of Apprise, which alone knows all its kinds.
_CHANNEL = re.compile(
    rf"(ntfy\+)?{_WEB.pattern}|mailto:(?!//)[^\s@<>]+@[^\s@<>]+|(?!https?:)[a-z0-9]+://\S+",
    re.ASCII | re.IGNORECASE,
)
_BETWEEN = re.compile(r",(?=\s*(?:[a-z0-9+]+:|,|$))", re.ASCII | re.IGNORECASE)

# Of each OpenAI model: its dimensions, and US dollars per million tokens (list price).
_OPENAI_MODELS = {
    "text-embedding-3-small": (1536, 0.02),
    "text-embedding-3-large": (3072, 0.13),
    "text-embedding-ada-002": (1536, 0.10),
}


@dataclass(frozen=True)
class EmbeddingSettings:
    """Which model embeds, and where. `dimensions` is None when the model decides."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)  # it may have a password
    model: str = "text-embedding-3-small"
    dimensions: int | None = None
    price: float | None = None
    timeout: float = 60.0

    @property
    def enabled(self) -> bool:
        """Whether search by meaning is configured at all."""
        return bool(self.api_key or self.base_url)

    def with_timeout(self, seconds: float) -> "EmbeddingSettings":
        """The same, waiting at most `seconds` for an answer."""
        return replace(self, timeout=min(self.timeout, seconds))

    @property
    def expected_dimensions(self) -> int | None:
        """What every vector must have; None for a model that we do not know."""
        return self.dimensions or _OPENAI_MODELS.get(self.model, (None, None))[0]

    @property
    def dollars_per_million_tokens(self) -> float | None:
        """The price set, else OpenAI's list price; None for a model that we do not know."""
        if self.price is not None:
            return self.price
        return _OPENAI_MODELS.get(self.model, (None, None))[1]


@dataclass(frozen=True)
class RerankSettings:
    """Who orders the best pages anew: nobody without a `url`. `seconds` is all that it may take."""

    url: str | None = field(default=None, repr=False)
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    seconds: float = 0.8


@dataclass(frozen=True)
class NotifySettings:
    """Whom to tell, and in which language; the URLs are secrets. `ping` hears of every check."""

    channels: tuple[str, ...] = field(default=(), repr=False)
    ping: str | None = field(default=None, repr=False)
    language: Literal["en", "ko"] = "en"


@dataclass(frozen=True)
class BackupSettings:
    """Which backups are kept, to whom one is encrypted, and where a second copy goes.

    `keep` counts the newest; of each of the last so many days, weeks and months the newest is kept
    as well.
    """

    keep: int = 4
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    recipient: str | None = None
    copy: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    """Everything that an owner can set. `home` is where the library lives, `file` what was read."""

    home: Path
    embedding: EmbeddingSettings = EmbeddingSettings()
    chroma_url: str | None = field(default=None, repr=False)
    read_timeout: float = 120.0
    read_memory: int = 2048
    fusion: Literal["convex", "rrf"] = "convex"
    vector_weight: float = 0.3
    rerank: RerankSettings = RerankSettings()
    notify: NotifySettings = NotifySettings()
    allowed_hosts: tuple[str, ...] = ()  # names that lead to the app, beside those it knows
    log_queries: bool = False
    log_budget_mb: int = 200
    backup: BackupSettings = BackupSettings()
    file: Path | None = field(default=None, compare=False)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The environment over a settings file over the defaults.

    The file is $BOOKBRAIN_SETTINGS, else `bookbrain.env` in the library's folder.
    Raises ConfigError, naming the setting, for a value that cannot be used.
    """
    env = with_server_defaults(os.environ) if environ is None else dict(environ)
    home = library_home(env)
    file = Path(env.get("BOOKBRAIN_SETTINGS") or home / SETTINGS_FILE)
    values = _read_settings_file(file) | {k: v for k, v in env.items() if v}
    embedding = EmbeddingSettings(
        api_key=read_credential(KEY_CREDENTIAL, home, env) or values.get("OPENAI_API_KEY"),
        base_url=values.get("OPENAI_BASE_URL"),
        model=values.get("BOOKBRAIN_EMBEDDING_MODEL", EmbeddingSettings.model),
        dimensions=whole(values, "BOOKBRAIN_EMBEDDING_DIMENSIONS"),
        price=number(values, "BOOKBRAIN_EMBEDDING_PRICE"),
        timeout=seconds(values, "BOOKBRAIN_EMBEDDING_TIMEOUT") or EmbeddingSettings.timeout,
    )
    fusion = values.get("BOOKBRAIN_FUSION", "convex")
    if fusion not in ("convex", "rrf"):
        raise ConfigError(
            fill("BOOKBRAIN_FUSION is {value!r}.", value=fusion), "Set it to convex or rrf."
        )
    weight = number(values, "BOOKBRAIN_VECTOR_WEIGHT")
    if weight is not None and weight > 1:
        raise ConfigError(
            fill("BOOKBRAIN_VECTOR_WEIGHT is {value}.", value=weight), "Set it between 0 and 1."
        )
    return Settings(
        home=home,
        embedding=embedding,
        chroma_url=values.get("CHROMA_URL"),
        read_timeout=seconds(values, "BOOKBRAIN_READ_TIMEOUT") or Settings.read_timeout,
        read_memory=whole(values, "BOOKBRAIN_READ_MEMORY") or Settings.read_memory,
        fusion="rrf" if fusion == "rrf" else "convex",
        vector_weight=Settings.vector_weight if weight is None else weight,
        rerank=_rerank(values, home, env),
        notify=_notify(values),
        allowed_hosts=hosts(values, "BOOKBRAIN_ALLOWED_HOSTS"),
        log_queries=switch(values, "BOOKBRAIN_LOG_QUERIES"),
        log_budget_mb=whole(values, "BOOKBRAIN_LOG_BUDGET_MB") or Settings.log_budget_mb,
        backup=_backup(values),
        file=file,
    )


def _rerank(values: Mapping[str, str], home: Path, env: Mapping[str, str]) -> RerankSettings:
    url = values.get("BOOKBRAIN_RERANK_URL")
    if url and not _WEB.fullmatch(url):
        raise ConfigError("BOOKBRAIN_RERANK_URL is no address.", "Set it to https://…/v1/rerank.")
    return RerankSettings(
        url=url,
        model=values.get("BOOKBRAIN_RERANK_MODEL"),
        api_key=read_credential(_RERANK_CREDENTIAL, home, env)
        or values.get("BOOKBRAIN_RERANK_API_KEY"),
        seconds=seconds(values, "BOOKBRAIN_RERANK_SECONDS") or RerankSettings.seconds,
    )


def _backup(values: Mapping[str, str]) -> BackupSettings:
    return BackupSettings(
        keep=whole(values, "BOOKBRAIN_BACKUP_KEEP") or BackupSettings.keep,
        daily=count(values, "BOOKBRAIN_BACKUP_DAILY"),
        weekly=count(values, "BOOKBRAIN_BACKUP_WEEKLY"),
        monthly=count(values, "BOOKBRAIN_BACKUP_MONTHLY"),
        recipient=values.get("BOOKBRAIN_BACKUP_RECIPIENT"),
        copy=values.get("BOOKBRAIN_BACKUP_COPY"),
    )


def load_notify_settings(environ: Mapping[str, str] | None = None) -> NotifySettings:
    """Those of notifications, where another setting may be just what is wrong."""
    env = with_server_defaults(os.environ) if environ is None else dict(environ)
    file = Path(env.get("BOOKBRAIN_SETTINGS") or library_home(env) / SETTINGS_FILE)
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    entries = [line.partition("=") for line in lines]
    values = {key.strip(): value.strip() for key, _, value in entries if value.strip()}
    return _notify(values | {k: v for k, v in env.items() if v})


def _notify(values: Mapping[str, str]) -> NotifySettings:
    channels = tuple(
        filter(None, map(str.strip, _BETWEEN.split(values.get("BOOKBRAIN_NOTIFY", ""))))
    )
    for place, channel in enumerate(channels, start=1):
        if not _CHANNEL.fullmatch(channel):  # it may be a secret: never shown
            raise ConfigError(
                fill("Channel {number} of BOOKBRAIN_NOTIFY is of no known kind.", number=place),
                "Use https://…, ntfy+https://…, mailto:… or an address of Apprise, "
                "with commas between them.",
            )
    ping = values.get("BOOKBRAIN_PING")
    if ping and not _WEB.fullmatch(ping):
        raise ConfigError("BOOKBRAIN_PING is no address.", "It begins with https://.")
    language = values.get("BOOKBRAIN_LANGUAGE", "en")
    if language not in ("en", "ko"):
        raise ConfigError(
            fill("BOOKBRAIN_LANGUAGE is {value!r}.", value=language), "Set it to en or ko."
        )
    return NotifySettings(channels, ping, "ko" if language == "ko" else "en")


def library_home(env: Mapping[str, str]) -> Path:
    """$BOOKBRAIN_HOME, else `bookbrain` in the user's data directory."""
    if env.get("BOOKBRAIN_HOME"):
        return Path(os.path.expanduser(env["BOOKBRAIN_HOME"])).absolute()
    data = env.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):
        data = str(Path(env.get("HOME") or Path.home()) / ".local" / "share")
    return Path(data) / "bookbrain"


def read_credential(name: str, home: Path, env: Mapping[str, str]) -> str | None:
    """The secret `name`: from systemd's credentials, else from `credentials/` in the library."""
    for folder in (env.get("CREDENTIALS_DIRECTORY"), home / "credentials"):
        if folder and (path := Path(folder) / name).is_file():
            try:
                return path.read_text(encoding="utf-8").strip() or None
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    fill("{path} cannot be read: {reason}.", path=path, reason=error), "Mend it."
                ) from error
    return None


def _read_settings_file(path: Path) -> dict[str, str]:
    """Plain KEY=value lines, as systemd reads them; no quotes, no expansion."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            fill("{path} cannot be read: {reason}.", path=path, reason=error), "Mend or remove it."
        ) from error
    values = {}
    for place, line in enumerate(lines, start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        key, equals, value = entry.partition("=")
        if not equals:  # it may be the key itself: never shown
            raise ConfigError(
                fill("{path}, line {number} is not `KEY=value`.", path=path, number=place),
                "Mend it.",
            )
        if key.strip() not in KNOWN_KEYS:
            raise ConfigError(
                fill(
                    "{path}, line {number}: {key!r} is not a setting.",
                    path=path,
                    number=place,
                    key=key.strip(),
                ),
                fill("The settings are: {names}.", names=", ".join(KNOWN_KEYS)),
            )
        if value.strip():
            values[key.strip()] = value.strip()
    return values
