"""`bookbrain-admin`: look after an installation."""

import click

from bookbrain.admin import (
    backup,
    backups,
    check,
    doctor,
    health,
    key,
    logs,
    report,
    restore,
    site,
    status,
    tokens,
    uninstall,
    users,
    verify,
)
from bookbrain.cli.command import Commands, version_option
from bookbrain.log import set_up_logging


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("bookbrain-admin")
def main() -> None:
    """Look after a BookBrain installation."""
    set_up_logging()


for command in (
    site.site, users.users, tokens.tokens, key.key, health.health, health.notify_failure,
    status.status, doctor.doctor, uninstall.uninstall, logs.logs, report.report, logs.archive_logs,
    backup.backup, backups.backups, verify.verify_command, restore.restore_command,
    check.check_command,
):  # fmt: skip
    main.add_command(command)
