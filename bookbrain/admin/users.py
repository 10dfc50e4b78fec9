"""Who may sign in."""

import base64
import re
from dataclasses import replace

from bookbrain.admin.site import Site, User
from bookbrain.errors import InputError
from bookbrain.wording import fill

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
