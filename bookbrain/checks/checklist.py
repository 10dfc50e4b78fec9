"""The checks there are, and who asks for which: the one answer to whether all is well.

An upgrade goes back when the health check says FAIL. So that is for what is broken; what depends on
others (the endpoint, the certificate, the clock), or is for the owner to do, is `warn` to it.
"""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bookbrain.checks import Door, Table, condition, network, select, services
from bookbrain.checks.channels import check_channels
from bookbrain.checks.services import HEALTH_UNIT, SeenFile, Unit
from bookbrain.errors import BookBrainError
from bookbrain.library import Library
from bookbrain.messages import fill
from bookbrain.paths import Layout, service_environment
from bookbrain.privileges import become_service
from bookbrain.reports import Check, State
from bookbrain.server.access import Site, configured, read_address, read_site
from bookbrain.server.caddyfile import listen_address
from bookbrain.server.probes import (
    Certificate,
    answer_of,
    answer_of_site,
    door_of,
    output_of,
    read_certificate,
    text_of,
)
from bookbrain.settings import KEY_CREDENTIAL, Settings, load_settings
from bookbrain.store.damage import look_at_damage

if TYPE_CHECKING:  # only a server has what it needs
    from bookbrain.server.caddy import Machine

_APP = "127.0.0.1:8501"
_FIREWALLS = ("iptables", "ip6tables")
_OF_OTHERS = "certificate"


