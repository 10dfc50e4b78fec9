"""Settings: one frozen object, read once from the environment, a file and the defaults."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from bookbrain.errors import ConfigError
from bookbrain.files import open_file
from bookbrain.messages import Filled, fill, message_of
from bookbrain.paths import LibraryPaths, with_server_defaults

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


def one_of(*words: str) -> Kind:
    """One of these words, two or more."""
    first, other = ", ".join(words[:-1]), words[-1]
    allowed = fill("Set it to {first} or {other}.", first=first, other=other)
    return Kind(str, words.__contains__, allowed)


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
T = TypeVar("T")
Group = TypeVar("Group", bound=Any)
KEY_CREDENTIAL = "openai-api-key"
LOCAL = "local/"  # how the names of models begin that run on this machine
_LONGEST_CHOICE = 200  # bytes of the file that names one of them
_CHOICE = re.compile(rf"{LOCAL}[\w.-]+@[0-9a-f]{{8}}", re.ASCII)
# Of each OpenAI model: its dimensions, and US dollars per million tokens (list price).
_OPENAI_MODELS = {
    "text-embedding-3-small": (1536, 0.02),
    "text-embedding-3-large": (3072, 0.13),
    "text-embedding-ada-002": (1536, 0.10),
}
# Of OpenAI's models that read pictures: tokens of a full page's picture as OpenAI counts them, US
# dollars per million tokens of what is sent, and of what is answered (list price).
_VISION_MODELS = {
    "gpt-4.1": (1105, 2.00, 8.00),
    "gpt-4.1-mini": (2488, 0.40, 1.60),
    "gpt-4.1-nano": (3779, 0.10, 0.40),
    "gpt-4o": (1105, 2.50, 10.00),
    "gpt-4o-mini": (36835, 0.15, 0.60),
}
_PICTURE_TOKENS = 3000  # of another model: one for a square of 32 pixels, or of 28
_PROMPT_TOKENS, _ANSWER_TOKENS = 100, 1000  # of a full page, Korean or English
_OPENAI = "https://api.openai.com/v1"
# Of each OpenAI chat model: US dollars per million tokens that it reads and writes (list price).
_OPENAI_CHAT = {
    "gpt-4o": (2.50, 10.00),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4.1": (2.00, 8.00),
    "gpt-4.1-mini": (0.40, 1.60),
    "gpt-4.1-nano": (0.10, 0.40),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is declared of a setting. `meaning` is one sentence, for people.

    A `secret` one may also be in the file `credential`, which systemd gives to the `units` that
    need it, and to no other.
    """

    name: str
    kind: Kind
    default: object
    meaning: str
    secret: bool = False
    credential: str = ""
    units: tuple[str, ...] = ()

    @property
    def default_text(self) -> str:
        """As one would write it; "" where that is nothing."""
        given = self.default
        return f"{given:g}" if isinstance(given, int | float) else str(given or "")


def _setting(name: str, kind: Kind, default: T, meaning: str, **secrecy: Any) -> T:
    """A field of a dataclass, declared; what nobody else may see is not in its repr."""
    setting = Setting(name, kind, default, meaning, **secrecy)
    shown = not (setting.secret or kind.private)
    made: T = field(default=default, repr=shown, metadata={"setting": setting})
    return made


