"""`bookbrain-admin doctor`: looks at everything that keeps a server from working."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from bookbrain.admin.options import check_server, end_with, is_ok, pass_machine, show_checks
from bookbrain.backup.archives import list_backups
from bookbrain.checks import Check, State, network, services
from bookbrain.checks.condition import (
    check_backup,
    check_damage,
    check_disk,
    check_files,
    check_memory,
    look_at_disks,
    read_memory,
)
from bookbrain.checks.network import check_firewall
from bookbrain.checks.services import look_at_loose, look_at_units, read_failed
from bookbrain.cli.command import Command
from bookbrain.cli.terminal import print_json
from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.paths import Layout
from bookbrain.privileges import become_service
from bookbrain.server.access import Site, configured, read_site
from bookbrain.server.caddy import Machine
from bookbrain.server.caddyfile import listen_address
from bookbrain.server.probes import (
    Certificate,
    answer_of,
    answer_of_site,
    chroma_answers,
    door_of,
    output_of,
    read_certificate,
    text_of,
)
from bookbrain.settings import KEY_CREDENTIAL, Settings, load_settings

_FIREWALLS = ("iptables", "ip6tables")


def diagnose(machine: Machine) -> list[Check]:
    """Everything that was looked at; needs root, and changes nothing."""
    layout = machine.layout
    settings, check = _settings(layout)
    checks = [check, *_files(layout)]
    checks += _services(machine)
    if settings:
        url, embedding = settings.chroma_url, settings.embedding
        if url:
            checks.append(services.check_chroma(url, chroma_answers(url)))
        checks.append(services.check_key(embedding.enabled, embedding.model))
    for program in _FIREWALLS:
        if (rules := output_of(program, "-w", "-S", "INPUT")) is not None:
            checks.append(check_firewall(program, rules))
    try:
        site = configured(read_site(layout))
    except BookBrainError as error:
        checks.append(Check("site", State.FAIL, error.message, error.hint))
    else:
        answer = answer_of(f"http://{site.upstream}/healthz")
        checks += [services.check_application(answer), *_door(machine), *_site(site)]
    checks += [check_disk(disk) for disk in look_at_disks([layout.home, layout.root])]
    checks.append(check_memory(read_memory(text_of(Path("/proc/meminfo")))))
    checks.append(check_backup(list_backups(layout.backups, read=False), None, datetime.now(UTC)))
    clock = output_of("timedatectl", "show", "-p", "NTPSynchronized") or ""
    checks += services.check_clock(clock)
    return checks + _library(layout)  # last: from here on we are the service's user


def _library(layout: Layout) -> list[Check]:
    try:
        settings = become_service(layout)
        with Library(settings) as library:
            return [*check_files(library), check_damage(settings, datetime.now(UTC))]
    except BookBrainError as error:
        return [Check("library", State.FAIL, error.message, error.hint)]


def _settings(layout: Layout) -> tuple[Settings | None, Check]:
    """As the services take them: what the environment of the person says does not count."""
    seen = services.look_at(layout.settings)
    try:
        settings = load_settings(
            {
                "BOOKBRAIN_HOME": str(layout.home),
                "BOOKBRAIN_SETTINGS": str(layout.settings),
                "CREDENTIALS_DIRECTORY": str(layout.credentials),
            }
        )
    except BookBrainError as error:
        return None, services.check_settings(layout.settings, seen, error.message, error.hint)
    return settings, services.check_settings(layout.settings, seen, "", "")


def _files(layout: Layout) -> list[Check]:
    key, home, caddyfile = layout.credentials / KEY_CREDENTIAL, layout.home, layout.caddyfile
    return [
        *services.check_credentials(key, _inside(layout.credentials)),
        services.check_library(home, services.look_at(home), _inside(home)),
        services.check_caddyfile(caddyfile, text_of(caddyfile), layout.etc / "Caddyfile"),
    ]


def _inside(folder: Path) -> list[services.SeenFile]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [seen for name in names if (seen := services.look_at(folder / name))]


def _services(machine: Machine) -> list[Check]:
    units = look_at_units(machine.layout, machine.systemctl)
    failed = output_of(
        machine.systemctl, "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"
    )
    checks = services.check_units(units)
    checks += services.check_failed(read_failed(failed or ""), [unit.name for unit in units])
    checks += services.check_hardening(look_at_loose(machine.layout, machine.systemctl))
    if (listeners := output_of("ss", "-Hltnp")) is not None:
        own = next((unit.pid for unit in units if unit.name == "bookbrain.service"), 0)
        checks += network.check_listeners(network.read_listeners(listeners), own)
    return checks


def _door(machine: Machine) -> list[Check]:
    try:
        config = machine.caddy.adapted(machine.layout.caddyfile)
    except BookBrainError as error:
        return [Check("Caddyfile", State.FAIL, error.message, error.hint)]
    return [
        network.check_admin(listen_address(config), machine.caddy.works_by(config)),
        network.check_guessing(network.look_at_banned(), network.MARK in config),
    ]


def _site(site: Site) -> list[Check]:
    door, now = door_of(site.domain), datetime.now(UTC)
    certificate = read_certificate(site.domain, door)
    checks = []
    if "." in site.domain and door[0] != site.domain:
        checks.append(
            network.check_name(
                site.domain,
                {line.split()[0] for line in _lines("getent", "ahosts", site.domain)},
                {word for line in _lines("hostname", "-I") for word in line.split()},
                proven=bool(site.acme and certificate and not certificate.distrust),
            )
        )
    trouble = "" if _is_fine(certificate, now) else _trouble(site)
    checks.append(network.check_certificate(site, certificate, now, trouble))
    if certificate:
        checks.append(network.check_site(site.url, answer_of_site(site.domain, door)))
    return checks


def _lines(*command: str) -> list[str]:
    return [line for line in (output_of(*command) or "").splitlines() if line.strip()]


def _is_fine(certificate: Certificate | None, now: datetime) -> bool:
    return bool(certificate and not certificate.distrust and not certificate.ends_soon(now))


def _trouble(site: Site) -> str:
    journal = output_of("journalctl", "-u", "caddy", "-o", "cat", "-n", "200", "--no-pager") or ""
    return network.read_troubles(journal, site.domain)


@click.command(cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@pass_machine
def doctor(machine: Machine, as_json: bool) -> None:
    """Find out what is wrong with this server, and say what to do; ends with 1 when something is.

    Changes nothing, and spends nothing.
    """
    check_server(machine.layout)
    checks = diagnose(machine)
    if as_json:
        found = [check._replace(remedy="") if is_ok(check) else check for check in checks]
        print_json(json.dumps([check._asdict() for check in found], ensure_ascii=False))
    else:
        show_checks(checks)
    end_with(checks)
