"""How a person is asked: what the options take, what is shown of a call, and what stands in the place of secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lockgate.config import RuleConfig
from lockgate.errors import ConfigError
from lockgate.events import ToolCall
from lockgate.policies.asking import digest_of
from lockgate.policies.readable import readable
from lockgate.policies.registry import load_rules
from lockgate.policies.veil import Veil
from lockgate.testing import call, reply_through
from tests.policies.chains import exchange_of

JUDGE = {"use": "tests.addons.scoring:ByNumber", "name": "number"}


def rule(use: str = "approval", options: Any = (), **more: Any) -> Any:
    config = RuleConfig.model_validate({"name": "ask-first", "use": use, "with": dict(options), **more})
    [made] = load_rules([config]).rules
    return made


def protocol(**options: Any) -> dict[str, Any]:
    return {"monitors": [JUDGE], "steps": [{"at": 0.5, "do": "approve"}], **options}


def test_the_rules_deadline_follows_the_persons() -> None:
    assert rule().deadline_seconds == 330
    assert rule(options={"deadline_seconds": 86_400}).deadline_seconds == 86_430
    assert rule(options={"deadline_seconds": 10}, deadline_seconds=600).deadline_seconds == 600
    assert rule("protocol", protocol(approval={"deadline_seconds": 60})).deadline_seconds == 90
    steps = [{"at": 0.5, "do": "block"}]
    assert rule("protocol", {"monitors": [JUDGE], "steps": steps}).deadline_seconds == 30


@pytest.mark.parametrize(("use", "options"), [("approval", {}), ("protocol", protocol())])
def test_a_rule_that_would_end_before_the_person_is_refused(use: str, options: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"rule 'ask-first': its 'deadline_seconds', 60, would pass.*330.*leave it out"
    ):
        rule(use, options, deadline_seconds=60)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"deadline_seconds": -5}, "deadline_seconds"),
        ({"default": "forward"}, "default"),
        ({"webhook": {"url": "http://hooks.example.com/x", "key_env": "K"}}, "https://HOST"),
        ({"webhook": {"url": "https://user:pass@hooks.example.com/", "key_env": "K"}}, "https://HOST"),
        ({"webhook": {"url": "hooks.example.com", "key_env": "K"}}, "https://HOST"),
        ({"webhook": {"url": "http://localhost.example.com/", "key_env": "K"}}, "https://HOST"),
        ({"webhook": {"url": "https://hooks.example.com/"}}, "name the key"),
        ({"webhook": {"url": "https://hooks.example.com/", "key_env": "K", "key_file": "k"}}, "name the key"),
        ({"webhook": {"url": "https://hooks.example.com/", "key_env": "NO_SUCH_KEY"}}, "NO_SUCH_KEY"),
        ({"webhook": {"url": "https://hooks.example.com/", "key_env": "BAD_KEY"}}, "what follows is no base64"),
    ],
)
def test_bad_options(options: Any, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAD_KEY", "whsec_not base64!")
    with pytest.raises(ConfigError, match=sentence) as caught:
        rule(options=options)
    assert "not base64!" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/a", "http://127.0.0.1:8000/a", "http://[::1]/", "http://localhost/"]
)
def test_good_webhooks(url: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    made = rule(options={"webhook": {"url": url, "key_file": tmp_path / "key"}})
    assert (made.shared.url, made.shared.key) == (url, b"hunter2")


def test_a_step_that_asks_is_about_calls() -> None:
    with pytest.raises(ConfigError, match=r"the step at 0\.5 can never apply: 'approve' is about calls"):
        rule("protocol", protocol(judges=["text"]))


def test_a_person_is_no_monitor() -> None:
    for use, options in (("approval", {}), ("protocol", protocol())):
        with pytest.raises(ConfigError, match="asks a person, who gives no score"):
            rule("protocol", protocol(monitors=[{"use": use, "name": "person", "with": options}]))


@pytest.mark.parametrize("default", ["deny", "approve"])
def test_where_rules_are_tried_every_deadline_passes_at_once(default: str) -> None:
    passed = reply_through("approval", call("Read", path="x"), default=default)
    assert bool(passed.calls) is (default == "approve")
    assert [decision.action for decision in passed.decisions[:1]] == ["held"]


def test_a_call_that_nobody_would_read_is_not_asked_about() -> None:
    passed = reply_through("approval", call("Read", path="x" * 300_000), default="approve")
    assert passed.calls == ()
    assert "nobody is asked about a call of 300," in passed.decisions[-1].reason


def test_a_digest_names_exactly_one_call() -> None:
    one = ToolCall(block=0, id="1", name="Bash", arguments="{}")
    others = (
        ToolCall(block=0, id="1", name="bash", arguments="{}"),
        ToolCall(block=0, id="1", name="Bash", arguments="{} "),
        ToolCall(block=0, id="1", name="Bash", arguments="{}", custom=True),
    )
    assert digest_of(one) == digest_of(ToolCall(block=7, id="2", name="Bash", arguments="{}"))
    assert len({digest_of(each) for each in (one, *others)}) == 4


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("key s3cret-1 and s3cret-2", ["[secret]", "[secret] (2)"]),
        ("[secret] stands here, s3cret-1 too", ["[secret] (2)"]),
        ("the key is sk-of-the-client", ["[sha256:"]),
    ],
)
def test_each_secret_has_a_mark_of_its_own_and_comes_back(text: str, marked: list[str]) -> None:
    x = exchange_of(credentials=["sk-of-the-client", "short"])
    for secret in ("s3cret-1", "s3cret-2"):
        x.conceal(secret, "[secret]")
    arguments = json.dumps({"command": text, "nested": json.dumps({"short": text})})
    veil = Veil(ToolCall(block=0, id="1", name="Bash", arguments=arguments), x)
    shown = veil.shown(arguments)
    for hidden in ("s3cret-1", "s3cret-2", "sk-of-the-client"):
        assert hidden not in shown
    assert all(mark in shown for mark in marked)
    assert json.loads(veil.real(shown)) == json.loads(arguments)


def test_without_secrets_a_call_is_shown_as_it_is() -> None:
    arguments = '{ "command":\t"ls \\ud800" }'
    veil = Veil(ToolCall(block=0, id="1", name="Bash", arguments=arguments), exchange_of())
    assert veil.shown(arguments) == veil.real(arguments) == arguments


@pytest.mark.parametrize(
    ("tool", "arguments", "parts"),
    [
        ("Bash", {"command": "git push", "timeout": 5}, [("command", "command", "git push"), ("timeout", "text", "5")]),
        (
            "exec_command",
            {"cmd": ["bash", "-lc", "git push"]},
            [("cmd", "command", "git push"), ("cmd", "text", '["bash","-lc","git push"]')],
        ),
        (
            "Edit",
            {"old_string": "a\nb", "new_string": "a\nc", "file_path": "x"},
            [("old_string → new_string", "diff", " a\n-b\n+c"), ("file_path", "text", "x")],
        ),
        (
            "MultiEdit",
            {"edits": [{"old_string": "a", "new_string": "b"}, 7]},
            [("edit 1: old_string → new_string", "diff", "-a\n+b"), ("edit 2", "text", "7")],
        ),
        ("Edit", {"old_string": "a", "new_string": "a"}, [("old_string → new_string", "diff", "(no difference)")]),
        ("Edit", {"old_string": "a", "new_string": 1}, [("old_string", "text", "a"), ("new_string", "text", "1")]),
        ("apply", {"patch": "--- a\n+++ b\n"}, [("patch", "diff", "--- a\n+++ b\n")]),
        ("Read", {}, []),
    ],
)
def test_all_of_a_call_is_shown(tool: str, arguments: Any, parts: list[tuple[str, str, str]]) -> None:
    found = readable(tool, json.dumps(arguments), custom=False)
    assert [(part.name, part.kind, part.text) for part in found] == parts


@pytest.mark.parametrize("arguments", ["no JSON", '{"a": 1, "a": 2}', "[1]"])
def test_arguments_that_cannot_be_read_are_shown_as_they_are(arguments: str) -> None:
    [part] = readable("Bash", arguments, custom=False)
    assert (part.name, part.text) == ("arguments", arguments)


def test_free_text_is_shown_whole() -> None:
    [part] = readable("apply_patch", "*** Begin Patch\n+x" + "y" * 5000, custom=True)
    assert (part.kind, len(part.text)) == ("diff", 5018)


def test_nothing_that_is_shown_hides_or_steers() -> None:
    [part] = readable("Read", json.dumps({"a\x1b": "b\u202e\u200b\x07"}), custom=False)
    assert (part.name, part.text) == ("a␛", "b\\u202e\\u200b␇")
