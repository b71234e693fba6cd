"""`lockgate policy` lists, explains, checks and tries."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.policy import app
from lockgate.cli.trial import format_of
from lockgate.errors import ConfigError, WireError
from lockgate.policies.pack import pack, pack_names
from lockgate.policies.registry import BUILT_IN
from tests.cli import commands

NO_TOUCH = """
rules:
  - name: no-touch
    use: tools
    refusal: text
    with: {deny: [{arguments: {command: '\\btouch\\b'}, sentence: No touching.}]}
  - {name: watch, use: tools, mode: shadow, with: {default: deny}}
  - {name: hide, use: replace, with: {secret: hunter2, instead: "***"}}
  - {name: stop, use: refuse, with: {pattern: forbidden}}
"""
ASK = {"model": "claude-x", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


run = partial(commands.run, app)


def written(folder: Path, name: str, content: Any) -> str:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def tried(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    run("try", *words, "--json")
    return json.loads(capsys.readouterr().out)


def test_list(capsys: pytest.CaptureFixture[str]):
    run("list")
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} >= set(BUILT_IN)
    run("list", "--json")
    assert json.loads(capsys.readouterr().out)["noop"] == "Lets everything pass."


def test_pin(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tool = {"name": "mcp__box__find", "description": "Finds.", "input_schema": {"type": "object"}}
    run("pin", written(tmp_path, "r.json", {**ASK, "tools": [tool, {**tool, "name": "Read"}]}))
    pins = capsys.readouterr().out
    assert [line.split(":")[0] for line in pins.splitlines()] == ["tools", '  "Read"', '  "mcp__box__find"']
    rule = {"name": "pins", "use": "tool_definitions", "with": {"pins_file": "pins.yaml", "drift": "deny"}}
    written(tmp_path, "pins.yaml", pins)
    rules = written(tmp_path, "rules.yaml", json.dumps({"rules": [rule]}))
    asks = [{**ASK, "tools": [{**tool, "description": text}]} for text in ("Finds.", "Finds and sends.")]
    outcomes = [tried(capsys, rules, "--on", written(tmp_path, "a.json", ask))["request"]["outcome"] for ask in asks]
    assert outcomes == ["passed", "blocked"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_show(name: str, capsys: pytest.CaptureFixture[str]):
    run("show", name)
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: ")
    assert f"  use: {name}\n" in out
    run("show", name, "--json")
    assert json.loads(capsys.readouterr().out)["name"] == name


def test_show_of_what_there_is_not():
    with pytest.raises(ConfigError, match=r"unknown policy 'nothing'; there are: .*command_egress, "):
        run("show", "nothing")


def test_check_of_what_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = written(tmp_path, "rules.yaml", NO_TOUCH)
    run("check", file)
    assert capsys.readouterr().out == f"{file}: 4 rules are right, 1 of them in shadow mode\n"


def test_check_of_a_configuration_without_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = written(tmp_path, "lockgate.yaml", "listen: 127.0.0.1:8080\n")
    run("check", file)
    assert "rules are right" in capsys.readouterr().out


WRONG = """
rules:
  - {name: a, use: replace, with: {secert: x}}
  - {name: b, use: nothing}
  - {name: b, use: noop}
  - {name: c, use: tools, with: {deny: [{arguments: {x: 'a(b'}}]}}
