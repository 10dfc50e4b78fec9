"""The command line's edge: errors become two lines and an exit code."""

from typing import Any, NoReturn

import click

from bookbrain.cli.show import printable
from bookbrain.errors import BookBrainError

INTERRUPTED = 130


class Commands(click.Group):
    """A group whose commands may raise BookBrainError."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BookBrainError as error:
            fail(error)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)


def fail(error: BookBrainError) -> NoReturn:
    """Print the error and its next step on stderr, and end with its code."""
    click.secho(f"Error: {printable(error.message)}", fg="red", err=True)
    if error.hint:
        click.echo(f"Next:  {printable(error.hint)}", err=True)
    raise click.exceptions.Exit(error.exit_code)
