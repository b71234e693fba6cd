"""Harmless answers to what clients ask besides the exchanges that a script is about."""

from __future__ import annotations

from tests.upstream.answering import plain_json
from tests.upstream.received import Received
from tests.upstream.script import Answer, Failure, Plain, Reply, Text

UPGRADE_REQUIRED = Plain(426, {"content-type": "text/plain", "upgrade": "HTTP/2.0"}, [b"Upgrade Required"], 16)
CHATGPT = "https://chatgpt.com"
MODELS: dict[str, object] = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}


def side_answer(received: Received) -> Answer | None:
    """The answer to a side call; None for an exchange, which the script answers."""
    if received.header("upgrade").lower() == "websocket":
        return UPGRADE_REQUIRED  # Codex then uses HTTPS, at once
    if received.format is not None:
        return Reply([Text("Short title")]) if _is_side_exchange(received) else None
    match received.method, received.route:
        case (("HEAD" | "GET"), "/"):
            return Plain(200, length=0)
        case "GET", "/backend-api/codex/models":
            return plain_json({"models": []})
        case "GET", "/backend-api/wham/accounts/check":
            return plain_json(_accounts(received.header("chatgpt-account-id")))
        case "POST", "/v1/messages/count_tokens":
            return plain_json({"input_tokens": 42})
        case "GET", "/v1/models":
            return plain_json(MODELS)
        case "POST", route if route.startswith("/api/"):
            return plain_json({})
        case _:
            return Failure(404, f"no such route: {received.route}", "not_found_error")


def _is_side_exchange(received: Received) -> bool:
    """Claude Code's quota probe and its requests for a title: without tools, unlike its turns."""
    return received.header("user-agent").startswith("claude-cli/") and not received.tools


def _accounts(account: str) -> dict[str, object]:
    """What Codex with a ChatGPT login asks before its first exchange: the origin to send it to."""
    entry = {"id": account, "structure": "personal", "plan_type": "pro", "workspace_backend_origin": CHATGPT}
    entry |= {"account_routing_override": "NO_CONSTRAINT"}
    return {"accounts": [entry], "account_ordering": [account], "default_account_id": account}
