"""The addon that puts the awaitable stream (stream.py) into mitmproxy, and gates what is read of upstream.

With stream.py, answers.py and cut.py the only file that leans on mitmproxy's layers.
"""

# pyright: reportPrivateImportUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (mitmproxy types its layers only in part, and re-exports their events without saying so)

from __future__ import annotations

import asyncio
from typing import cast
from weakref import WeakKeyDictionary

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.addons.next_layer import NextLayer as StockNextLayer
from mitmproxy.connection import Client, Server
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import TlsData

from lockgate.addons.cut import Exchanges, proxyserver
from lockgate.addons.held import Held
from lockgate.addons.pressure import GatedReader, UpstreamGate
from lockgate.addons.stream import AwaitableHttpLayer
from lockgate.addons.supported import check_mitmproxy


class AwaitableStreams:
    """It also lifts what would make mitmproxy stall: 5 upstream connections, remembered failures."""

    def __init__(self, exchanges: Exchanges | None = None) -> None:
        check_mitmproxy()
        self._exchanges = exchanges or Exchanges()
        self._gates: WeakKeyDictionary[Server, UpstreamGate] = WeakKeyDictionary()

    def load(self, loader: Loader) -> None:
        loader.add_option(
            "stream_backlog", int, 1024 * 1024, "Bytes of a reply that may wait before its upstream is no longer read."
        )
        loader.add_option(
            "upstream_connections", int, 100, "Upstream connections for each client connection and upstream address."
        )

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        if nextlayer.layer is None:  # an addon of a script is asked before the stock one
            cast(StockNextLayer, ctx.master.addons.get("nextlayer")).next_layer(nextlayer)
        for each in nextlayer.context.layers:
            if type(each) is http.HttpLayer:
                each.__class__ = AwaitableHttpLayer
                awaitable = cast(AwaitableHttpLayer, each)
                awaitable.gates, awaitable.congested, awaitable.ready = self._gates, set(), []
                self._exchanges.layers.add(each)

    async def reply_held(self, held: Held) -> None:
        await held.wait()

    def client_connected(self, client: Client) -> None:
        # An HTTP/2 client with an HTTP/1 upstream would have its sixth request wait for one of five long replies.
        if handler := proxyserver().connections.get(client.id):
            handler.max_conns.default_factory = lambda: asyncio.Semaphore(ctx.options.upstream_connections)

    def server_connected(self, data: ServerConnectionHookData) -> None:
        handler = proxyserver().connections.get(data.client.id)
        if handler and data.server.transport_protocol == "tcp":
            transport = handler.transports[data.server]
            gate = self._gates[data.server] = UpstreamGate()
            transport.reader = cast(
                asyncio.StreamReader, GatedReader(cast(asyncio.StreamReader, transport.reader), gate)
            )

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        # Cancelled by us and by the client's leaving at once, mitmproxy skips the closing of the upstream socket.
        handler = proxyserver().connections.get(data.client.id)
        if handler and (transport := handler.transports.pop(data.server, None)) and transport.writer:
            transport.writer.close()

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        data.server.error = None  # remembered, it would answer each later request of an HTTP/2 connection

    def tls_failed_server(self, data: TlsData) -> None:
        data.conn.error = None
