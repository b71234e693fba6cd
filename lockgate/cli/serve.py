"""`lockgate serve`: the proxy by itself. `lockgate addon-path`: the same for a mitmproxy that is started otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lockgate.config import load


def serve(
    *,
    config: Path | None = None,
    listen: str | None = None,
    policy: str | None = None,
    mode: Annotated[list[str] | None, Parameter(negative=())] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    web: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Run the proxy until it is stopped.

    Parameters
    ----------
    config
        The configuration file; otherwise ./lockgate.yaml, else the user's own.
    listen
        HOST:PORT to listen on.
    policy
        The policy set, before the file's own rules: observe, coding-agent, strict, red-team, or ./FILE.yaml.
    mode
        A mode of mitmproxy's: regular, reverse:URL, upstream:URL, socks5, local, wireguard, transparent.
    set_
        An option of mitmproxy's, as NAME=VALUE; it wins over what Lockgate would choose.
    web
        Show the traffic live in a browser, with mitmweb.
    """
    from lockgate.addons.master import serve as run_master
    from lockgate.app import build

    loaded = load(config, {"listen": listen, "policy": policy})
    settings = loaded.config
    arguments = ["--listen-host", settings.listen_host, "--listen-port", str(settings.listen_port)]
    arguments += [part for each in mode or () for part in ("--mode", each)]
    arguments += [part for each in set_ or () for part in ("--set", each)]
    run_master(build(loaded), arguments, web=web)


def addon_path() -> None:
    """Print the file to load with `mitmdump -s`, `mitmweb -s` or `mitmproxy -s`."""
    import lockgate.addons

    print(Path(lockgate.addons.__file__).resolve().with_name("control.py"))
