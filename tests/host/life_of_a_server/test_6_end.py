"""Oracle's firewall, and the end: nothing of ours is left, and what is not ours still works."""

from pathlib import Path

import pytest
from host.machine import CHECKOUT
from host.server import DOMAIN, Server

pytestmark = pytest.mark.timeout(600)

# What Oracle's images of Ubuntu load, in iptables-save's words.
RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
OTHER_SITE = f"""
other.{DOMAIN} {{
	tls internal
	respond "the other site"
}}
"""


def chain(server: Server) -> str:
    return server.run("iptables -S INPUT")


def test_an_other_site_of_the_owner(server: Server) -> None:
    file = server.host.root / "etc/caddy/Caddyfile"
    file.write_text(file.read_text() + OTHER_SITE)
    server.run("systemctl reload caddy")
    assert other_site(server)
    server.wait("the site", server.is_up)


def other_site(server: Server) -> bool:
    """Whether it answers, asked from inside: the firewall is not its matter."""
    name = f"other.{DOMAIN}"
    asked = f"curl -sk --retry 5 --retry-connrefused --resolve {name}:443:127.0.0.1 https://{name}/"
    return server.run(asked) == "the other site"


def test_ports_are_opened_in_front_of_the_reject(server: Server) -> None:
    succeeded = server.host.run(
        "echo iptables-persistent iptables-persistent/autosave_v4 boolean false |"
        " debconf-set-selections; DEBIAN_FRONTEND=noninteractive"
        " apt-get -qq -y install iptables-persistent >&2"
    )
    assert succeeded.returncode == 0, succeeded.stdout
    (server.host.root / "etc/iptables/rules.v4").write_text(RULES)
    server.run("iptables-restore /etc/iptables/rules.v4")
    assert not reachable(server)
    server.install()
    assert server.is_up()
    lines = chain(server).splitlines()
    assert lines.index("-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT") < 5
    assert chain(server).count("bookbrain") == 1
    server.install()
    assert chain(server).count("bookbrain") == 1


def reachable(server: Server) -> bool:
    try:
        return server.is_up()
    except OSError:
        return False


def test_and_after_a_restart(server: Server) -> None:
    server.host.restart()
    server.wait("the site", server.is_up, 120)
    assert "REJECT" in chain(server)
    assert chain(server).count("bookbrain") == 1


@pytest.mark.only_on("bookworm")
def test_uninstall_keeps_the_library(server: Server) -> None:
    server.run("bookbrain-admin uninstall --yes")
    assert "bookbrain" not in chain(server)
    assert (server.host.root / "etc/iptables/rules.v4").read_text() == RULES
    assert (server.host.root / "var/lib/bookbrain/catalog.sqlite3").exists()
    assert other_site(server)
    assert server.run("systemctl list-units --all --no-legend 'bookbrain*'").strip() == ""
    assert server.run("find /etc/systemd/system -name '*bookbrain*'") == ""
    assert server.run("curl -s 127.0.0.1:2019/config/ | head -c1") == "{"  # as Caddy comes
    server.run("systemctl reload caddy")
    assert server.host.run("systemctl is-active fail2ban").stdout.strip() == "inactive"
    assert "bookbrain" not in server.run("nft list tables; ls /etc/fail2ban/*.d")


def jails(server: Server) -> list[str]:
    """Of a fail2ban that answers."""
    asked = "fail2ban-client status"
    server.wait("fail2ban", lambda: server.host.run(asked).returncode == 0)
    return sorted(server.run(asked).split("Jail list:")[1].replace(",", " ").split())


def own_jails(server: Server) -> Path:
    """The file in which the owner has fail2ban watch sshd."""
    return server.host.root / "etc/fail2ban/jail.local"


@pytest.mark.only_on("bookworm")
def test_another_installation_has_the_library_and_leaves_the_owners_fail2ban(
    server: Server,
) -> None:
    own_jails(server).write_text("[sshd]\nenabled = true\nbackend = systemd\n")
    server.run("systemctl start fail2ban")
    assert jails(server) == ["sshd"]
    server.install()
    server.wait("the jail", lambda: jails(server) == ["bookbrain", "sshd"])
    server.wait("the site", server.is_up)
    assert "one.pdf" in server.books()


def test_purge_leaves_nothing(server: Server) -> None:
    server.run("bookbrain-admin uninstall --purge --yes")
    if own_jails(server).exists():
        assert jails(server) == ["sshd"]
        own_jails(server).unlink()
        server.run("systemctl stop fail2ban")
    before = [line for line in RULES.splitlines() if line.startswith("-A INPUT")]
    assert chain(server).splitlines() == ["-P INPUT ACCEPT", *before]
    found = "find / -xdev -name '*bookbrain*' -not -path '/proc/*' -not -path '/tmp/*'"
    left = server.run(f"{found} -not -path '*/acme*' -not -path '/var/log/*'").split()
    assert left == []
    assert "bookbrain" not in server.run("cat /etc/passwd /etc/group /etc/caddy/Caddyfile")
    assert other_site(server)


def test_cloud_init_accepts_the_user_data(server: Server) -> None:
    server.run("apt-get -qq -y install --no-install-recommends cloud-init >&2", timeout=300)
    data = (CHECKOUT / "packaging/oracle/cloud-init.yaml").read_bytes()
    (server.host.root / "root/user-data.yaml").write_bytes(data)
    assert "Valid" in server.run("cloud-init schema --config-file /root/user-data.yaml")
