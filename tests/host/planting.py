"""Links and pipes where root's commands could come along, planted by those who may."""

from pathlib import Path

from host.lab import listing
from host.server import Server

HOME = "/var/lib/bookbrain"
CANARY = "srv/canary"
_MEMBER = 1234

# As the service's user: where an upgrade and root's commands write and read.
_OF_SERVICE = (
    f"{HOME}/.before-upgrade",
    f"{HOME}/.before-upgrade.part",
    f"{HOME}/catalog.sqlite3.part",
    f"{HOME}/catalog.sqlite3.before",
    f"{HOME}/catalog.sqlite3.newer",
    f"{HOME}/embeddings.sqlite3.part",
    f"{HOME}/embeddings.sqlite3.newer",
    f"{HOME}/health.json.part",
    "/var/backups/bookbrain/bookbrain-20260101T000000Z.tar.zst",
    "/var/backups/bookbrain/bookbrain-20260102T000000Z.tar.zst",
    "/var/log/bookbrain/bookbrain-2025-01.jsonl.gz",
    "/var/log/bookbrain/bookbrain-2025-02.jsonl.gz",
    "/var/log/bookbrain/use.json",
)
# As a member of the group: only the inbox is theirs.
_OF_MEMBER = (
    f"{HOME}/inbox/passwd.pdf",
    f"{HOME}/inbox/pipe.pdf",
    f"{HOME}/inbox/rejected",
    f"{HOME}/inbox/export.jsonl.part",
)
_PIPES = ("02T000000Z.tar.zst", "2025-02.jsonl.gz", "pipe.pdf")


def plant(server: Server) -> dict[str, str]:
    """Plant all of it; what root's files that the links lead to are like."""
    canary = server.host.root / CANARY
    canary.mkdir(mode=0o700)
    (canary / "secret").write_text("root's own\n")
    (canary / "secret").chmod(0o600)
    server.host.add_user("mallory", _MEMBER)
    server.run("sed -i 's/^bookbrain:x:[0-9]*:/&mallory/' /etc/group")
    server.run("rm -rf /var/lib/bookbrain/inbox/rejected; systemctl start bookbrain-logs")
    for user, paths in (("bookbrain", _OF_SERVICE), ("mallory", _OF_MEMBER)):
        for number, path in enumerate(paths):
            target = f"/{CANARY}" if number % 3 == 0 else f"/{CANARY}/secret"
            what = "mkfifo" if path.endswith(_PIPES) else f"ln -sfT {target}"
            server.run(f"runuser -u {user} -- {what} {path}")
    return state(server)


def state(server: Server) -> dict[str, str]:
    """Of root's files: contents, owners, times."""
    canary = server.host.root / CANARY
    said = server.run(f"stat -c '%n %u %g %a' /{CANARY} /{CANARY}/*")
    return {**listing(canary), "secret is": (canary / "secret").read_text(), "owners": said}


def uproot(server: Server) -> None:
    """Take it all away again."""
    for path in (*_OF_SERVICE, *_OF_MEMBER):
        where = server.host.root / Path(path).relative_to("/")
        if where.is_symlink() or where.is_fifo():
            where.unlink()
