"""`bookbrain-admin`: look after an installation."""

import click

from bookbrain.admin import backups, checking, commands, looking, looking_back, watching
from bookbrain.cli.errors import Commands
from bookbrain.cli.help import version_option
from bookbrain.logs import set_up_logging


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@version_option("bookbrain-admin")
def main() -> None:
    """Look after a BookBrain installation."""
    set_up_logging()


for command in (commands.site, commands.users, commands.key):
    main.add_command(command)
for command in (watching.health, watching.notify_failure):
    main.add_command(command)
for command in (looking.status, looking.doctor, looking.uninstall):
    main.add_command(command)
for command in (looking_back.logs, looking_back.report, looking_back.archive_logs):
    main.add_command(command)
for command in (
    backups.backup, backups.backups, backups.verify_command, backups.restore_command,
    checking.check_command,
):  # fmt: skip
    main.add_command(command)
