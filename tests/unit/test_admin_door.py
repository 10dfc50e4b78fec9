"""What the doctor says of Caddy's admin API and of who guesses passwords."""

import json

import pytest

from bookbrain.checks.network import check_admin, check_guessing, read_banned
from bookbrain.reports import State
from bookbrain.server.caddyfile import is_chosen, listen_address

STATUS = """\
Status for the jail: bookbrain
|- Filter
|  |- Currently failed:	1
|  |- Total failed:	86
|  `- Journal matches:	_SYSTEMD_UNIT=caddy.service
`- Actions
   |- Currently banned:	2
   |- Total banned:	4
   `- Banned IP list:	192.0.2.7 2001:db8:1:2::
"""


@pytest.mark.parametrize(
    ("admin", "listen", "chosen"),
    [
        (None, "localhost:2019", False),
        ({"config": {"persist": False}}, "localhost:2019", False),
        ({"disabled": True}, "", True),
        ({"listen": "unix//x/admin.sock"}, "unix//x/admin.sock", True),
        ({"listen": ":2020"}, ":2020", True),
        ({"origins": ["x"]}, "localhost:2019", True),
    ],
)
def test_where_caddy_is_talked_to(admin: object, listen: str, chosen: bool) -> None:
    config = json.dumps({"admin": admin} if admin else {})
    assert (listen_address(config), is_chosen(config)) == (listen, chosen)


def test_who_may_have_caddy_do_what() -> None:
    assert check_admin("unix//var/lib/caddy/admin.sock", same=True).state is State.OK
    for listen in ("localhost:2019", "127.0.0.1:2020", ":2019", "tcp/localhost:2019"):
        check = check_admin(listen, same=True)
        assert (check.state, listen in check.seen) == (State.WARN, True)
        assert "site --renew" in check.remedy
    assert "restart caddy" in check_admin("", same=False).remedy
    assert "reload caddy" in check_admin("unix//x", same=False).remedy


def test_who_is_refused() -> None:
    assert read_banned(STATUS) == ["192.0.2.7", "2001:db8:1:2::"]
    assert read_banned(STATUS.partition("192")[0]) == []
    check = check_guessing(read_banned(STATUS), told=True)
    assert check.state is State.OK
    assert "192.0.2.7, 2001:db8:1:2::" in check.seen
    assert "unbanip" in check.seen
    assert check_guessing([], told=True).state is State.OK
    assert "restart fail2ban" in check_guessing(None, told=True).remedy
    assert "Caddyfile.new" in check_guessing([], told=False).remedy
