"""Trouble announces itself: the check under its hardened unit, and a unit that fails."""

import pytest
from host.owner import Owner
from host.server import Server

pytestmark = [pytest.mark.timeout(600), pytest.mark.only_on("bookworm")]


def _check(server: Server) -> dict[str, str]:
    """What the unit saw: the state of each check, by its name and subject."""
    server.run("systemctl start bookbrain-health.service")
    run = server.run("systemctl show -p InvocationID --value bookbrain-health.service").strip()
    lines = server.run(f"journalctl --no-pager -o cat _SYSTEMD_INVOCATION_ID={run}").splitlines()
    return {line[6:17].strip(): line[:4].strip() for line in lines if line[:1] != " "}


def test_the_unit_sees_all_without_root(server: Server) -> None:
    seen = _check(server)
    assert {"library", "search", "Chroma", "disk", "memory", "app", "service"} <= seen.keys(), seen
    assert {"certificate", "backup"} <= seen.keys(), seen
    assert "FAIL" not in seen.values(), seen


def test_a_test_notification_arrives(server: Server, owner: Owner) -> None:
    said = server.run("bookbrain-admin health --test-notification")
    assert "it answered 200" in said
    assert "/x" not in said
    assert owner.told[0]["title"].endswith(": a test")


def test_a_unit_that_fails_is_told_once_and_its_end_too(server: Server, owner: Owner) -> None:
    settings = server.host.root / "etc/bookbrain/bookbrain.env"
    before = settings.read_text()
    settings.write_text(before + "BOOKBRAIN_FUSION=nuclear\n")
    assert server.host.run("systemctl restart bookbrain").returncode != 0
    server.wait("the message", lambda: "bookbrain.service" in _failed(owner))
    message = next(told for told in owner.told if told["title"].startswith("bookbrain.service "))
    assert "\n> " in message["text"]
    assert "BOOKBRAIN_FUSION" in message["text"]
    settings.write_text(before)
    server.host.run("systemctl reset-failed; systemctl restart bookbrain")
    server.wait("the site", server.is_up)
    assert "FAIL" not in _check(server).values()
    _check(server)
    # The inbox cannot work with such settings either.
    assert set(_failed(owner)) <= {"bookbrain.service", "bookbrain-ingest.service"}
    assert len(set(_failed(owner))) == len(_failed(owner))
    assert [told["level"] for told in owner.told].count("ok") == 1, owner.told
    assert owner.told[-1]["level"] == "ok"


def _failed(owner: Owner) -> list[str]:
    """The units whose failure was told."""
    return [told["title"].split(" on ")[0] for told in owner.told if told["level"] == "fail"]


def test_a_fault_is_told_once_and_its_end_too(server: Server, owner: Owner) -> None:
    library = "/var/lib/bookbrain"
    server.run(f"systemctl stop bookbrain && mv {library}/catalog.sqlite3 /root/kept")
    server.run(f"mkdir {library}/catalog.sqlite3")
    try:
        for _ in range(3):
            assert server.host.run("systemctl start bookbrain-health").returncode != 0
        assert [told["level"] for told in owner.told] == ["fail"], owner.told
        assert "library" in owner.told[0]["text"]
    finally:
        server.run(f"rmdir {library}/catalog.sqlite3 && mv /root/kept {library}/catalog.sqlite3")
        server.run("systemctl reset-failed; systemctl start bookbrain")
    server.wait("the site", server.is_up)
    _check(server)
    assert [told["level"] for told in owner.told] == ["fail", "ok"], owner.told
    journal = server.run("journalctl --no-pager -u 'bookbrain*'")
    assert f":{owner.server_port}/x" not in journal