# fmt: off
@dataclass(frozen=True)
class EmbeddingSettings:
    """Which model embeds, and where. `dimensions` is None when the model decides."""

    api_key: str | None = _setting("OPENAI_API_KEY", TEXT, None,
        "the key of the embedding service", secret=True, credential=KEY_CREDENTIAL,
        units=("bookbrain", "bookbrain-ingest", "bookbrain-health"))
    base_url: str | None = _setting("OPENAI_BASE_URL", ADDRESS, None,
        "the address of another service that speaks OpenAI's API")
    model: str = _setting("BOOKBRAIN_EMBEDDING_MODEL", TEXT, "text-embedding-3-small",
        "the model that embeds books and queries")
    dimensions: int | None = _setting("BOOKBRAIN_EMBEDDING_DIMENSIONS", WHOLE, None,
        "fewer dimensions, where the model allows it")
    price: float | None = _setting("BOOKBRAIN_EMBEDDING_PRICE", NUMBER, None,
        "US dollars per million tokens, for the estimate")
    timeout: float = _setting("BOOKBRAIN_EMBEDDING_TIMEOUT", SECONDS, 60.0,
        "seconds to wait for an answer of the embedding service")
    hub_url: str | None = _setting("BOOKBRAIN_HUB_URL", WEB, None,
        "the address of another hub that local models are fetched from")
    local_minutes: float = _setting("BOOKBRAIN_LOCAL_MINUTES", SECONDS, 10.0,
        "minutes after which a local model that nobody asks leaves the memory")
    model_is_set: bool = False  # by the owner: then no choice of `bookbrain embed --local` counts
    offline: bool = False  # nobody is asked, whatever is set

    @property
    def is_local(self) -> bool:
        """Whether a model embeds that runs on this machine."""
        return self.model.startswith(LOCAL)

    @property
    def enabled(self) -> bool:
        """Whether search by meaning is configured at all."""
        return not self.offline and bool(self.is_local or self.api_key or self.base_url)

    def with_timeout(self, seconds: float) -> "EmbeddingSettings":
        """The same, waiting at most `seconds` for an answer."""
        return replace(self, timeout=min(self.timeout, seconds))

    @property
    def expected_dimensions(self) -> int | None:
        """What every vector must have; None for a model that we do not know, or that is local."""
        if self.is_local:
            return None
        return self.dimensions or _OPENAI_MODELS.get(self.model, (None, None))[0]

    @property
    def dollars_per_million_tokens(self) -> float | None:
        """The price set, else OpenAI's list price; None for a model that we do not know."""
        if self.is_local:
            return 0.0
        if self.price is not None:
            return self.price
        return _OPENAI_MODELS.get(self.model, (None, None))[1]


@dataclass(frozen=True)
class ChromaSettings:
    """A Chroma server elsewhere; without a `url` the library has one of its own."""

    url: str | None = _setting("CHROMA_URL", ADDRESS, None,
        "the address of a Chroma server elsewhere")
    token: str | None = _setting("CHROMA_TOKEN", TEXT, None,
        "its token, sent as `X-Chroma-Token` and as `Authorization: Bearer`",
        secret=True, credential="chroma-token",
        units=("bookbrain", "bookbrain-ingest", "bookbrain-health"))
    tenant: str = _setting("CHROMA_TENANT", TEXT, "default_tenant", "the tenant there")
    database: str = _setting("CHROMA_DATABASE", TEXT, "default_database",
        "the tenant's database that has BookBrain's collections")


@dataclass(frozen=True)
class VisionSettings:
    """The model that reads scanned pages; its address and key are those of `EmbeddingSettings`."""

    model: str = _setting("BOOKBRAIN_OCR_MODEL", TEXT, "gpt-4.1-mini",
        "the model that reads pictures of pages, where BOOKBRAIN_OCR is `vision`")
    timeout: float = _setting("BOOKBRAIN_OCR_TIMEOUT", SECONDS, 120.0,
        "seconds that it may take for a page")

    def estimate(self, pages: int) -> tuple[int, float | None]:
        """About how many tokens so many full pages are, and US dollars; None for a model that we
        do not know."""
        picture = _VISION_MODELS.get(self.model, (_PICTURE_TOKENS,))[0]
        sent, answered = pages * (picture + _PROMPT_TOKENS), pages * _ANSWER_TOKENS
        return sent + answered, self.dollars(sent, answered)

    def dollars(self, sent: int, answered: int) -> float | None:
        """What so many tokens cost; None for a model that we do not know."""
        if self.model not in _VISION_MODELS:
            return None
        _, per_sent, per_answered = _VISION_MODELS[self.model]
        return (sent * per_sent + answered * per_answered) / 1e6


@dataclass(frozen=True)
class RerankSettings:
    """Who orders the best pages anew: nobody without a `url`. `seconds` is all that it may take."""

    url: str | None = _setting("BOOKBRAIN_RERANK_URL", WEB, None,
        "the address of a reranker, which orders the best pages anew")
    model: str | None = _setting("BOOKBRAIN_RERANK_MODEL", TEXT, None,
        "the reranker's model")
    api_key: str | None = _setting("BOOKBRAIN_RERANK_API_KEY", TEXT, None,
        "the reranker's key", secret=True, credential="rerank-api-key", units=("bookbrain",))
    seconds: float = _setting("BOOKBRAIN_RERANK_SECONDS", SECONDS, 0.8,
        "seconds that the reranker may take of a search, in all")


