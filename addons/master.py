"""mitmproxy as `lockgate serve` and `lockgate run` start it: its own command line, and a master in a running loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.options import Options
from mitmproxy.tools import cmdline
from mitmproxy.tools import main as tools
from mitmproxy.tools.dump import DumpMaster

from lockgate.addons.service import Service
from lockgate.errors import ConfigError

START_SECONDS = 30.0


def serve(service: Service, arguments: Sequence[str], *, web: bool) -> None:
    """Run until a signal ends it, as mitmdump or mitmweb would with these arguments; they win over Lockgate's own."""

    def dump_master(options: Options) -> Any:
        master = DumpMaster(options, with_termlog=True, with_dumper=False)
        master.addons.add(service)
        return master

    def web_master(options: Options) -> Any:
        from mitmproxy.tools.web.master import WebMaster  # tornado: 0.2 s

        master = WebMaster(options)
        master.addons.add(service)
        return master

    make_master: Any = web_master if web else dump_master  # mitmproxy wants a class, and calls it
    tools.run(make_master, cmdline.mitmweb if web else cmdline.mitmdump, list(arguments), None)


@asynccontextmanager
async def running(service: Service) -> AsyncGenerator[int, None]:
    """The proxy on a free port of the loopback address, in the running loop; gives the port."""
    started = _Started()
    master = DumpMaster(Options(listen_host="127.0.0.1", listen_port=0), with_termlog=False, with_dumper=False)
    master.addons.add(service, started)
    work = asyncio.create_task(master.run())
    ready = asyncio.create_task(started.event.wait())
    try:
        await asyncio.wait({work, ready}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        server = master.addons.get("proxyserver")
        addresses = server.listen_addrs() if isinstance(server, Proxyserver) and ready.done() else []
        if not addresses:
            raise ConfigError("the proxy did not start to listen on the loopback address; its log says why")
        yield addresses[0][1]
    finally:
        ready.cancel()
        master.shutdown()
        await work


class _Started:
    """Tells that the proxy listens."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def running(self) -> None:
        self.event.set()
