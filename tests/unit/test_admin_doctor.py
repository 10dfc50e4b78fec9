"""The doctor: what is made of what the machine's programs say, and the command on a made-up one."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.stand_in import StandIn

from bookbrain.admin import main
from bookbrain.checks import network, services
from bookbrain.checks.condition import check_clock
from bookbrain.checks.network import check_firewall, fate_of
from bookbrain.checks.services import Unit
from bookbrain.paths import Layout
from bookbrain.reports import Check, State
from bookbrain.server.access import Address, with_address, write_site
from bookbrain.server.caddy import Machine
from bookbrain.server.probes import Certificate, HttpAnswer, answer_of, chroma_answers, output_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SITE = with_address(None, Address("books.example.org", "owner@example.org"))

# Firewalls, in the words of `iptables -S INPUT`.

ORACLE = """\
-P INPUT ACCEPT
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
"""
OURS = "-A INPUT -p tcp -m multiport --dports 80,443 -m comment --comment bookbrain -j ACCEPT\n"
REJECT = "-A INPUT -j REJECT --reject-with icmp-host-prohibited\n"
OPENED = ORACLE.replace(REJECT, OURS + REJECT)
TOO_LATE = ORACLE + OURS
UFW = """\
-P INPUT DROP
-A INPUT -j ufw-before-logging-input
-A INPUT -j ufw-before-input
-A INPUT -j ufw-after-input
"""
FAIL2BAN = """\
-P INPUT ACCEPT
-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd
-A INPUT -s 203.0.113.9/32 -j DROP
"""


@pytest.mark.parametrize(
    ("text", "fate"),
    [
        ("-P INPUT ACCEPT\n", "open"),
        ("", "open"),
        (ORACLE, "refused"),
        (OPENED, "open"),
        (TOO_LATE, "refused"),
        (UFW, "unclear"),
        (FAIL2BAN, "open"),
        (FAIL2BAN + REJECT, "refused"),
        ("-P INPUT DROP\n", "policy"),
        ("-P INPUT DROP\n" + OURS, "open"),
        ("-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 80:500 -j ACCEPT\n", "open"),
        ("-P INPUT DROP\n-A INPUT -p udp -m udp --dport 443 -j ACCEPT\n", "policy"),
        ("-P INPUT DROP\n-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 443 -j ACCEPT\n", "policy"),
        ("-P INPUT DROP\n-A INPUT -i ens3 -p tcp -m tcp --dport 443 -j ACCEPT\n", "unclear"),
        ("-P INPUT DROP\n-A INPUT ! -i lo -j ACCEPT\n", "unclear"),
        ('-A INPUT -m comment --comment "no -j ACCEPT here" -j DROP\n', "refused"),
        ('-A INPUT -j LOG --log-prefix "in "\n-A INPUT -j DROP\n', "refused"),
        ("-A INPUT -p tcp -m conntrack --ctstate NEW -m tcp --dport 443 -j ACCEPT\n" + REJECT,
         "open"),
        ("-A INPUT -j KUBE-FIREWALL\n" + REJECT, "unclear"),
        ("-A INPUT -j KUBE-FIREWALL\n", "open"),
    ],
)  # fmt: skip
def test_what_a_firewall_does_to_443(text: str, fate: str) -> None:
    assert fate_of(443, text) == fate


def test_findings_on_firewalls() -> None:
    closed = check_firewall("iptables", ORACLE)
    assert closed.state is State.FAIL
    assert "install.sh again" in closed.remedy
    assert "security list" in closed.remedy
    opened = check_firewall("iptables", OPENED)
    assert opened.state is State.OK
    assert "cannot be seen from here" in opened.seen
    assert check_firewall("ip6tables", ORACLE).state is State.WARN
    assert "ufw" in check_firewall("iptables", UFW).remedy
    half = ORACLE.replace("--dport 22", "--dport 443")
    assert check_firewall("iptables", half).state is State.FAIL


# Who listens, in the words of `ss -Hltnp`.

SS = """\
LISTEN 0      4096    127.0.0.1:8502        0.0.0.0:*    users:(("chroma",pid=901,fd=12))
LISTEN 0      2048    127.0.0.1:8501        0.0.0.0:*    users:(("bookbrain",pid=900,fd=7))
LISTEN 0      4096    127.0.0.53%lo:53      0.0.0.0:*    users:(("systemd-resolve",pid=300,fd=15))
LISTEN 0      128           [::]:22            [::]:*    users:(("sshd",pid=400,fd=4))
LISTEN 0      4096             *:80               *:*    users:(("caddy",pid=700,fd=9))
LISTEN 0      4096             *:443              *:*    users:(("caddy",pid=700,fd=8))
"""


def _judged(text: str) -> list[Check]:
    return network.check_listeners(network.read_listeners(text), own=900)


def test_who_listens() -> None:
    assert network.read_listeners(SS)[0] == network.Listener("127.0.0.1", 8502, "chroma", 901)
    assert [listener.is_private for listener in network.read_listeners(SS)] == [
        True, True, True, False, False, False
    ]  # fmt: skip
    assert _judged(SS) == [Check("ports", State.OK, "Caddy listens on 80 and 443")]


@pytest.mark.parametrize(
    ("old", "new", "state", "seen"),
    [
        ('*:80               *:*    users:(("caddy",pid=700', '*:80 *:* users:(("nginx",pid=7',
         "FAIL", "Port 80 is taken by nginx (pid 7), and Caddy needs it."),
        ("*:443 ", "*:444 ", "FAIL", "Nobody listens on port 443."),
        ("127.0.0.1:8502", "0.0.0.0:8502", "FAIL",
         "Port 8502 is open to the network: chroma at 0.0.0.0."),
        ("127.0.0.1:8501        0.0.0.0:*    users:((\"bookbrain\",pid=900",
         "[::1]:9000 [::]:* users:((\"bookbrain\",pid=950", "warn",
         "Another BookBrain listens at [::1]:9000."),
    ],
)  # fmt: skip
def test_who_should_not_listen(old: str, new: str, state: str, seen: str) -> None:
    wrong = [check for check in _judged(SS.replace(old, new)) if check.state is not State.OK]
    assert [(check.state, check.seen) for check in wrong] == [(state, seen)]
    assert wrong[0].remedy


def test_who_listens_may_not_be_told() -> None:
    text = "\n".join(line.split("users:")[0] for line in SS.splitlines())
    assert _judged(text + "\nodd line\n")[0].state is State.OK


# The domain


@pytest.mark.parametrize(
    ("theirs", "ours", "proven", "state"),
    [
        ([], ["192.0.2.7"], False, "FAIL"),
        (["192.0.2.7"], ["10.0.0.5", "192.0.2.7"], False, "ok"),
        (["192.0.2.7", "2001:db8::7"], ["2001:db8::7"], False, "ok"),
        (["192.0.2.7"], ["10.0.0.5", "fe80::1%ens3"], True, "ok"),
        (["192.0.2.7"], ["10.0.0.5", "fe80::1%ens3"], False, "warn"),
        (["192.0.2.7"], ["8.8.8.8"], False, "warn"),
        (["127.0.1.1"], ["127.0.1.1"], False, "warn"),
        (["192.0.2.7"], [], False, "warn"),
    ],
)
def test_where_the_domain_leads(
    theirs: list[str], ours: list[str], proven: bool, state: str
) -> None:
    check = network.check_name("books.example.org", theirs, ours, proven)
    assert check.state == state
    assert ("NAT" in check.seen) == (state == "warn" and ours != ["8.8.8.8"])


# The certificate

# What Caddy 2.6 logs when the domain leads nowhere.
TROUBLE = (
    "HTTP 400 urn:ietf:params:acme:error:dns - DNS problem: NXDOMAIN looking up A for "
    "books.example.org"
)
JOURNAL = "\n".join(
    [
        "not JSON {",
        '"a text"',
        '{"level":"error"}',
        json.dumps({"level": "error", "ts": 1.7, "logger": "tls.obtain", "msg": "will retry",
                    "error": "[books.example.org] Obtain: [books.example.org] solving"}),
        json.dumps({"level": "error", "ts": 1.8, "logger": "tls.obtain",
                    "msg": "could not get certificate from issuer",
                    "identifier": "books.example.org",
                    "issuer": "acme-v02.api.letsencrypt.org-directory", "error": TROUBLE}),
        json.dumps({"level": "error", "logger": "tls.obtain", "identifier": "other.example.org",
                    "error": "of another site"}),
        json.dumps({"level": "error", "logger": "http.log.error", "error": "no upstream"}),
        json.dumps({"level": "info", "logger": "tls.obtain", "msg": "acquiring lock"}),
    ]
)  # fmt: skip


def test_what_caddy_met() -> None:
    assert network.read_troubles(JOURNAL, "books.example.org") == TROUBLE
    assert network.read_troubles(JOURNAL, "other.example.org") == "of another site"
    assert network.read_troubles("", "books.example.org") == ""
    long = json.dumps({"level": "error", "logger": "tls.renew", "msg": "x" * 999})
    assert len(network.read_troubles(long, "a.org")) == 300


def _certificate(days: float, distrust: str = "") -> Certificate:
    ends = NOW + timedelta(days=days)
    return Certificate("Let's Encrypt R11", ends - timedelta(days=90), ends, distrust)


@pytest.mark.parametrize(
    ("certificate", "changes", "state"),
    [
        (_certificate(74), {}, "ok"),
        (_certificate(13), {}, "warn"),
        (_certificate(-1), {}, "FAIL"),
        (None, {}, "FAIL"),
        (None, {"acme": False}, "FAIL"),
        (_certificate(74, "self-signed certificate"), {}, "FAIL"),
        (_certificate(74, "self-signed certificate"), {"acme": False}, "ok"),
        (_certificate(74, "unable to get local issuer certificate"),
         {"acme_directory": "https://ca.example.org/dir"}, "warn"),
    ],
)  # fmt: skip
def test_certificates(
    certificate: Certificate | None, changes: dict[str, object], state: str
) -> None:
    site = replace(SITE, **changes)  # type: ignore[arg-type]
    check = network.check_certificate(site, certificate, NOW, TROUBLE)
    assert check.state == state
    assert check.seen.endswith(f" Caddy: {TROUBLE}") == (state != "ok")
    assert bool(check.remedy) == (state != "ok")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (HttpAnswer(401, ""), "ok"),
        (HttpAnswer(200, "<html>"), "FAIL"),
        (HttpAnswer(503, ""), "FAIL"),
        (HttpAnswer(0, "refused"), "FAIL"),
    ],
)
def test_what_the_site_answers(answer: HttpAnswer, state: str) -> None:
    assert network.check_site(SITE.url, answer).state == state


# Services


def test_services_that_run_are_one_line() -> None:
    well = [Unit("bookbrain.service", "active", restarts=2), Unit("bookbrain-x.timer", "active")]
    (check,) = services.check_units(well)
    assert check == Check("service", State.OK, "all run: bookbrain, bookbrain-x.timer")
    ill = [
        Unit("bookbrain-chroma.service", "failed"),
        Unit("bookbrain.service", "active", restarts=3),
        Unit("caddy.service", "not-found"),
    ]
    checks = services.check_units([*well, *ill])
    assert [check.state for check in checks] == ["FAIL", "warn", "FAIL"]
    assert checks[0].remedy.startswith("journalctl -u bookbrain-chroma.service -n 50")


def test_a_service_without_its_hardening_is_named() -> None:
    assert services.check_hardening([]) == []
    (check,) = services.check_hardening(["bookbrain-logs.service"])
    assert (check.state, check.seen) == (
        "FAIL", "bookbrain-logs.service runs without its hardening."
    )  # fmt: skip
    assert check.remedy.startswith("Run install.sh again")


def test_failed_units_that_were_not_looked_at() -> None:
    failed = ["caddy.service", "bookbrain-health.service", "apt-daily.service"]
    checks = services.check_failed(failed, ["caddy.service"])
    assert [(check.state, check.seen) for check in checks] == [
        ("warn", "apt-daily.service has failed."),
        ("FAIL", "bookbrain-health.service has failed."),
    ]


def test_the_application() -> None:
    states = [
        services.check_application(answer).state
        for answer in (
            HttpAnswer(200, "degraded"),
            HttpAnswer(503, "down"),
            HttpAnswer(0, "refused"),
        )
    ]
    assert states == ["ok", "FAIL", "FAIL"]


@pytest.mark.parametrize(
    ("text", "states"),
    [("NTPSynchronized=yes\n", ["ok"]), ("NTPSynchronized=no\n", ["warn"]), ("", [])],
)
def test_clocks(text: str, states: list[str]) -> None:
    assert [check.state for check in check_clock(text)] == states


# Files


def _seen(
    path: Path, owner: str = "bookbrain", group: str = "bookbrain", mode: int = 0o750
) -> services.SeenFile:
    return services.SeenFile(path, owner, group, mode)


@pytest.mark.parametrize(
    ("owner", "group", "mode", "state"),
    [
        ("root", "bookbrain", 0o640, "ok"),
        ("root", "root", 0o644, "ok"),
        ("root", "root", 0o640, "FAIL"),
        ("root", "bookbrain", 0o600, "FAIL"),
        ("bookbrain", "root", 0o600, "ok"),
    ],
)
def test_settings_that_the_services_can_read(owner: str, group: str, mode: int, state: str) -> None:
    path = Path("/etc/bookbrain/bookbrain.env")
    check = services.check_settings(path, _seen(path, owner, group, mode), "", "")
    assert check.state == state


def test_settings_that_are_wrong() -> None:
    path = Path("/etc/bookbrain/bookbrain.env")
    assert services.check_settings(path, None, "", "").seen.endswith("is not there.")
    check = services.check_settings(path, _seen(path), "It is wrong.", "Mend it.")
    assert check == Check("settings", State.FAIL, "It is wrong.", "Mend it.")


def test_credentials_are_for_root_alone() -> None:
    key = Path("/etc/bookbrain/credentials/openai-api-key")
    assert [c.state for c in services.check_credentials(key, [_seen(key, mode=0o600)])] == ["ok"]
    (open_,) = services.check_credentials(key, [_seen(key, mode=0o640)])
    assert (open_.state, open_.remedy.split()[-1]) == ("FAIL", str(key))
    (none,) = services.check_credentials(key, [])
    assert none.remedy == f"sudo install -m 600 /dev/null {key}"


def test_a_library_is_the_services_own() -> None:
    home = Path("/var/lib/bookbrain")
    inside = [_seen(home / "books"), _seen(home / "catalog.sqlite3", "root")]
    assert services.check_library(home, _seen(home), inside[:1]).state is State.OK
    strange = services.check_library(home, _seen(home), inside)
    assert strange.seen == "Not the service's own in /var/lib/bookbrain: catalog.sqlite3."
    assert strange.remedy == "sudo chown -R bookbrain:bookbrain /var/lib/bookbrain"
    assert services.check_library(home, _seen(home, mode=0o755), []).state is State.WARN
    assert services.check_library(home, None, []).state is State.FAIL


def test_the_caddyfile_imports_ours(tmp_path: Path) -> None:
    path, ours = Path("/etc/caddy/Caddyfile"), tmp_path / "Caddyfile"
    text = f":80 {{\n}}\nimport  {ours}\n"
    assert services.check_caddyfile(path, text, ours).seen == f"{ours} is not there."
    ours.touch()
    assert services.check_caddyfile(path, text, ours).state is State.OK
    for other in ("", f"# import {ours}\n", f"import {ours}.new\n"):
        assert "Add this line" in services.check_caddyfile(path, other, ours).remedy


def test_what_a_file_is_like(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert services.look_at(file) is None
    file.touch(0o640)
    file.chmod(0o640)
    seen = services.look_at(file)
    assert seen
    assert (seen.owner, seen.mode) == (file.owner(), 0o640)


# The machine


@pytest.fixture
def upstream() -> Iterator[str]:
    """The app and Chroma in one."""
    answers = {"/healthz": (200, b"ok"), "/api/v2/heartbeat": (200, b"{}")}
    with StandIn(lambda path: answers.get(path, (404, b"{}"))) as server:
        yield server.place


def test_answers(upstream: str) -> None:
    assert answer_of(f"http://{upstream}/healthz") == (200, "ok")
    assert answer_of(f"http://{upstream}").status == 404
    assert chroma_answers(f"http://{upstream}/")
    assert chroma_answers(f"http://{upstream}/api/v2")
    assert not chroma_answers(f"http://{upstream}/other")
    assert answer_of("http://127.0.0.1:9/").status == 0
    assert answer_of("http://127.0.0.1:x/").status == 0


def test_programs(tmp_path: Path) -> None:
    assert output_of("echo", "a b") == "a b\n"
    assert output_of("false") is None
    assert output_of("program-of-none") is None
    (tmp_path / "no-program").touch(0o644)
    assert output_of(str(tmp_path / "no-program")) is None


@pytest.fixture
def machine(tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A server with Oracle's firewall, and a name that leads to it."""
    layout = Layout(tmp_path / "root")
    for folder in (layout.credentials, layout.home, layout.caddyfile.parent):
        folder.mkdir(parents=True)
    (layout.credentials / "openai-api-key").touch(0o600)
    layout.settings.write_text(f"CHROMA_URL=http://{upstream}\n")
    layout.caddyfile.write_text(f"import {layout.etc}/Caddyfile\n")
    (layout.etc / "Caddyfile").touch()
    write_site(layout, replace(SITE, upstream=upstream))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "systemctl": "apt-daily.service loaded failed failed Daily apt\n",
        "iptables": ORACLE,
        "ip6tables": "-P INPUT ACCEPT\n",
        "ss": SS,
        "getent": "192.0.2.7       STREAM books.example.org\n192.0.2.7       DGRAM\n",
        "hostname": "192.0.2.7 fe80::1\n",
        "journalctl": JOURNAL,
        "timedatectl": "NTPSynchronized=no\n",
        "caddy": f'{{"admin": {{"listen": "unix/{tmp_path}/admin.sock"}}}}\n',
        "fail2ban-client": "Banned IP list:\n",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("BOOKBRAIN_HOME", str(layout.home))
    monkeypatch.setenv("BOOKBRAIN_SETTINGS", str(layout.settings))
    return Machine(layout)


