"""The OpenAI key of a server: a credential that systemd hands to the services."""

from bookbrain.admin.publishing import Machine
from bookbrain.children import run_program
from bookbrain.config import KEY_CREDENTIAL
from bookbrain.durable import write_file
from bookbrain.errors import InputError


def store_key(machine: Machine, key: str) -> bool:
    """Keep `key`, "" for none, and restart the service that runs with another one.

    False when it could not be restarted. Raises InputError for what cannot be a key.
    """
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            "That is not a key: it has blanks or characters that keys do not have.",
            "Copy it again from platform.openai.com/api-keys.",
        )
    folder = machine.layout.credentials
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    write_file(folder / KEY_CREDENTIAL, f"{key}\n".encode() if key else b"", 0o600)
    try:
        return run_program([machine.systemctl, "try-restart", "bookbrain"], timeout=120).code == 0
    except FileNotFoundError:
        return False
