"""The shapes in which agents wrap shell commands, as they were seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.events import ToolCall
from lockgate.policies.commands import Unreadable, command_of, document_of, runs_commands, with_command


def call(name: str, arguments: Any, *, custom: bool = False) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(block=1, id="call_1", name=name, arguments=text, custom=custom)


def program(script: str) -> ToolCall:
    return call("exec", script, custom=True)


SHAPES: list[tuple[str, Any, str, Any]] = [
    ("Bash", {"command": "ls", "description": "List"}, "ls", {"command": "new", "description": "List"}),
    ("bash", {"command": "ls"}, "ls", {"command": "new"}),
    ("mcp__box__bash", {"command": "ls"}, "ls", {"command": "new"}),
    ("functions.exec_command", {"cmd": "ls", "workdir": "/x"}, "ls", {"cmd": "new", "workdir": "/x"}),
    ("exec_command", {"cmd": "ls", "yield_time_ms": 1000}, "ls", {"cmd": "new", "yield_time_ms": 1000}),
    ("shell_command", {"command": "ls"}, "ls", {"command": "new"}),
    ("run_shell_command", {"command": "ls", "is_background": False}, "ls", {"command": "new", "is_background": False}),
    ("run_terminal_cmd", {"command": "ls"}, "ls", {"command": "new"}),
    ("shell", {"command": "ls"}, "ls", {"command": "new"}),
    ("shell", {"command": ["bash", "-lc", "ls -a | wc"]}, "ls -a | wc", {"command": ["bash", "-lc", "new"]}),
    ("shell", {"command": ["/bin/sh", "-e", "-c", "ls"]}, "ls", {"command": ["/bin/sh", "-e", "-c", "new"]}),
    ("shell", {"command": ["rm", "-rf", "a b"]}, "rm -rf 'a b'", {"command": ["sh", "-c", "new"]}),
    ("shell", {"command": ["bash", "-c", "ls", "x"]}, "bash -c ls x", {"command": ["bash", "-c", "new"]}),
    ("container.exec", {"cmd": ["ls"]}, "ls", {"cmd": ["sh", "-c", "new"]}),
    (
        "local_shell",
        {"type": "exec", "command": ["bash", "-lc", "ls"], "env": {}},
        "ls",
        {"type": "exec", "command": ["bash", "-lc", "new"], "env": {}},
    ),
    ("local_shell", {"action": {"command": ["ls"]}}, "ls", {"action": {"command": ["sh", "-c", "new"]}}),
    ("shell_call", {"commands": ["cd x", "ls"], "timeout_ms": 1}, "cd x\nls", {"commands": ["new"], "timeout_ms": 1}),
    ("mcp__ssh__run_on_host", {"host": "h", "command": "ls"}, "ls", {"host": "h", "command": "new"}),
    ("executeCommand", {"command": "ls"}, "ls", {"command": "new"}),
]


@pytest.mark.parametrize(("name", "arguments", "command", "changed"), SHAPES)
def test_reads_and_replaces(name: str, arguments: Any, command: str, changed: Any):
    given_call = call(name, arguments)
    out = with_command(given_call, "new")
    assert command_of(given_call) == command
    assert runs_commands(given_call)
    assert json.loads(out.arguments) == changed
    assert (out.id, out.name, out.block, out.custom) == ("call_1", name, 1, False)
    assert command_of(out) == "new"


@pytest.mark.parametrize(
    "given_call",
    [
        call("Read", {"file_path": "/x"}),
        call("Read", ""),
        call("str_replace_based_edit_tool", {"command": "view", "path": "/x"}),
        call("KillShell", {"shell_id": "1"}),
        call("BashOutput", {"bash_id": "1"}),
        call("apply_patch", "*** Begin Patch", custom=True),
        call("write_stdin", {"session_id": 1, "chars": ""}),
        call("update_plan", "not JSON"),
    ],
)
def test_calls_that_run_no_command(given_call: ToolCall):
    assert command_of(given_call) is None
    assert not runs_commands(given_call)
    with pytest.raises(Unreadable, match="runs no command"):
        with_command(given_call, "new")


def test_typing_into_a_shell_is_read_but_never_replaced():
    typed = call("write_stdin", {"session_id": 1, "chars": "rm -rf /\n"})
    assert command_of(typed) == "rm -rf /\n"
    assert not runs_commands(typed)


@pytest.mark.parametrize(
    ("given_call", "sentence"),
    [
        (call("Bash", '{"command": "ls'), "cannot be read"),
        (call("Bash", '{"command": "ls", "command": "rm"}'), "'command' is repeated"),
        (call("Bash", "[]"), "not a JSON object"),
        (call("Bash", ""), "with no commands"),
        (call("Bash", {}), "with no commands"),
        (call("Bash", {"command": "ls", "cmd": "rm"}), "with 2 commands"),
        (call("Bash", {"command": 5}), "neither a text nor a list"),
        (call("shell", {"command": ["ls", 5]}), "neither a text nor a list"),
        (call("mcp__x__ssh", "nonsense"), "cannot be read"),
        (program("const t = tools; t.exec_command({cmd: 'x'})"), "it uses `tools` in another way"),
    ],
)
def test_what_cannot_be_read_says_so(given_call: ToolCall, sentence: str):
    with pytest.raises(Unreadable, match=sentence):
        command_of(given_call)


@pytest.mark.parametrize("arguments", ['{"command": "ls', "[]", ""])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Bash", {"command": "new"}),
        ("exec_command", {"cmd": "new"}),
        ("shell", {"command": ["sh", "-c", "new"]}),
        ("shell_call", {"commands": ["new"]}),
    ],
)
def test_an_unreadable_call_gets_the_arguments_that_its_tool_takes(name: str, expected: Any, arguments: str):
    assert json.loads(with_command(call(name, arguments), "new").arguments) == expected


@pytest.mark.parametrize(
    ("given_call", "expected"),
    [
        (call("Read", ""), {}),
        (call("Read", {"a": 1}), {"a": 1}),
        (call("apply_patch", "*** Begin", custom=True), {"input": "*** Begin"}),
    ],
)
def test_documents(given_call: ToolCall, expected: Any):
    assert document_of(given_call) == expected


FRESH = 'text(await tools.exec_command({"cmd":"new"}));\n'
ONE = 'text(await tools.exec_command({"cmd": %s}));\n'


@pytest.mark.parametrize(
    ("script", "command", "changed"),
    [
        (ONE % '"touch x"', "touch x", ONE % '"new"'),
        (
            "const r = await tools.exec_command({cmd:'a', workdir: \"/x\", yield_time_ms: 1e3, "
            "prefix_rule:['a','b'], env: {A: 'b', c: [1, {}]}}); text(r);",
            "a",
            "const r = await tools.exec_command({cmd:\"new\", workdir: \"/x\", yield_time_ms: 1e3, "
            "prefix_rule:['a','b'], env: {A: 'b', c: [1, {}]}}); text(r);",
        ),
        ("tools['exec_command']({'cmd': `two\nlines`})", "two\nlines", "tools['exec_command']({'cmd': \"new\"})"),
        (
            'tools.shell({command: ["bash", "-lc", "ls"]})',
            "ls",
            'tools.shell({command: ["bash","-lc","new"]})',
        ),
        ("tools.exec_command({cmd: 'a' + \"b\" + `c`})", "abc", 'tools.exec_command({cmd: "new"})'),
        (
            "const c = 'ls'\nconst r = await tools.exec_command({workdir: '/', cmd: c})",
            "ls",
            "const c = 'ls'\nconst r = await tools.exec_command({workdir: '/', cmd: \"new\"})",
        ),
        ("const cmd = 'ls';\ntools.exec_command({cmd})", "ls", FRESH),
        (
            "const [a, b] = await Promise.all([tools.exec_command({cmd: 'one'}), tools.exec_command({cmd: 'two'})]);\n"
            "for (const r of [a, b]) text(`${r.output.slice(0, 9)} }`)",
            "one\ntwo",
            FRESH,
        ),
        ("text(`${(await tools.exec_command({cmd: `a`})).output}`)", "a", None),
        (r"tools.exec_command({cmd: 'a\x62\u0063\u{64}\n\'\
e\ud83d\ude00'})", "abcd\n'e😀", None),
        ("/* tools.exec_command({cmd: 'no'}) */ // tools\ntools.exec_command({cmd: 'yes'}) // end", "yes", None),
        ("const re = /[\"/]'/g.test(x) ? 4 / 2 : 1; tools.exec_command({cmd: 'x'}) //\"", "x", None),
        ("if (false) await tools.exec_command({cmd: 'x'})", "x", None),
        ("tools.write_stdin({session_id: 1, chars: 'x\\n'})", "x\n", FRESH),
        ("text(await tools.apply_patch('*** Begin Patch'))", None, FRESH),
        ("text('tools.exec_command({cmd: 1})')", None, FRESH),
        ("for (const c of ['[', ']']) text(c); tools.exec_command({cmd: 'x'})", "x", None),
        ("for (const [a, b] of [[1, 2]]) text(a); tools.exec_command({cmd: 'x'})", "x", None),
        ("const f = () => { return [1, 2] }; text(f()[0]); tools.exec_command({cmd: 'x'})", "x", None),
        ("", None, FRESH),
    ],
)  # fmt: skip
def test_scripts(script: str, command: str | None, changed: str | None):
    assert command_of(program(script)) == command
    assert runs_commands(program(script))
    out = with_command(program(script), "new")
    assert command_of(out) == "new"
    assert changed is None or out.arguments == changed


@pytest.mark.parametrize(
    "script",
    [
        "const t = tools; t.exec_command({cmd: 'x'})",
        "const {exec_command: run} = tools; run({cmd: 'x'})",
        "tools[name]({cmd: 'x'})",
        "tools['exec_' + 'command']({cmd: 'x'})",
        "tools?.exec_command({cmd: 'x'})",
        "other.tools.exec_command({cmd: 'x'})",
        "commands.map(tools.exec_command)",
        "tools.exec_command.call(null, {cmd: 'x'})",
        "tools.exec_command = other",
        "tools.exec_command(options)",
        "tools.exec_command({...options})",
        "tools.exec_command({cmd: 'x', ...options})",
        "tools.exec_command({['cmd']: 'x'})",
        "tools.exec_command({get cmd() { return 'x' }})",
        "tools.exec_command({cmd: 'x', cmd: 'y'})",
        "tools.exec_command({cmd: 'x', 'c\\x6dd': 'y'})",
        "tools.exec_command({workdir: '/'})",
        "tools.exec_command({cmd: `sed ${file}`})",
        "tools.exec_command({cmd: 'x'.repeat(2)})",
        "tools.exec_command({cmd: a ? 'x' : 'y'})",
        "tools.exec_command({cmd: 'x' - 1})",
        "tools.exec_command({cmd: ['x', y]})",
        "tools.exec_command({cmd})",
        "let cmd = 'x'; tools.exec_command({cmd})",
        "const cmd = 'x' + y; tools.exec_command({cmd})",
        "const cmd = 'x'\n+ y; tools.exec_command({cmd})",
        "const cmd = 'x'; (cmd => tools.exec_command({cmd}))('y')",
        "const cmd = 'x'; { const cmd = 'y'; tools.exec_command({cmd}) }",
        "const cmd = 'x'; for (const cmd of list) tools.exec_command({cmd})",
        "eval('x')",
        "globalThis['to' + 'ols']",
        "new Function('x')()",
        "[].constructor.constructor('x')()",
        "[]['constructor']['constructor']('x')()",
        "const {'constructor': F} = f; F('x')()",
        "const {['constr' + 'uctor']: F} = f; F('x')()",
        "f[k][k]('x')()",
        "const of = () => 1; of[k]('x')()",
        "const of = () => 1; a\nof[k]('x')()",
        "f = () => { return of[k]('x') }",
        "async[k]('x')()",
        "import('x')",
        "this.x()",
        "t\\u006fols.exec_command({cmd: 'x'})",
        "if (a) /'/.test(b); tools.exec_command({cmd: 'x'}) //'",
        "a++ /'/; tools.exec_command({cmd: 'x'}) //'",
        "a\n<!-- '\ntools.exec_command({cmd: 'x'}) //'",
        "#!`\ntools.exec_command({cmd: 'x'}) //`",
        "'no end",
        "`no end",
        "`no ${end",
        "tools.exec_command({cmd: 'x'",
        "'\\u{110000}'",
        "'\\07'",
        "\"line\nend\"",
    ],
)  # fmt: skip
def test_scripts_that_cannot_be_read(script: str):
    with pytest.raises(Unreadable, match="cannot be read: "):
        command_of(program(f"{script}"))
    assert with_command(program(script), "new").arguments == FRESH


@given(script=st.text(alphabet="tools.exec_command({cmd:'\"`x$}) /\\\n[]=;const+u0"))
def test_any_script_is_read_or_refused(script: str):
    try:
        read = command_of(program(script))
    except Unreadable:
        read = None
    assert read is None or isinstance(read, str)


@given(command=st.text())
def test_any_command_comes_back(command: str):
    for given_call in (program(ONE % '"x"'), call("Bash", {"command": "x"}), call("shell", {"command": ["x"]})):
        assert command_of(with_command(given_call, command)) == command
