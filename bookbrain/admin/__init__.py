"""`bookbrain-admin`: look after an installation."""

import json

import click
from rich.cells import set_cell_size

from bookbrain import __version__
from bookbrain.admin import commands, looking
from bookbrain.admin.health import check_health
from bookbrain.cli.errors import Commands
from bookbrain.cli.opening import take_settings
from bookbrain.cli.show import shown


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bookbrain-admin")
def main() -> None:
    """Look after a BookBrain installation."""


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def health(as_json: bool) -> None:
    """Check the library end to end; ends with 1 when something is wrong."""
    checks = check_health(take_settings())
    if as_json:
        click.echo(json.dumps([check._asdict() for check in checks], ensure_ascii=False))
    else:
        for check in checks:
            state = shown("ok  " if check.ok else "FAIL")
            name = set_cell_size(shown(check.name), 10)
            click.echo(f"{state}  {name} {shown(check.detail)}")
    if not all(check.ok for check in checks):
        raise click.exceptions.Exit(1)


for command in (commands.site, commands.users, commands.key):
    main.add_command(command)
for command in (looking.status, looking.doctor, looking.uninstall):
    main.add_command(command)