@dataclass(frozen=True)
class ChatSettings:
    """Who answers questions out of the books: nobody without a `model`. Of the seconds, `first` are
    those to its first word, `pause` those between two, `seconds` those of a whole answer."""

    model: str | None = _setting("BOOKBRAIN_CHAT_MODEL", TEXT, None,
        "the model that answers questions out of the books; none: `bookbrain ask` is off")
    url: str | None = _setting("BOOKBRAIN_CHAT_URL", WEB, None,
        "the address of its service, where that is not the one of the embeddings")
    api_key: str | None = _setting("BOOKBRAIN_CHAT_KEY", TEXT, None,
        "its key, where that is not OPENAI_API_KEY, which goes to its own service only",
        secret=True, credential="chat-api-key", units=("bookbrain",))
    price: float | None = _setting("BOOKBRAIN_CHAT_PRICE", NUMBER, None,
        "US dollars per million tokens that it reads")
    price_written: float | None = _setting("BOOKBRAIN_CHAT_PRICE_WRITTEN", NUMBER, None,
        "US dollars per million tokens that it writes")
    budget: float | None = _setting("BOOKBRAIN_CHAT_BUDGET", NUMBER, None,
        "US dollars that answers may cost in a month (UTC)")
    window: int = _setting("BOOKBRAIN_CHAT_WINDOW", WHOLE, 16384,
        "tokens that the model can read and write at once")
    first: float = _setting("BOOKBRAIN_CHAT_FIRST", SECONDS, 60.0,
        "seconds to wait for the first word of an answer")
    pause: float = _setting("BOOKBRAIN_CHAT_PAUSE", SECONDS, 20.0,
        "longest pause between two words of an answer, in seconds")
    seconds: float = _setting("BOOKBRAIN_CHAT_SECONDS", SECONDS, 180.0,
        "seconds that a whole answer may take")

    @property
    def prices(self) -> tuple[float, float] | None:
        """US dollars per million tokens read and written; None where they are not known."""
        read, written = _OPENAI_CHAT.get(self.model or "", (None, None))
        read = read if self.price is None else self.price
        written = written if self.price_written is None else self.price_written
        return None if read is None or written is None else (read, written)

    def connected(self, embedding: EmbeddingSettings) -> "ChatSettings":
        """The same with an address, and with the key that goes there.

        A key without an address of its own goes where the owner's other texts go. OPENAI_API_KEY
        goes to another service in no case: scheme, host and port must be those of its own.
        """
        usual = embedding.base_url or _OPENAI
        url = self.url or usual
        own = origin(usual)
        shared = embedding.api_key if own and origin(url) == own else None
        return replace(self, url=url, api_key=self.api_key or shared)


