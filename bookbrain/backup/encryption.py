"""Encryption by age or GPG, as programs of the machine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfileobj
from subprocess import Popen
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from bookbrain.errors import BookBrainError, ConfigError, InputError
from bookbrain.files import open_file
from bookbrain.messages import fill
from bookbrain.processes import PIPE, end, start_program

_SECONDS = 60.0  # to end in, after the last byte


def suffix_of(recipient: str | None) -> str:
    """Of the archives that are encrypted to `recipient`; ConfigError when there is none."""
    if not recipient or recipient.startswith("-"):
        raise ConfigError(
            fill("BOOKBRAIN_BACKUP_RECIPIENT is {value!r}.", value=recipient)
            if recipient
            else "BOOKBRAIN_BACKUP_RECIPIENT is not set.",
            "Set it to your age recipient (age1…) or to the id of your GPG key.",
        )
    return ".age" if recipient.startswith(("age1", "ssh-")) else ".gpg"


@contextmanager
def encrypting(recipient: str, out: BinaryIO) -> Iterator[BinaryIO]:
    """What is written to the file given goes encrypted to `out`.

    Raises ConfigError when the program is missing or does not know the recipient.
    """
    if suffix_of(recipient) == ".age":
        command = ["age", "--encrypt", "--recipient", recipient]
    else:
        command = ["gpg", "--batch", "--no-tty", "--trust-model", "always", "--encrypt",
                   "--recipient", recipient]  # fmt: skip
    with TemporaryFile() as said, ThreadPoolExecutor(1) as thread:
        program = _start(command, PIPE, PIPE, said)
        passed = thread.submit(_pass_on, program, out)
        given = cast(BinaryIO, program.stdin)
        try:
            try:
                yield given
                given.close()
                passed.result()
                code = program.wait(_SECONDS)
            except BrokenPipeError:
                passed.result()  # where the disk was full, that is the reason
                code = program.wait(_SECONDS) or 1
        finally:
            end(program)
        if code:
            raise ConfigError(
                fill(
                    "{program} does not encrypt: {reason}.",
                    program=command[0],
                    reason=_last_line(said),
                ),
                "Check BOOKBRAIN_BACKUP_RECIPIENT.",
            )


def _pass_on(program: "Popen[bytes]", out: BinaryIO) -> None:
    with ExitStack() as failed, cast(BinaryIO, program.stdout) as encrypted:
        failed.callback(end, program)  # else it would wait for us, and we for it
        copyfileobj(encrypted, out)
        failed.pop_all()


@contextmanager
def decrypting(path: Path, identity: Path | None) -> Iterator[BinaryIO]:
    """The plain bytes of an archive; as they are where it is not encrypted.

    `identity` is a file with the private key of age; GPG looks into its own keyring.
    """
    if path.suffix not in (".age", ".gpg"):
        with _opened(path) as file:
            yield file
        return
    if path.suffix == ".age" and not identity:
        raise InputError(
            fill("{file} is encrypted.", file=path.name),
            "Name the file with your private key: --identity FILE",
        )
    command = (
        ["age", "--decrypt", "--identity", str(identity)]
        if path.suffix == ".age"
        else ["gpg", "--quiet", "--decrypt"]
    )
    with TemporaryFile() as said, _opened(path) as file:
        program = _start(command, file, PIPE, said)
        plain = cast(BinaryIO, program.stdout)
        whole = False
        try:
            yield plain
            whole = not plain.read(1)
        finally:
            plain.close()
            code = program.wait(_SECONDS)
            if code > 0 or (whole and code):  # otherwise it was we who did not read on
                raise BookBrainError(
                    fill(
                        "{file} cannot be decrypted: {reason}.",
                        file=path.name,
                        reason=_last_line(said),
                    ),
                    "Check your key.",
                )


def _opened(path: Path) -> BinaryIO:
    try:
        return open_file(path)
    except OSError as error:
        raise InputError(
            fill("{path} cannot be read: {reason}.", path=path, reason=error.strerror),
            "Name the file itself, not a link to it.",
        ) from error


def _start(
    command: list[str], stdin: BinaryIO | int, stdout: BinaryIO | int, said: BinaryIO
) -> "Popen[bytes]":
    try:
        return start_program(command, stdin=stdin, stdout=stdout, stderr=said)
    except FileNotFoundError as error:
        raise ConfigError(
            fill("The program {program} is not installed.", program=command[0]),
            "Install it: sudo apt-get install age gnupg",
        ) from error


def _last_line(said: BinaryIO) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
