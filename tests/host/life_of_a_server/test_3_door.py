"""Who gets in: a password, a cookie, and nothing else; and who may have Caddy do what."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from host.server import DOMAIN, NEW_WORD, WORD, Server
from host.site import Site, password

pytestmark = pytest.mark.timeout(1200)


def test_everything_wants_the_password(server: Server) -> None:
    for path in ("/", "/api/search?q=x", "/healthz/../", "/_stcore/health", "/healthz/x"):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"):
            assert server.site.ask(path, method).status == 401, (path, method)
    assert server.site.ask("/healthz", "POST").status == 401
    assert server.site.ask("/healthz").body.decode().strip() in ("ok", "degraded")
    assert server.site.open_websocket() == 401


def test_http_leads_to_https(server: Server) -> None:
    answer = server.site.ask_plainly("/some/where")
    assert answer.status in (301, 308)
    assert answer.headers["location"] == f"https://{DOMAIN}/some/where"


def test_a_wrong_password_is_cheap(server: Server) -> None:
    before = server.cpu("caddy")
    for name in ("alice", "nobody"):
        for number in range(5):
            wrong = password(name, f"wrong {number}")
            assert server.site.ask("/", Authorization=wrong).status == 401
    assert (server.cpu("caddy") - before) / 10 < 0.3


def test_cookie_and_password_change(server: Server) -> None:
    right = password("alice", WORD)
    login = server.site.ask("/", Authorization=right)
    cookie = login.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Strict"} <= set(cookie.split("; "))
    assert "set-cookie" not in server.site.ask("/").headers
    pair = cookie.split(";")[0]
    assert server.site.open_websocket(Cookie=pair) == 101
    (server.host.root / "root/new").write_text(NEW_WORD + "\n")
    server.run("bookbrain-admin users passwd alice --password-file /root/new")
    assert server.site.open_websocket(Cookie=pair) == 401
    assert server.site.ask("/", Authorization=right).status == 401
    assert server.site.ask("/", Authorization=password("alice", NEW_WORD)).status == 200
    server.run("bookbrain-admin users passwd alice --password-file /root/password")


def test_a_token_opens_mcp_alone_until_it_is_removed(server: Server) -> None:
    token = server.run("bookbrain-admin tokens add laptop 2>/dev/null").strip()

    def ask(path: str, word: str = token) -> int:
        return server.site.ask(path, "HEAD", Authorization=f"Bearer {word}").status

    assert ask("/mcp") == 204  # the app, in its sandbox, has read of it
    assert ask("/mcp", f"{token}x") == 401
    assert {ask(path) for path in ("/", "/api/books", "/mcp/token", "/mcp/")} == {401}
    assert server.run("stat -c '%a %U:%G' /etc/bookbrain/tokens.json").strip() == (
        "640 root:bookbrain"
    )
    assert "laptop" in server.run("bookbrain-admin tokens list")
    kept = "find /etc /opt/bookbrain/current /var/lib /var/log /root /run -xdev -type f"
    assert server.run(f"{kept} -exec grep -lF -- {token} {{}} + || true").strip() == ""
    assert token not in server.run("journalctl --no-pager -o verbose --since -10m")
    assert server.host.run("runuser -u nobody -- cat /etc/bookbrain/tokens.json").returncode != 0
    server.run("bookbrain-admin tokens remove laptop")
    assert ask("/mcp") == 401


# Who guesses


def refused(site: Site) -> bool:
    """Whether the firewall lets nobody in from there."""
    try:
        site.ask("/healthz")
    except OSError:
        return True
    return False


def guess(site: Site, name: str = "alice") -> int:
    """Guesses that were answered until no more were; a hundred at most."""
    for number in range(100):
        with suppress(OSError):
            site.ask("/", Authorization=password(name, f"a wrong one {number}"))
            continue
        return number
    return 100


@contextmanager
def pardoned(server: Server) -> Iterator[None]:
    """Nobody is refused before and after."""
    server.run("fail2ban-client unban --all")
    try:
        yield
    finally:
        server.run("fail2ban-client unban --all")


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_who_guesses_is_refused_and_nobody_else(server: Server, name: str) -> None:
    guesser = f"{server.host.network.subnet}.9".replace("10.77", "10.78")  # not masqueraded
    with server.host.network.neighbours(f"{guesser}/32"), pardoned(server):
        site = replace(server.site, source=guesser)
        kept = site.keep()
        assert kept.ask("/").status == 401
        assert guess(site, name) < 100
        with pytest.raises(OSError):  # refused, reset or not answered
            kept.ask("/")
        assert server.is_up()
        said = server.run("bookbrain-admin doctor || true")
        assert f"refused now: {guesser}" in said
        assert "fail2ban refuses now: 1" in server.run("bookbrain-admin status || true")
        server.run(f"fail2ban-client set bookbrain unbanip {guesser}")
        assert not refused(site)


def test_who_guesses_tokens_is_refused_too(server: Server) -> None:
    guesser = f"{server.host.network.subnet}.9".replace("10.77", "10.78")
    with server.host.network.neighbours(f"{guesser}/32"), pardoned(server):
        site = replace(server.site, source=guesser)
        for number in range(30):
            with suppress(OSError):
                site.ask("/mcp", "POST", Authorization=f"Bearer guess-{number}")
        server.wait("the refusal", lambda: refused(site))


def test_who_does_not_wait_for_the_answer_is_refused_too(server: Server) -> None:
    guesser = f"{server.host.network.subnet}.9".replace("10.77", "10.78")
    with server.host.network.neighbours(f"{guesser}/32"), pardoned(server):
        site = replace(server.site, source=guesser)
        for number in range(30):
            with suppress(OSError):
                site.hang_up(Authorization=password("alice", f"a wrong one {number}"))
        server.wait("the refusal", lambda: refused(site))


def test_a_network_of_ipv6_counts_as_one(server: Server) -> None:
    one, other = (f"{prefix}:{server.host.network.number}:" for prefix in ("fd77", "fd78"))
    ours = [f"{one}:{number}" for number in range(16, 56)]
    addresses = [*(f"{address}/64" for address in ours), f"{other}:9/64"]
    here = (f"{one}:2/64", f"{other}:2/64")
    with server.host.network.neighbours(*addresses, here=here), pardoned(server):
        at = replace(server.site, address=f"{one}:2")
        server.wait("IPv6", lambda: not refused(replace(at, source=ours[0])))
        for address in ours:
            guess_once(replace(at, source=address))
        server.wait("the refusal", lambda: refused(replace(at, source=ours[0])))
        assert refused(replace(at, source=ours[-1]))
        assert not refused(replace(at, address=f"{other}:2", source=f"{other}:9"))


def guess_once(site: Site) -> None:
    with suppress(OSError):
        site.ask("/", Authorization=password("alice", f"wrong from {site.source}"))


def test_who_signs_in_is_not_refused(server: Server) -> None:
    right = password("alice", WORD)
    with pardoned(server):
        cookie = server.site.ask("/", Authorization=right).headers["set-cookie"].split(";")[0]
        for _ in range(25):
            assert server.site.ask("/", Authorization=right).status == 200
            assert server.site.ask("/", Cookie=cookie).status == 200
            assert server.site.ask("/").status == 401
            assert server.site.ask("/", Cookie="bookbrain=of-before").status == 401
        server.run("sleep 3")
        assert not refused(server.site)


def test_the_doctor_says_that_nobody_is_refused(server: Server) -> None:
    server.run("systemctl stop fail2ban")
    try:
        assert "Guessing passwords is not refused" in server.run("bookbrain-admin doctor || true")
        assert "fail2ban does not watch" in server.run("bookbrain-admin status || true")
    finally:
        server.run("systemctl start fail2ban")
    server.wait("fail2ban", lambda: server.host.run("fail2ban-client ping").returncode == 0)
    assert "not refused" not in server.run("bookbrain-admin doctor || true")


def test_ssh_is_as_it_was(server: Server) -> None:
    assert server.run("fail2ban-client status").split("Jail list:")[1].split() == ["bookbrain"]


def test_nobody_else_has_passwords_compared(server: Server) -> None:
    ask = "curl -s -m 5 -o /dev/null -w '%{http_code}' --unix-socket /var/lib/caddy/sign-in.sock x"
    assert server.host.run(ask).stdout == "401"
    for name in ("reader", "bookbrain", "nobody", "www-data"):
        assert server.host.run(f"runuser -u {name} -- {ask}").stdout == "000", name


# Who has Caddy do what

SECRETS = (
    "curl -s -m 5 --unix-socket /var/lib/caddy/admin.sock http://localhost/config/",
    "curl -s -m 5 -H 'Host;' --unix-socket /var/lib/caddy/admin.sock http://localhost/config/",
    *(f"curl -s -m 5 http://{name}:2019/config/" for name in ("127.0.0.1", "[::1]", "localhost")),
    "caddy adapt --config /etc/caddy/Caddyfile",
    "cat /etc/bookbrain/caddy/* /etc/bookbrain/site.json",
    "find /var/lib/caddy /var/log /run -type f -exec cat {} +",
    "systemctl cat caddy.service bookbrain.service; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ",
    "journalctl --no-pager -u caddy",
)


def test_nobody_learns_what_caddy_hides(server: Server) -> None:
    site = json.loads((server.host.root / "etc/bookbrain/site.json").read_text())
    hidden = [user[what] for user in site["users"] for what in ("password", "session")]
    asked = "; ".join(f"{{ {command}; }} 2>&1" for command in SECRETS)
    assert all(word in server.run(SECRETS[1]) for word in hidden)  # root is told
    server.run("useradd -m member && usermod -aG bookbrain member")
    sandbox = "systemd-run --wait --pipe -q -p User=bookbrain -p"
    try:
        for become in (
            "runuser -u reader --", "runuser -u member --", "runuser -u bookbrain --",
            "runuser -u nobody --", "runuser -u www-data --",
            f"{sandbox} PrivateUsers=yes", f"{sandbox} ProtectSystem=strict",
        ):  # fmt: skip
            said = server.host.run(f'{become} bash -c "{asked}"').stdout
            assert [word for word in hidden if word in said] == [], become
    finally:
        server.run("userdel -r member")
    assert [word for word in hidden if word in server.run("journalctl --no-pager -u caddy")] == []


def test_caddy_is_still_reloaded(server: Server) -> None:
    file = server.host.root / "etc/caddy/Caddyfile"
    before, running = file.read_text(), server.main_pid("caddy")
    try:
        file.write_text(before + "\nhttp://more.test {\n\trespond more\n}\n")
        server.run("systemctl reload caddy")
        assert server.run("curl -s -H 'Host: more.test' 127.0.0.1") == "more"
    finally:
        file.write_text(before)
        server.run("systemctl reload caddy")
    assert server.main_pid("caddy") == running
    server.run("systemctl restart caddy && systemctl reload caddy")
    server.wait("the site", server.is_up)


@pytest.mark.only_on("bookworm")
def test_a_server_of_before_comes_over(server: Server) -> None:
    """One session for all, an admin API for all, and no fail2ban."""
    host = server.host.root
    caddyfile, site = host / "etc/caddy/Caddyfile", host / "etc/bookbrain/site.json"
    caddyfile.write_text(re.sub(r"{\n\tadmin unix.*\n}\n\n", "", caddyfile.read_text()))
    values = json.loads(site.read_text())
    for user in values["users"]:
        values["session"] = user.pop("session")
    site.write_text(json.dumps(values))
    server.run("systemctl restart caddy; systemctl disable --now fail2ban")
    server.run("rm -r /etc/fail2ban/*.d/*bookbrain* /opt/bookbrain/placed/etc/fail2ban")
    assert values["users"][0]["password"] in server.run("curl -s 127.0.0.1:2019/config/")
    running = server.main_pid("caddy")
    server.install()
    assert server.main_pid("caddy") == running  # no other site was away
    assert server.host.run("curl -s 127.0.0.1:2019/config/").returncode != 0
    assert server.site.ask("/", Authorization=password("alice", WORD)).status == 200
    assert server.site.ask("/", Cookie=f"bookbrain={values['session']}").status == 401
    assert "bookbrain" in server.run("fail2ban-client status")
    files, running_units = server.files(), server.invocations()
    server.install()
    assert server.invocations() == running_units
    assert {p for p, s in server.files().items() if files.get(p) != s} == set()