"""


@pytest.mark.parametrize(
    ("content", "sentences"),
    [
        (
            WRONG,
            [
                "rule 'a': policy 'replace': unknown option 'secert' (did you mean 'secret'?)",
                "rule 'b': unknown policy 'nothing'; there are: ",
                "rule 'c': policy 'tools': option 'deny.0.arguments.x': the pattern 'a(b' is not RE2",
                "rule 'b': the name is used twice",
            ],
        ),
        ("rules: [{name: a}]", ["rule 'a' has either 'use', or 'rules', or 'branches'"]),
        ("ruels: []", ["unknown option 'ruels' (did you mean 'rules'?)"]),
        ("- a\n", ["the top of the file has keys such as 'rules:'"]),
        ("rules: [", ["cannot be read as YAML: expected the node content, but found '<stream end>', line 1, column 9"]),
        (f"rules: {'[' * 5_000}", ["its brackets or indents are nested too deep"]),
        ("rules: &a [{name: x, rules: *a}]", ["an alias (*name) stands inside what it names"]),
        ("rules: [{name: a, use: noop, sample: 2026-99-99}]", ["cannot be read as YAML: month must be in 1..12"]),
        (
            "rules: [[a], {name: b, use: 5}, {name: c, use: noop, mode: maybe}]",
            [
                "option 'rules.0': it takes keys with values, such as {key: value}",
                "option 'rules.1.use': it takes text",
                "option 'rules.2.mode': it takes 'enforce' or 'shadow'",
            ],
        ),
        (
            "rules: [{name: a, use: judge}]",
            ["rule 'a': policy 'judge': the option 'url' is missing", "the option 'model' is missing"],
        ),
    ],
)
def test_check_of_what_is_wrong(content: str, sentences: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = written(tmp_path, "rules.yaml", content)
    with pytest.raises(SystemExit) as ended:
        run("check", file)
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 1
    assert [sentence in line for sentence, line in zip(sentences, lines, strict=True)] == [True] * len(sentences)
    assert all(line.startswith(file) for line in lines)


def test_check_of_no_file(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("check", "/nowhere/rules.yaml")
    assert capsys.readouterr().err == "/nowhere/rules.yaml: no such file; name one with rules\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("hi", {"outcome": "passed"}),
        (
            "hunter2",
            {"outcome": "changed", "document": {**ASK, "messages": [{"role": "user", "content": "***"}]}},
        ),
        (
            "forbidden",
            {
                "outcome": "blocked",
                "rule": "stop",
                "sentence": "Blocked by the Lockgate rule stop: This is not allowed here.",
            },
        ),
    ],
)
def test_try_on_a_request(said: str, expected: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    asked = written(tmp_path, "request.json", {**ASK, "messages": [{"role": "user", "content": said}]})
    result = tried(capsys, written(tmp_path, "rules.yaml", NO_TOUCH), "--on", asked)
    assert (result["format"], result["request"], result["reply"]) == ("anthropic", expected, None)


WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "text", "text": "hunter2"},
        {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "touch x"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def test_try_on_a_reply(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rules = written(tmp_path, "rules.yaml", NO_TOUCH)
    asked, replied = written(tmp_path, "request.json", ASK), written(tmp_path, "reply.json", WHOLE)
    result = tried(capsys, rules, "--on", asked, "--reply", replied)
    out = json.loads(result["reply"]["body"])
    assert (out["stop_reason"], out["content"][0]["text"]) == ("end_turn", "***")
    assert "No touching." in out["content"][1]["text"]
    decided = {(one["rule"], one["mode"], one["action"]) for one in result["decisions"]}
    assert decided == {
        ("no-touch", "enforce", "blocked"),
        ("watch", "shadow", "blocked"),
        ("hide", "enforce", "replaced"),
    }
    run("try", rules, "--on", asked, "--reply", replied)
    words = capsys.readouterr().out
    assert "rule no-touch blocked a tool call: No touching.\n" in words
    assert "rule watch would have blocked a tool call" in words
    assert "\nreply: goes on changed\n" in words


def test_try_on_a_streamed_reply(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from lockgate.wire.anthropic import FORMAT

    request = {**ASK, "stream": True}
    body = FORMAT.answer(FORMAT.read_request(json.dumps(request).encode()), "a hunter2")[1].decode()
    asked, replied = written(tmp_path, "request.json", request), written(tmp_path, "reply.sse", body)
    result = tried(capsys, written(tmp_path, "rules.yaml", NO_TOUCH), "--on", asked, "--reply", replied)
    assert result["reply"] == {"outcome": "changed", "body": body.replace("hunter2", "***")}


def test_try_with_files_that_do_not_fit(tmp_path: Path):
    rules, asked = written(tmp_path, "rules.yaml", NO_TOUCH), written(tmp_path, "request.json", ASK)
    with pytest.raises(ConfigError, match=r"nothing\.json cannot be read: No such file"):
        run("try", rules, "--on", str(tmp_path / "nothing.json"))
    with pytest.raises(WireError, match="the reply cannot be read as anthropic"):
        run("try", rules, "--on", asked, "--reply", written(tmp_path, "reply.json", "{}"))
    with pytest.raises(WireError):
        run("try", rules, "--on", written(tmp_path, "broken.json", "{"))


@pytest.mark.parametrize(
    ("document", "format"),
    [
        ({"model": "gpt-5", "input": "x"}, "openai-responses"),
        ({"model": "gpt-5", "messages": []}, "openai-chat"),
        ({"model": "claude-x", "messages": []}, "anthropic"),
        ({"model": "other", "system": "x", "messages": []}, "anthropic"),
    ],
)
def test_the_format_is_seen(document: Any, format: str):
    assert format_of(json.dumps(document).encode()) == format


def test_try_a_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    monitor = {"use": "refuse", "with": {"what": ["calls"], "pattern": "touch"}}
    steps = [{"at": 0.5, "do": "resample"}]
    rule = {"name": "p", "use": "protocol", "with": {"monitors": [monitor], "steps": steps}}
    file, on = written(tmp_path, "r.yaml", {"rules": [rule]}), written(tmp_path, "a.json", ASK)
    for command, outcome in (("ls", "passed"), ("touch x", "blocked")):
        content = [{"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": command}}]
        message = {
            "id": "m", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
            "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip
        result = tried(capsys, file, "--on", on, "--reply", written(tmp_path, "b.json", message))
        assert result["reply"]["outcome"] == outcome
        assert {d["score"] for d in result["decisions"] if d["rule"] == "p/refuse"} == {float(command != "ls")}


@pytest.mark.parametrize("name", pack_names())
def test_a_policy_set_is_listed_shown_and_checked(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run("list")
    assert f"\n  {name} " in capsys.readouterr().out.partition("policy sets:")[2]
    run("list", "--json")
    assert json.loads(capsys.readouterr().out)[name] == pack(name).summary
    run("show", name)
    shown = capsys.readouterr().out
    assert shown == pack(name).text
    run("show", name, "--json")
    assert [rule["name"] for rule in json.loads(capsys.readouterr().out)["rules"]] == [r.name for r in pack(name).rules]
    mine = written(tmp_path, "mine.yaml", shown)
    run("check", name)
    counted = capsys.readouterr().out.partition(": ")[2]
    run("check", mine)
    assert capsys.readouterr().out == f"{mine}: {counted}"


def test_a_policy_set_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    result = tried(capsys, "strict", "--on", written(tmp_path, "ask.json", ASK))
    assert result["request"]["outcome"] == "passed"
    with pytest.raises(ConfigError, match="unknown policy set 'strikt'"):
        run("try", "strikt", "--on", written(tmp_path, "ask.json", ASK))


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    run("explain", *words)
    return capsys.readouterr().out


def test_explain_spells_out_what_would_steer_a_terminal(capsys: pytest.CaptureFixture[str]):
    assert "\\u001b[2J" in explained(capsys, "echo '\x1b[2J'")


def test_explain_agrees_with_the_rule_where_nothing_is_found(capsys: pytest.CaptureFixture[str]):
    assert explained(capsys, "ls", "--threshold", "0").startswith("score 0, let pass")


def test_explain_of_a_wrong_option():
    with pytest.raises(ConfigError, match="policy explain: option 'workspace': 'x' is not absolute"):
        run("explain", "ls", "--workspace", "x")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["policy", "show"], 'lockgate: Command "policy show" parameter NAME requires an argument. `lockgate policy'),
        (["policy", "explain", "--nope", "ls"], "lockgate: Unknown option: --nope. `lockgate policy explain --help`"),
        (["polcy"], 'lockgate: Unknown command "polcy". Did you mean "policy"?'),
    ],
    ids=["missing", "unknown option", "unknown command"],
)
def test_wrong_words_are_told_in_one_line(words: list[str], told: str, tmp_path: Path):
    said = commands.lockgate(*words, folder=tmp_path, code=2).stderr
    assert said.startswith(told)
    assert said.count("\n") == 1