def origin(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an address of the web; None for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


@dataclass(frozen=True)
class NotifySettings:
    """Whom to tell, and in which language; the URLs are secrets. `ping` hears of every check."""

    channels: tuple[str, ...] = _setting("BOOKBRAIN_NOTIFY", CHANNELS, (),
        "who hears of trouble on a server, and of its end; commas between them", secret=True)
    ping: str | None = _setting("BOOKBRAIN_PING", WEB, None,
        "an address that is called after every check of a server", secret=True)
    language: Literal["en", "ko"] = _setting("BOOKBRAIN_LANGUAGE", one_of("en", "ko"), "en",
        "the language of notifications: `en` or `ko`")


@dataclass(frozen=True)
class BackupSettings:
    """Which backups are kept, to whom one is encrypted, and where a second copy goes."""

    keep: int = _setting("BOOKBRAIN_BACKUP_KEEP", WHOLE, 4,
        "how many of the newest backups are kept")
    daily: int = _setting("BOOKBRAIN_BACKUP_DAILY", COUNT, 0,
        "beside these, the newest backup of each of the last so many days")
    weekly: int = _setting("BOOKBRAIN_BACKUP_WEEKLY", COUNT, 0, "the same for weeks")
    monthly: int = _setting("BOOKBRAIN_BACKUP_MONTHLY", COUNT, 0, "the same for months")
    recipient: str | None = _setting("BOOKBRAIN_BACKUP_RECIPIENT", TEXT, None,
        "to whom `bookbrain-admin backup --encrypt` encrypts")
    copy: str | None = _setting("BOOKBRAIN_BACKUP_COPY", ADDRESS, None,
        "a second place for each backup")


@dataclass(frozen=True)
class Settings:
    """Everything that an owner can set. `home` is where the library lives, `file` what was read."""

    home: Path
    embedding: EmbeddingSettings = EmbeddingSettings()
    chroma: ChromaSettings = ChromaSettings()
    read_timeout: float = _setting("BOOKBRAIN_READ_TIMEOUT", SECONDS, 120.0,
        "longest pause in reading a PDF, in seconds")
    read_memory: int = _setting("BOOKBRAIN_READ_MEMORY", WHOLE, 2048,
        "most memory for reading a PDF, in MB")
    ocr: Literal["tesseract", "vision", "off"] = _setting("BOOKBRAIN_OCR",
        one_of("tesseract", "vision", "off"), "tesseract",
        "what reads scanned pages: `tesseract`, `vision` (then a model as well, if you say so), "
        "or `off`")
    vision: VisionSettings = VisionSettings()
    fusion: Literal["convex", "rrf"] = _setting("BOOKBRAIN_FUSION", one_of("convex", "rrf"),
        "convex", "how the legs are mixed: `convex` or `rrf`")
    vector_weight: float | None = _setting("BOOKBRAIN_VECTOR_WEIGHT", SHARE, None,
        "the share of the vector leg, from 0 to 1: 0 is only keywords, 1 only meaning")
    rerank: RerankSettings = RerankSettings()
    chat: ChatSettings = ChatSettings()
    notify: NotifySettings = NotifySettings()
    allowed_hosts: tuple[str, ...] = _setting("BOOKBRAIN_ALLOWED_HOSTS", HOSTS, (),
        "more names that lead to the app, with commas between them")
    log_queries: bool = _setting("BOOKBRAIN_LOG_QUERIES", SWITCH, False,
        "1: a server also logs what is searched for")
    log_budget_mb: int = _setting("BOOKBRAIN_LOG_BUDGET_MB", WHOLE, 200,
        "MB for the monthly archives of a server's logs; the oldest goes first")
    backup: BackupSettings = BackupSettings()
    file: Path | None = field(default=None, compare=False)
# fmt: on


_GROUPS = (
    EmbeddingSettings, ChromaSettings, VisionSettings, RerankSettings, ChatSettings, NotifySettings,
    BackupSettings,
)  # fmt: skip
SETTINGS: tuple[Setting, ...] = tuple(
    one.metadata["setting"]
    for group in (*_GROUPS, Settings)
    for one in fields(group)
    if one.metadata
)
KNOWN_KEYS = tuple(setting.name for setting in SETTINGS)
_SECRET = {setting.name for setting in SETTINGS if setting.secret}


@dataclass(frozen=True, slots=True)
class _Given:
    """The text of a setting, and the place where it stands."""

    text: str
    place: Filled


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The credentials over the environment over a settings file over the defaults.

    The file is $BOOKBRAIN_SETTINGS, else `bookbrain.env` in the library's folder.
    Raises ConfigError, naming the setting and its place, for a value that cannot be used.
    """
    env, home, file = _places(environ)
    given = _of_file(file) | _of_environment(env) | _of_credentials(home, env)
    read = _read(Settings(home=home, file=file), given)
    set_by_owner = "BOOKBRAIN_EMBEDDING_MODEL" in given
    return with_choice(replace(read, embedding=replace(read.embedding, model_is_set=set_by_owner)))


def with_choice(settings: Settings) -> Settings:
    """The same with the model that `bookbrain embed --local` chose, where the owner has set no
    other. Root does not look into a library that is somebody else's."""
    wanted, chosen = settings.embedding, _chosen(settings.home)
    if chosen and (not wanted.model_is_set or chosen.startswith(f"{wanted.model}@")):
        return replace(settings, embedding=replace(wanted, model=chosen))
    return settings


def _chosen(home: Path) -> str:
    with suppress(OSError):
        if os.geteuid() == 0 and home.stat().st_uid != 0:
            return ""
        with open_file(LibraryPaths(home).model_choice) as file:
            chosen = file.read(_LONGEST_CHOICE).decode(errors="replace").strip()
        return chosen if _CHOICE.fullmatch(chosen) else ""
    return ""


def load_notify_settings(environ: Mapping[str, str] | None = None) -> NotifySettings:
    """Those of notifications, where another setting may be just what is wrong."""
    env, _, file = _places(environ)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return _read(NotifySettings(), _of_lines(text, file) | _of_environment(env))


def _places(environ: Mapping[str, str] | None) -> tuple[dict[str, str], Path, Path]:
    """The environment, the library and the settings file."""
    env = with_server_defaults(os.environ) if environ is None else dict(environ)
    home = library_home(env)
    return env, home, Path(env.get("BOOKBRAIN_SETTINGS") or LibraryPaths(home).settings)


def library_home(env: Mapping[str, str]) -> Path:
    """$BOOKBRAIN_HOME, else `bookbrain` in the user's data directory."""
    if env.get("BOOKBRAIN_HOME"):
        return Path(os.path.expanduser(env["BOOKBRAIN_HOME"])).absolute()
    data = env.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):
        data = str(Path(env.get("HOME") or Path.home()) / ".local" / "share")
    return Path(data) / "bookbrain"


