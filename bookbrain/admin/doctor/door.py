"""Who can have Caddy do what, and whether guessing passwords is refused."""

import re
from collections.abc import Sequence

from bookbrain.admin.asking import output_of
from bookbrain.admin.check import Check, State
from bookbrain.wording import fill

MARK = "X-Refused"  # by which our filter of fail2ban knows a try
_LIST = re.compile(r"Banned IP list:(.*)")


def check_admin(listen: str, same: bool) -> Check:
    """`listen` is where the running Caddy is talked to, `same` whether it works by its files."""
    if not listen:
        return Check(
            "Caddy",
            State.WARN,
            "It takes no changes while it runs: `admin off` is among its options.",
            "Take that out of /etc/caddy/Caddyfile, then: sudo systemctl restart caddy",
        )
    if not listen.startswith("unix/"):
        return Check(
            "Caddy",
            State.WARN,
            fill("Every user of this machine can ask and change it at {listen}.", listen=listen),
            "Take `admin` out of the options in /etc/caddy/Caddyfile, then: "
            "sudo bookbrain-admin site --renew",
        )
    if not same:
        return Check(
            "Caddy",
            State.WARN,
            "It does not work by its files.",
            "sudo systemctl reload caddy; if that fails: sudo systemctl restart caddy",
        )
    return Check("Caddy", State.OK, "it works by its files; only root and itself can change that")


def look_at_banned() -> list[str] | None:
    """Whom fail2ban refuses now; None where it does not watch. Needs root."""
    text = output_of("fail2ban-client", "status", "bookbrain")
    return None if text is None else read_banned(text)


def read_banned(text: str) -> list[str]:
    """The addresses in what `fail2ban-client status bookbrain` prints."""
    return [address for rest in _LIST.findall(text) for address in rest.split()]


def check_guessing(banned: Sequence[str] | None, told: bool) -> Check:
    """`banned` is None where the jail does not run; `told` whether Caddy's log tells of tries."""
    if banned is None:
        return Check(
            "guessing",
            State.WARN,
            "Guessing passwords is not refused: fail2ban does not run, or not for BookBrain.",
            "sudo systemctl restart fail2ban; journalctl -u fail2ban -n 20",
        )
    if not told:
        return Check(
            "guessing",
            State.WARN,
            "fail2ban cannot see who guesses: Caddy works by an older Caddyfile of BookBrain.",
            "Put your changes into /etc/bookbrain/Caddyfile.new and that in place of Caddyfile, "
            "then: sudo systemctl reload caddy",
        )
    if banned:
        return Check(
            "guessing",
            State.OK,
            fill(
                "refused now: {addresses}. To let one in: "
                "sudo fail2ban-client set bookbrain unbanip ADDRESS",
                addresses=", ".join(banned),
            ),
        )
    return Check("guessing", State.OK, "fail2ban refuses who guesses; nobody now")
