"""What the owner chose for the site: its address, its certificate, and who may sign in."""

import base64
import ipaddress
import json
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bookbrain.errors import ConfigError, InputError
from bookbrain.files import write_file
from bookbrain.messages import fill
from bookbrain.paths import Layout

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


def read_site(layout: Layout) -> Site | None:
    """The site as it was last written; None before the first time.

    Raises ConfigError for a file that is not ours.
    """
    path = layout.site
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
    _write(layout.site, values, 0o600)
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


_COST = 10  # a guess costs a small server 0.05 s of CPU; of bcrypt's usual 14 it would be 1 s
# Who has an unknown name is compared with this user's password, and nobody knows one that fits: as
# slowly as the others. No user can have the name; with its ":" it is whole in base64, so that the
# credentials of anybody can follow it.
NOBODY = User("!none", f"$2b${_COST}${'.' * 53}", session="")
_MOST_BYTES = 72  # what follows, bcrypt does not look at
_LEAST_CHARACTERS = 8
_NAME = re.compile(r"(?!import$)[A-Za-z0-9._@-]{1,64}")  # "import" is a word of the Caddyfile
_CREDENTIALS = "^(?i:basic) (?:{})"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def check_new_name(site: Site, name: str) -> None:
    """Raises InputError for a name that cannot be, or that somebody has."""
    if not _NAME.fullmatch(name):
        raise InputError(
            fill("{name} cannot be a user's name.", name=name),
            "Use letters, digits and the signs . _ @ - only.",
        )
    if site.user(name):
        raise InputError(
            fill("There is a user {name} already.", name=name),
            fill("To change the password: sudo bookbrain-admin users passwd {name}", name=name),
        )


def check_known_name(site: Site, name: str) -> None:
    """Raises InputError for the name of nobody."""
    if not site.user(name):
        raise InputError(
            fill("There is no user {name}.", name=name),
            "`sudo bookbrain-admin users list` lists them.",
        )


def with_user(site: Site, name: str, password: str) -> Site:
    """`site` with one user more."""
    check_new_name(site, name)
    return replace(site, users=(*site.users, User(name, _hashed(password))))


def with_password(site: Site, name: str, password: str) -> Site:
    """`site` with a new password for `name`, who is not signed in any more."""
    check_known_name(site, name)
    new = User(name, _hashed(password))
    users = tuple(new if user.name == name else user for user in site.users)
    return replace(site, users=users)


def without_user(site: Site, name: str) -> Site:
    """`site` without `name`, who is not signed in any more. The last user cannot go."""
    check_known_name(site, name)
    if len(site.users) == 1:
        raise InputError(
            fill("{name} is the only user; without one nobody could sign in.", name=name),
            "Add another user first: sudo bookbrain-admin users add NAME",
        )
    return replace(site, users=tuple(user for user in site.users if user.name != name))


def _hashed(password: str) -> str:
    if len(password) < _LEAST_CHARACTERS:
        raise InputError(
            fill("The password is too short: {count} characters.", count=len(password)),
            fill("Use at least {count}.", count=_LEAST_CHARACTERS),
        )
    if len(password.encode()) > _MOST_BYTES:
        raise InputError(
            fill("The password is too long: {count} bytes.", count=len(password.encode())),
            fill("Use {count} at most; one Korean character takes 3.", count=_MOST_BYTES),
        )
    if not password.isprintable():
        raise InputError("The password has characters that cannot be typed.", "Use others.")
    import bcrypt  # noqa: PLC0415  # only a server has it

    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST)).decode()


def credentials_pattern(users: tuple[User, ...]) -> str:
    """The regular expression (RE2) of what `Authorization` is for these users, with any password.

    It fits exactly the base64 texts (RFC 4648) that begin with `name:` of one of them.
    """
    # Without a user nothing may fit: "!" is not in base64.
    return _CREDENTIALS.format("|".join(_encoded_start(user.name) for user in users) or "!")


def sessions_pattern(users: tuple[User, ...]) -> str:
    """The regular expression (RE2) of the sessions of these users; it fits nothing without one."""
    return "|".join(user.session for user in users) or r"[^\d\D]"


def encoded_nobody() -> str:
    """How the credentials of `NOBODY` begin."""
    return base64.b64encode(f"{NOBODY.name}:".encode()).decode()


def _encoded_start(name: str) -> str:
    start = f"{name}:".encode()
    whole, bits = divmod(8 * len(start), 6)
    known = base64.b64encode(start).decode()
    fixed = known[:whole].replace("+", "[+]")
    if not bits:
        return fixed
    first = _BASE64.index(known[whole])  # its lower bits are 0 here: they belong to the password
    return f"{fixed}[{_BASE64[first : first + 2 ** (6 - bits)]}]"