@dataclass
class Server:
    """A server that is looked at: each thing once, when a check first asks for it.

    Without a `site` there is `trouble`, where that was looked for.
    """

    machine: "Machine"
    site: Site | None
    trouble: BookBrainError | None = None

    @property
    def layout(self) -> Layout:
        return self.machine.layout

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Those that are to run."""
        return services.look_at_units(self.layout, self.machine.systemctl)

    @cached_property
    def certificate(self) -> Certificate | None:
        return read_certificate(self.site.domain, door_of(self.site.domain)) if self.site else None

    @cached_property
    def banned(self) -> list[str] | None:
        """As `network.look_at_banned`."""
        return network.look_at_banned()


def server_of(machine: "Machine") -> Server:
    """As root sees it."""
    try:
        return Server(machine, configured(read_site(machine.layout)))
    except BookBrainError as error:
        return Server(machine, None, error)


def check_health(machine: "Machine", settings: Settings) -> list[Check]:
    """All that was looked at; costs nothing, and changes nothing. Needs no root: what it may not
    see is left out."""
    on_server = settings.home == machine.layout.home
    checks = look_at_library(settings, Door.HEALTH, machine.layout if on_server else None)
    checks += select(MACHINE, Door.HEALTH, settings.home)
    checks += check_channels(settings.notify.channels)
    if on_server:
        checks += select(SERVER, Door.HEALTH, Server(machine, read_address(machine.layout)))
    return [
        replace(check, state=State.WARN) if check.name == _OF_OTHERS and not check.is_ok else check
        for check in checks
    ]


def check_server_becoming_service(
    server: Server, door: Door
) -> tuple[list[Check], Settings | None]:
    """As `door` wants it, first as root, then as the user of the service, for good; and settings
    where there are any."""
    layout = server.layout
    checks = [*select(SERVER, door, server), *select(MACHINE, door, layout.home)]
    try:
        settings = become_service(layout)
    except BookBrainError as error:
        return [*checks, Check.of_error("library", error)], None
    return [*checks, *look_at_library(settings, door, layout)], settings


def look_at_library(settings: Settings, door: Door, layout: Layout | None) -> list[Check]:
    """`layout` is that of the server whose library it is."""
    begun = None
    try:
        with Library(settings) as library:
            if books := library.books():
                begun = datetime.fromisoformat(books[0].added_at)
            checks = select(LIBRARY, door, library)
    except BookBrainError as error:
        checks = [Check.of_error("library", error)]
    except (OSError, sqlite3.Error) as error:
        seen = fill("It cannot be read: {reason}.", reason=error)
        remedy = "See if the disk is well: sudo dmesg; else restore a backup."
        checks = [Check.fail("library", seen, remedy)]
    checks.append(look_at_damage(settings.home, datetime.now(UTC)))
    return [*checks, *condition.check_backups(layout.backups, begun)] if layout else checks


def check_open_library(library: Library) -> list[Check]:
    """What the System page sees by itself."""
    home = library.settings.home
    return [
        *select(LIBRARY, Door.PAGE, library),
        look_at_damage(home, datetime.now(UTC)),
        *select(MACHINE, Door.PAGE, home),
    ]


# What is looked at on a server


def _settings(server: Server) -> Iterator[Check]:
    """As the services take them: what the environment of the person says does not count."""
    layout = server.layout
    complaint = hint = ""
    try:
        load_settings(service_environment(layout))
    except BookBrainError as error:
        complaint, hint = error.message, error.hint
    seen = services.look_at(layout.settings)
    yield services.check_settings(layout.settings, seen, complaint, hint)


def _files(server: Server) -> Iterator[Check]:
    layout = server.layout
    home, caddyfile = layout.home, layout.caddyfile
    key = layout.credentials / KEY_CREDENTIAL
    yield from services.check_credentials(key, _inside(layout.credentials))
    yield services.check_library(home, services.look_at(home), _inside(home))
    yield services.check_caddyfile(caddyfile, text_of(caddyfile), layout.etc / "Caddyfile")


def _inside(folder: Path) -> list[SeenFile]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [seen for name in names if (seen := services.look_at(folder / name))]


def _each_unit(server: Server) -> Iterator[Check]:
    yield from (services.check_unit(unit) for unit in server.units if not unit.is_timer)
    yield from services.check_timers(unit for unit in server.units if unit.is_timer)


def _unit_files(server: Server) -> Iterator[Check]:
    for unit in services.look_at_files(server.layout, server.machine.systemctl):
        if unit.name != HEALTH_UNIT and unit.state != "not-found":
            yield services.check_file(unit)


def _units(server: Server) -> Iterator[Check]:
    systemctl = server.machine.systemctl
    failed = output_of(
        systemctl, "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"
    )
    yield from services.check_units(server.units)
    judged = [unit.name for unit in server.units]
    yield from services.check_failed(services.read_failed(failed or ""), judged)
    yield from services.check_hardening(services.look_at_loose(server.layout, systemctl))


def _listeners(server: Server) -> Iterator[Check]:
    if (listeners := output_of("ss", "-Hltnp")) is not None:
        own = next((unit.pid for unit in server.units if unit.name == "bookbrain.service"), 0)
        yield from network.check_listeners(network.read_listeners(listeners), own)


def _firewalls(_: Server) -> Iterator[Check]:
    for program in _FIREWALLS:
        if (rules := output_of(program, "-w", "-S", "INPUT")) is not None:
            yield network.check_firewall(program, rules)


def _address(server: Server) -> Iterator[Check]:
    if server.trouble:
        yield Check.of_error("site", server.trouble)
    elif server.site:
        yield Check.ok("site", server.site.url)


def _application(server: Server) -> Iterator[Check]:
    if server.trouble:
        return
    upstream = server.site.upstream if server.site else _APP
    yield services.check_application(answer_of(f"http://{upstream}/healthz"))


def _caddy(server: Server) -> Iterator[Check]:
    if server.trouble:
        return
    caddy = server.machine.caddy
    try:
        config = caddy.adapted(server.layout.caddyfile)
    except BookBrainError as error:
        yield Check.of_error("Caddyfile", error)
        return
    yield network.check_admin(listen_address(config), caddy.works_by(config))
    yield network.check_guessing(server.banned, network.MARK in config)


def _name(server: Server) -> Iterator[Check]:
    site, shown = server.site, server.certificate
    if site and "." in site.domain and door_of(site.domain)[0] != site.domain:
        yield network.check_name(
            site.domain,
            {line.split()[0] for line in _lines("getent", "ahosts", site.domain)},
            {word for line in _lines("hostname", "-I") for word in line.split()},
            proven=bool(site.acme and shown and not shown.distrust),
        )


def _lines(*command: str) -> list[str]:
    return [line for line in (output_of(*command) or "").splitlines() if line.strip()]


def _certificate(server: Server) -> Iterator[Check]:
    if server.site:
        yield network.check_certificate(server.site, server.certificate, datetime.now(UTC), "")


def _certificate_and_why(server: Server) -> Iterator[Check]:
    """With what Caddy says of one that a browser does not take, or not for long."""
    site, shown, now = server.site, server.certificate, datetime.now(UTC)
    if not site:
        return
    trouble = ""
    if shown is None or shown.distrust or shown.ends_soon(now):
        journal = output_of("journalctl", "-u", "caddy", "-o", "cat", "-n", "200", "--no-pager")
        trouble = network.read_troubles(journal or "", site.domain)
    yield network.check_certificate(site, shown, now, trouble)
    if shown:
        yield network.check_site(site.url, answer_of_site(site.domain, door_of(site.domain)))


# Who asks for what

_HEALTH, _DOCTOR, _STATUS, _PAGE = Door
_ALL = _HEALTH | _DOCTOR | _STATUS | _PAGE

SERVER: Table[Server] = (
    (_settings, _DOCTOR),
    (_files, _DOCTOR),
    (_application, _HEALTH | _DOCTOR),
    (_units, _DOCTOR),
    (_unit_files, _HEALTH),
    (_each_unit, _STATUS),
    (_listeners, _DOCTOR),
    (_firewalls, _DOCTOR),
    (_address, _DOCTOR | _STATUS),
    (_caddy, _DOCTOR),
    (lambda server: [network.check_banned(server.banned)], _STATUS),
    (_name, _DOCTOR),
    (_certificate, _HEALTH | _STATUS),
    (_certificate_and_why, _DOCTOR),
)
MACHINE: Table[Path] = (
    (lambda home: map(condition.check_disk, condition.disks_of(home)), _ALL),
    (lambda _: [condition.check_memory(condition.memory_now())], _HEALTH | _DOCTOR | _STATUS),
    (lambda _: condition.check_clock(condition.clock_now()), _HEALTH | _DOCTOR),
)
LIBRARY: Table[Library] = (
    (condition.check_books, _HEALTH | _PAGE),
    (condition.check_counted, _STATUS),
    (Library.check_files, _HEALTH | _DOCTOR | _PAGE),
    (condition.check_search, _HEALTH | _DOCTOR | _PAGE),
    (condition.check_chroma, _HEALTH | _DOCTOR | _STATUS),
    (condition.check_vectors, _PAGE),
    (condition.check_meaning, _ALL),
    (condition.check_exam, _STATUS | _PAGE),
    (condition.check_recognition, _DOCTOR | _STATUS | _PAGE),
    (condition.check_endpoint, _HEALTH | _DOCTOR),
)
