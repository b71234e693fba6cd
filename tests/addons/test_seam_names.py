"""Every internal name of mitmproxy that the seam leans on: a release that moves one fails here, with its name."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from mitmproxy import hooks
from mitmproxy.addonmanager import AddonManager
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, layer, server, server_hooks
from mitmproxy.proxy.layers import http, tls
from mitmproxy.proxy.layers.http import _http_h2
from mitmproxy.proxy.mode_servers import ServerInstance

SIGNATURES: list[tuple[Any, str]] = [
    (layer.Layer.__init__, "(self, context)"),
    (layer.Layer.handle_event, "(self, event)"),
    (http.HttpStream.__init__, "(self, context, stream_id)"),
    (http.HttpStream.state_wait_for_request_headers, "(self, event)"),
    (http.HttpStream.state_stream_response_body, "(self, event)"),
    (http.HttpStream.state_consume_request_body, "(self, event)"),
    (http.HttpStream.state_consume_response_body, "(self, event)"),
    (http.HttpStream.state_wait_for_response_headers, "(self, event)"),
    (http.HttpStream.state_uninitialized, "(self, _)"),
    (http.HttpStream.state_done, "(self, _)"),
    (http.HttpStream.state_errored, "(self, _)"),
    (http.HttpStream.start_response_stream, "(self)"),
    (http.HttpStream.make_server_connection, "(self)"),
    (http.HttpStream.check_body_size, "(self, request)"),
    (http.HttpStream.check_killed, "(self, emit_error_hook)"),
    (http.HttpStream.handle_protocol_error, "(self, event)"),
    (http.HttpStream.send_response, "(self, already_streamed=False)"),
    (http.HttpLayer.make_stream, "(self, stream_id)"),
    (http.HttpLayer.event_to_child, "(self, child, event)"),
    (http.HttpLayer._handle_event, "(self, event)"),
    (http.SendHttp, "(event, connection)"),
    (http.DropStream, "(stream_id)"),
    (http.HttpEvent, "(stream_id)"),
    (http.ResponseHeaders, "(stream_id, response, end_stream=False)"),
    (http.ResponseData, "(stream_id, data)"),
    (http.ResponseEndOfMessage, "(stream_id)"),
    (http.RequestProtocolError, "(stream_id, message, code)"),
    (http.ResponseProtocolError, "(stream_id, message, code)"),
    (http.HttpErrorHook, "(flow)"),
    (http.HttpRequestHeadersHook, "(flow)"),
    (commands.RequestWakeup, "(delay)"),
    (events.Wakeup, "(command)"),
    (NextLayer.next_layer, "(self, nextlayer)"),
    (server_hooks.ServerConnectionHookData, "(server, client)"),
    (AddonManager.register, "(self, addon)"),
    (AddonManager.remove, "(self, addon)"),
    (AddonManager.clear, "(self)"),
    (AddonManager.trigger, "(self, event)"),
    (AddonManager.trigger_event, "(self, event)"),
    (AddonManager.handle_lifecycle, "(self, event)"),
    (AddonManager._iter_hooks, "(self, addon, event)"),
    (server.ConnectionHandler.server_event, "(self, event)"),
    (server.ConnectionIO, "(handler=None, reader=None, writer=None)"),
]


def _plain(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize(("function", "expected"), SIGNATURES, ids=[each.__qualname__ for each, _ in SIGNATURES])
def test_a_name_has_its_signature(function: Any, expected: str) -> None:
    assert _plain(function) == expected


ATTRIBUTES: list[tuple[type, str]] = [
    (layer.Layer, "_paused"),
    (layer.Layer, "_paused_event_queue"),
    (layer.NextLayer, "layer"),
    (http.HttpStream, "flow"),
    (http.HttpStream, "stream_id"),
    (http.HttpStream, "request_body_buf"),
    (http.HttpStream, "response_body_buf"),
    (http.HttpLayer, "streams"),
    (http.HttpLayer, "connections"),
    (http.HttpLayer, "command_sources"),
    (http.Http2Server, "h2_conn"),
    (http.Http2Client, "stream_queue"),
    (_http_h2.BufferedH2Connection, "stream_buffers"),
    (_http_h2.SendH2Data, "data"),
    (server.ConnectionHandler, "transports"),
    (server.ConnectionHandler, "max_conns"),
    (server.ConnectionHandler, "wakeup_timer"),
    (Connection, "alpn"),
    (Connection, "error"),
]


def _annotations(owner: type) -> set[str]:
    return {name for each in owner.__mro__ for name in inspect.get_annotations(each)}


@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES, ids=[f"{each.__name__}.{name}" for each, name in ATTRIBUTES])
def test_an_attribute_is_declared(owner: type, name: str) -> None:
    assert name in _annotations(owner)


def test_a_stream_keeps_its_states_where_the_seam_sets_them() -> None:
    source = inspect.getsource(http.HttpStream)
    assert {name for name in ("client_state", "server_state") if f"self.{name} = " in source} == {
        "client_state",
        "server_state",
    }


def test_the_proxyserver_knows_its_connections_by_the_clients_id() -> None:
    assert "connections" in _annotations(Proxyserver)
    assert "register_connection(handler.layer.context.client.id" in inspect.getsource(ServerInstance.handle_stream)


def test_wakeups_and_blocking_hooks_find_their_way_back() -> None:
    source = inspect.getsource(http.HttpLayer.event_to_child)
    assert "command.blocking or isinstance(command, commands.RequestWakeup)" in source
    assert commands.StartHook.blocking is True


def test_an_answer_finds_its_stream_by_its_command() -> None:
    assert "self.command_sources.pop(event.command)" in inspect.getsource(http.HttpLayer._handle_event)


def test_a_failed_upstream_handshake_is_told() -> None:
    assert hooks.all_hooks["tls_failed_server"] is tls.TlsFailedServerHook


@pytest.mark.parametrize("name", ["CANCEL", "KILL", "REQUEST_TOO_LARGE"])
def test_an_error_code_exists(name: str) -> None:
    assert name in http.ErrorCode.__members__
