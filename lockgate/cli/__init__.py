"""The command line."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from lockgate.errors import Error


def _told(error: CycloptsError) -> str:
    """A sentence like those of all other errors, with the remedy at its end."""
    command = " ".join(("lockgate", *(error.command_chain or ())))
    return f"lockgate: {' '.join(str(error).split())} `{command} --help` tells what there is."


app = App(
    name="lockgate",
    help="A transparent control proxy for AI traffic.",
    version_flags=["--version"],
)
# Named by path: a command imports what it needs when it is called. The help stands here for the same reason.
app.command("lockgate.cli.run:run", help="Run a command, such as an AI agent, with its model traffic under control.")
app.command("lockgate.cli.serve:serve", help="Run the proxy until it is stopped.")
app.command("lockgate.cli.log:app", name="log", help="Read what the log remembers.")
app.command("lockgate.cli.top:top", help="Show what runs, what waits and what it costs, as it goes on.")
app.command("lockgate.cli.approve:app", name="approve", help="Decide about tool calls that wait for a person.")
app.command("lockgate.cli.policy:app", name="policy", help="List, show, check and try policies.")
app.command("lockgate.cli.project:app", name="project", help="Projects: who tokens and provider keys belong to.")
app.command("lockgate.cli.token:app", name="token", help="Tokens: credentials that wither.")
app.command("lockgate.cli.key:app", name="key", help="Provider keys: what stands behind tokens.")
app.command("lockgate.cli.admin:app", name="admin", help="Administrators: who manages Lockgate.")
app.command("lockgate.cli.kill:app", name="kill", help="Stop sessions, agents, models, hosts or everything, at once.")
app.command("lockgate.cli.audit:app", name="audit", help="Who administered what, and who was refused access.")
app.command("lockgate.cli.cert:app", name="cert", help="Show, export and renew the certificate authority.")
app.command("lockgate.cli.db:app", name="db", help="Look after the log's database.")
app.command("lockgate.cli.config:app", name="config", help="Show the configuration in force.")
app.command("lockgate.cli.serve:addon_path", help="Print the file to load with `mitmdump -s`.")
app.command("lockgate.cli.bench:bench", help="Measure Lockgate against plain mitmdump.")


def main() -> None:
    """Ends with a sentence on standard error and exit code 2 where something does not fit."""
    try:
        sys.exit(app(print_error=False, exit_on_error=False))
    except CycloptsError as error:
        print(_told(error), file=sys.stderr)
        sys.exit(2)
    except Error as error:
        print(f"lockgate: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has what it wanted: `lockgate log list | head`
        sys.exit(0)