def _of_credentials(home: Path, env: Mapping[str, str]) -> dict[str, _Given]:
    return {
        setting.name: _Given(text, fill("the credential {name}", name=setting.credential))
        for setting in SETTINGS
        if setting.credential and (text := read_credential(setting.credential, home, env))
    }


def read_credential(name: str, home: Path, env: Mapping[str, str]) -> str | None:
    """The secret `name`: from systemd's credentials, else from `credentials/` in the library."""
    for folder in (env.get("CREDENTIALS_DIRECTORY"), LibraryPaths(home).credentials):
        if folder and (path := Path(folder) / name).is_file():
            return _text_of(path).strip() or None
    return None


def _of_environment(env: Mapping[str, str]) -> dict[str, _Given]:
    place = message_of("the environment")
    return {name: _Given(env[name], place) for name in KNOWN_KEYS if env.get(name)}


def _text_of(path: Path) -> str:
    """All that is in a file; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            fill("{path} cannot be read: {reason}.", path=path, reason=error), "Mend or remove it."
        ) from error


def _of_file(path: Path) -> dict[str, _Given]:
    """Plain KEY=value lines, as systemd reads them; no quotes, no expansion."""
    text = _text_of(path)
    for line, name, equals, _ in _lines(text, path):
        if not equals:  # it may be the key itself: never shown
            raise ConfigError(fill("{line} is not `KEY=value`.", line=line), "Mend it.")
        if name not in KNOWN_KEYS:
            raise ConfigError(
                fill("{line}: {key!r} is not a setting.", line=line, key=name),
                fill("The settings are: {names}.", names=", ".join(KNOWN_KEYS)),
            )
    return _of_lines(text, path)


def _of_lines(text: str, path: Path) -> dict[str, _Given]:
    return {name: _Given(value, line) for line, name, _, value in _lines(text, path) if value}


def _lines(text: str, path: Path) -> Iterator[tuple[Filled, str, str, str]]:
    """Of each line that is no comment: where it is, its name, the "=" and its value."""
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = map(str.strip, line.partition("="))
        if (name or equals) and not name.startswith("#"):
            place = fill("{path}, line {number}", path=path, number=number)
            yield place, name, equals, value


def _read(group: Group, given: Mapping[str, _Given]) -> Group:
    """A group of settings, and those in it, with what is given."""
    found: dict[str, Any] = {}
    for one in fields(group):
        setting, default = one.metadata.get("setting"), getattr(group, one.name)
        if setting and setting.name in given:
            found[one.name] = _value(setting, given[setting.name])
        elif isinstance(default, _GROUPS):
            found[one.name] = _read(default, given)
    return replace(group, **found)


def _value(setting: Setting, given: _Given) -> Any:
    if not setting.kind.several:
        return _one(setting, given, setting.name)
    entries = filter(None, map(str.strip, re.split(setting.kind.between, given.text)))
    return tuple(
        _one(setting, replace(given, text=text), fill("Entry {n} of {key}", n=n, key=setting.name))
        for n, text in enumerate(entries, start=1)
    )


def _one(setting: Setting, given: _Given, called: str) -> Any:
    """Raises ConfigError, which names it as it is `called`."""
    with suppress(ValueError):
        if setting.kind.fits(value := setting.kind.read(given.text)):
            return value
    seen = _seen(setting, given.text)
    raise ConfigError(
        fill("{key} is {value} in {place}.", key=called, value=seen, place=given.place),
        setting.kind.allowed,
    )


_KEY_IN_VALUE = re.compile(r"://\S*[@?]|(pass|secret|token|key)\w*\s*[=:]", re.IGNORECASE)


def holds_secret(name: str, value: str) -> bool:
    """Whether nobody else may see the value of this setting: it is one, or has one in it."""
    return name in _SECRET or bool(_KEY_IN_VALUE.search(value))


def _seen(setting: Setting, text: str) -> str:
    return "…" if setting.kind.private or holds_secret(setting.name, text) else repr(text)


def without_secrets(text: str) -> str:
    """Of a settings file what is nobody's secret: settings that are known, and their values.

    A comment may be an old key, and so may a line that cannot be read: none is in it.
    """
    return "".join(
        f"#{name}=\n" if holds_secret(name, value) else f"{name}={value}\n"
        for _, name, equals, value in _lines(text, LibraryPaths(Path()).settings)
        if equals and name in KNOWN_KEYS
    )


def environment_without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that needs none of our secrets."""
    return {
        name: value
        for name, value in environ.items()
        if name != "CREDENTIALS_DIRECTORY"
        and not (name in KNOWN_KEYS and holds_secret(name, value))
    }
