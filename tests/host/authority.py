"""A certificate authority like Let's Encrypt: pebble, its test server, with a DNS of its own."""

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.network import do


@dataclass(frozen=True, slots=True)
class Authority:
    """`directory` is its ACME URL, `root` the certificate by which that URL is trusted."""

    directory: str
    root: Path
    management: str

    def issuer(self) -> str:
        """The root certificate of what it has issued, as PEM."""
        trusted = ssl.create_default_context(cafile=str(self.root))
        with urllib.request.urlopen(f"{self.management}/roots/0", context=trusted) as answer:
            return str(answer.read().decode())


@contextmanager
def authority(folder: Path, here: str, host: str) -> Iterator[Authority]:
    """Pebble at the address `here`, for which every name is at the address `host`."""
    folder.mkdir()
    _make_certificate(folder, here)
    dns, listen, management = (free_port(here) for _ in range(3))
    settings = {
        "listenAddress": f"{here}:{listen}",
        "managementListenAddress": f"{here}:{management}",
        "certificate": str(folder / "server.pem"),
        "privateKey": str(folder / "server.key"),
        "httpPort": 80,
        "tlsPort": 443,
        "externalAccountBindingRequired": False,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    names = ["pebble-challtestsrv", "-defaultIPv4", host, "-defaultIPv6", ""]
    names += ["-dns01", f"{here}:{dns}", "-management", f"{here}:{free_port(here)}"]
    names += ["-http01", "", "-https01", "", "-tlsalpn01", ""]
    with ExitStack() as running:
        running.enter_context(_process(names, folder / "names.log"))
        command = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"{here}:{dns}"]
        running.enter_context(_process(command, folder / "pebble.log", **quick))
        _wait_for_port(here, listen)
        url = f"https://{here}"
        yield Authority(f"{url}:{listen}/dir", folder / "root.pem", f"{url}:{management}")


def _make_certificate(folder: Path, address: str) -> None:
    """A root, and one for the server itself, signed by it."""
    key = [
        "openssl",
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-x509",
    ]
    root, server = folder / "root", folder / "server"
    do(*key, "-subj", "/CN=test root", "-keyout", f"{root}.key", "-out", f"{root}.pem")
    do(
        *key, *("-subj", "/CN=pebble", "-addext", f"subjectAltName=IP:{address}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", f"{root}.pem", "-CAkey", f"{root}.key"),
        *("-keyout", f"{server}.key", "-out", f"{server}.pem"),
    )  # fmt: skip


def free_port(address: str) -> int:
    """A port at `address` that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(command: list[str], log: Path, **variables: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | variables,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait_for_port(address: str, port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nobody listens on {address}:{port}")
