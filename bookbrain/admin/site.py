"""What the owner chose for the site: its address, its certificate, and who may sign in."""

import ipaddress
import json
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bookbrain.durable import write_file
from bookbrain.errors import ConfigError, InputError
from bookbrain.server import Layout
from bookbrain.wording import fill

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)+(?!\d+$){_LABEL}")
_EMAIL = re.compile(rf"[A-Za-z0-9._%+-]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}", re.IGNORECASE)
_DIRECTORY = re.compile(r"https://[\w.-]+(?::\d+)?(?:/[\w./~%-]*)?", re.ASCII)
_PUBLIC = ("domain", "acme", "acme_directory", "upstream")
_URL = "https://{}/"
_FILE = re.compile(r"/[\w./@+-]+")


def new_session() -> str:
    """A secret that nobody has had before."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class User:
    """`password` is its bcrypt hash, `session` what the cookie of a signed-in browser carries."""

    name: str
    password: str = field(repr=False)
    session: str = field(default_factory=new_session, repr=False)


@dataclass(frozen=True)
class Site:
    """`acme_directory` "" is Let's Encrypt; `acme_root` is the certificate of another one."""

    domain: str
    email: str = ""
    acme: bool = True
    acme_directory: str = ""
    acme_root: str = ""
    upstream: str = "127.0.0.1:8501"
    users: tuple[User, ...] = ()

    @property
    def url(self) -> str:
        return _URL.format(self.domain)

    def user(self, name: str) -> User | None:
        return next((user for user in self.users if user.name == name), None)


@dataclass(frozen=True)
class Address:
    """What to change of a site; None stays as it is."""

    domain: str | None = None
    email: str | None = None
    acme: bool | None = None
    acme_directory: str | None = None
    acme_root: str | None = None

    @property
    def changes_something(self) -> bool:
        return any(value is not None for value in asdict(self).values())


def site_file(layout: Layout) -> Path:
    return layout.etc / "site.json"


def read_site(layout: Layout) -> Site | None:
    """The site as it was last written; None before the first time.

    Raises ConfigError for a file that is not ours.
    """
    path = site_file(layout)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values.pop("session", None)  # up to 0.9 all users had one in common
        return Site(**values | {"users": tuple(User(**user) for user in values["users"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            fill("{path} cannot be read: {reason}.", path=path, reason=error), "Mend or remove it."
        ) from error


def configured(site: Site | None) -> Site:
    """`site`; raises ConfigError when there is none yet."""
    if site is None:
        raise ConfigError(
            "This server has no address yet.",
            "Give it one: sudo bookbrain-admin site --domain DOMAIN --email EMAIL",
        )
    return site


def write_site(layout: Layout, site: Site) -> None:
    """Keep `site`; only root can read it."""
    values = asdict(site)
    _write(site_file(layout), values, 0o600)
    _write(layout.address, {name: values[name] for name in _PUBLIC}, 0o644)


def read_address(layout: Layout) -> Site | None:
    """The site without its secrets; None before it was written, or where it cannot be read."""
    try:
        return Site(**json.loads(layout.address.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, values: dict[str, object], mode: int) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_file(path, text.encode(), mode)
    path.chmod(mode)


def with_address(site: Site | None, change: Address) -> Site:
    """`site` with its address changed. Raises InputError for what cannot be an address."""
    if site is None and change.domain is None:
        raise InputError("A domain is needed.", "Give it with --domain.")
    changed = {name: value for name, value in asdict(change).items() if value is not None}
    new = replace(site, **changed) if site else Site(**changed)
    new = replace(new, domain=_domain(new.domain, new.acme))
    _check_acme(new)
    return new


def _domain(text: str, acme: bool) -> str:
    """As it stands in a certificate: lower case, other scripts as punycode."""
    try:
        domain = text.lower().encode("idna").decode()
    except UnicodeError:
        domain = ""
    if _DOMAIN.fullmatch(domain):
        return domain
    if domain != "localhost" and not _is_ipv4(domain):
        raise InputError(
            fill("{domain} is not a domain.", domain=text), "Give one like books.example.org."
        )
    if acme:
        raise InputError(
            fill("There are no public certificates for {domain}.", domain=text),
            "Give a domain that leads to this server, or add --no-acme.",
        )
    return domain


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _check_acme(site: Site) -> None:
    if site.acme and not site.email:
        raise InputError(
            "An e-mail address is needed.",
            "Give it with --email: the certificate authority writes to it when something is wrong.",
        )
    if site.email and not _EMAIL.fullmatch(site.email):
        raise InputError(
            fill("{email} is not an e-mail address.", email=site.email), "Check --email."
        )
    if site.acme_directory and not _DIRECTORY.fullmatch(site.acme_directory):
        raise InputError(
            fill("{url} is not the address of an ACME directory.", url=site.acme_directory),
            "It begins with https://.",
        )
    if site.acme_root and not (_FILE.fullmatch(site.acme_root) and Path(site.acme_root).is_file()):
        raise InputError(
            fill("{path} is not a certificate file.", path=site.acme_root),
            "Give the whole path, without blanks, of a file that Caddy can read.",
        )
