"""`lockgate cert`: the authority that clients are asked to trust."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lockgate import files
from lockgate.certs import ca
from lockgate.config import Config, load_config
from lockgate.errors import ConfigError

app = App(name="cert", help="Show, export and renew the certificate authority that clients are asked to trust.")

type ConfigFile = Annotated[Path | None, Parameter(name="--config", help="The configuration file.")]


@app.command
def show(*, json_: Annotated[bool, Parameter(name="--json", negative=())] = False, config: ConfigFile = None) -> None:
    """Show what the authority is, which hosts it may sign, until when, and where it is."""
    facts = _facts(_authority(load_config(config)))
    if json_:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{name.replace('_', ' '):<12} {text}")


@app.command
def path(*, config: ConfigFile = None) -> None:
    """Print the path of the certificate, for programs that want a PEM file."""
    print(_authority(load_config(config)).certificate_path)


@app.command
def export(
    *,
    format: Annotated[Literal["pem", "der", "p12"], Parameter(help="p12 has no password.")] = "pem",
    output: Annotated[Path | None, Parameter(help="The file to write; standard output otherwise.")] = None,
    config: ConfigFile = None,
) -> None:
    """Write the certificate, never the key, in the form that a system or program wants to import."""
    if output is None and format != "pem" and sys.stdout.isatty():
        raise ConfigError(f"{format} is binary and would garble the terminal: name a file with --output, or pipe it")
    data = ca.export(_authority(load_config(config)), format)
    if output is not None:
        files.replace(output, data, mode=0o644)
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@app.command
def rotate(*, config: ConfigFile = None) -> None:
    """Make a new authority for the hosts configured now; the old one is kept beside it under a dated name."""
    settings = load_config(config)
    authority = ca.rotate(settings.ca, settings.hosts)
    print(
        f"new authority {_subject(authority)}, SHA-256 {authority.fingerprint}\n"
        f"Trust {authority.certificate_path} wherever the old certificate was installed, and start proxies that run "
        "anew. Programs started with 'lockgate run' trust it by themselves."
    )


def _authority(config: Config) -> ca.Authority:
    return ca.open_authority(config.ca, config.hosts)


def _facts(authority: ca.Authority) -> dict[str, str | list[str]]:
    return {
        "subject": _subject(authority),
        "hosts": list(authority.hosts),
        "not_before": authority.certificate.not_valid_before_utc.isoformat(),
        "not_after": authority.not_after.isoformat(),
        "fingerprint": authority.fingerprint,
        "certificate": str(authority.certificate_path),
    }


def _subject(authority: ca.Authority) -> str:
    return authority.certificate.subject.rfc4514_string()