def _run(machine: Machine, *arguments: str) -> Result:
    done = CliRunner().invoke(main, ["doctor", *arguments], obj=machine)
    assert done.exit_code == 1, done.output
    return done


def test_the_doctor_sees_it_all(machine: Machine, upstream: str) -> None:
    checks = json.loads(_run(machine, "--json").stdout)
    seen = {check["seen"]: check["state"] for check in checks}
    assert seen[f"it answers at http://{upstream}"] == "ok"
    assert seen["it answers: ok"] == "ok"
    assert seen["apt-daily.service has failed."] == "warn"
    assert seen["books.example.org is 192.0.2.7, an address of this machine"] == "ok"
    assert seen["for root alone"] == "ok"
    assert seen["Nobody sets the clock; certificates and logins depend on it."] == "warn"
    names = {check["name"] for check in checks}
    assert names == {
        "settings", "credentials", "library", "Caddyfile", "service", "ports", "Chroma",
        "meaning", "search", "firewall", "app", "domain", "certificate", "disk", "memory",
        "backup", "clock", "check", "Caddy", "guessing", "site",
    }  # fmt: skip
    (meaning,) = [check for check in checks if check["name"] == "meaning"]
    assert (meaning["state"], meaning["seen"]) == ("ok", "off, for there is no key")
    for check in checks:
        assert bool(check["remedy"]) == (check["state"] != "ok"), check


def test_the_doctor_names_the_remedy(machine: Machine) -> None:
    out = _run(machine).stdout
    assert "FAIL  firewall    iptables refuses port 80 or 443" in out
    assert "      Next: Run install.sh again: it lets them in before that rule." in out


def test_the_doctor_speaks_korean(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    out = _run(machine).stdout
    assert "실패  방화벽" in out
    assert (
        "      다음: `install.sh`를 다시 실행하면 그 규칙 앞에서 포트를 엽니다. 클라우드의" in out
    )
    for line in out.splitlines():
        assert any("가" <= c <= "힣" for c in line.partition("  ")[2]), line


def test_a_doctor_without_programs_and_files(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    machine.layout.settings.write_text("OPENAI_KEY=sk-x\n")
    machine.layout.site.write_text("{")
    machine.layout.home.rmdir()
    checks = json.loads(_run(machine, "--json").stdout)
    wrong = {check["name"] for check in checks if check["state"] == "FAIL"}
    assert wrong - {"disk"} == {"settings", "library", "service", "site"}
    assert "firewall" not in {check["name"] for check in checks}
    assert "clock" not in {check["name"] for check in checks}
