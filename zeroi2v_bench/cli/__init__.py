"""The command line. Each verb is a function in a module of this package, imported when called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from zeroi2v_bench import __version__
from zeroi2v_bench.errors import BenchError

VERBS = {
    "list": "inspect",
    "validate": "inspect",
    "run": "run",
    "report": "report",
    "data": "data",
    "measure": "measure",
    "compare": "compare",
    "reproduce": "reproduce",
    "merge": "weights",
    "export": "weights",
}
"""Verb to the module of this package that defines it, as ``<verb>_command``."""


class LazyGroup(click.Group):
    """A group that imports a verb's module only when the verb is used or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of `VERBS`."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb's command, or None."""
        if name not in VERBS:
            return None
        module = importlib.import_module(f"{__name__}.{VERBS[name]}")
        command: click.Command = getattr(module, f"{name}_command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; an error of this package is one line on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except BenchError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"error: {error}", err=True)
            sys.exit(1)
        except BrokenPipeError:  # the reader of a pipe has gone, as in `report | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zeroi2v-bench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Few-shot and benchmark evaluation of ZeroI2V: image transformers on video at no extra cost.

    `zeroi2v-bench run` needs no data and no download; start there.
    """
