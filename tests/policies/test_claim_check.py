"""`claim_check`: what a reply claims, next to what the conversation shows, in every format, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from lockgate.errors import ConfigError
from lockgate.events import ToolCall
from lockgate.policies.check_runs import CALLS, Run, asks_for_checks, runs_in, subjects_of
from lockgate.policies.claim_check import verdicts_on
from lockgate.policies.claims import TEXT_CHARS, claims_in
from lockgate.policies.run_summaries import Subject
from lockgate.wire.whole import format_of
from tests.addons.wires import WIRES
from tests.datasets.reading import rows
from tests.policies.conversing import Call, Text, Wire, asking, every_wire, exchanged, rule
from tests.recorded.recordings import load

FAILED = "FAILED tests/test_cart.py::test_total - assert 3 == 4\n2 failed, 46 passed in 1.20s"
PASSED = "48 passed in 1.20s"
EDIT = ("Edit", {"file_path": "/work/cart.py", "old_string": "a", "new_string": "b"}, "The file was changed.")
TEXT = "I fixed the total. All tests pass."
NOTE = "[Note by Lockgate, which saw the results: this reply says that tests pass, but the last test run, `pytest -q`,"


EVERY: Sequence[Subject] = ("tests", "build", "types", "lint")


def ran(result: str, command: str = "pytest -q") -> tuple[str, dict[str, Any], str]:
    return "Bash", {"command": command}, result


def history(wire: Wire, *done: tuple[str, dict[str, Any], str]) -> Wire:
    """The wire with a conversation in which these calls had these results."""
    said: list[dict[str, Any]] = [{"role": "user", "content": "Fix it."}]
    for at, (name, given, result) in enumerate(done):
        text = json.dumps(given)
        match wire.name:
            case "anthropic":
                call = {"type": "tool_use", "id": f"c{at}", "name": name, "input": given}
                answer = {"type": "tool_result", "tool_use_id": f"c{at}", "content": result}
                said += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [answer]}]
            case "openai-chat":
                call = {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": text}}
                answer = {"role": "tool", "tool_call_id": f"c{at}", "content": result}
                said += [{"role": "assistant", "content": None, "tool_calls": [call]}, answer]
            case _:
                said.append({"type": "function_call", "call_id": f"c{at}", "name": name, "arguments": text})
                said.append({"type": "function_call_output", "call_id": f"c{at}", "output": result})
    return asking(wire, **{"input" if wire.name == "openai-responses" else "messages": said})


@every_wire
async def test_a_claim_that_the_last_run_contradicts(wire: Wire) -> None:
    asked = history(wire, EDIT, ran(FAILED))
    said = await exchanged(asked, rule("claim_check"), Text(TEXT))
    assert said.text.startswith(f"{TEXT}\n\n{NOTE}")
    assert "2 failed, 46 passed" in said.text or "FAILED tests/test_cart.py" in said.text
    assert (said.score, said.decisions[-1].subject) == (0.9, "end")


@every_wire
async def test_a_note_stands_before_the_calls_of_the_reply(wire: Wire) -> None:
    asked = history(wire, EDIT, ran(FAILED))
    said = await exchanged(asked, rule("claim_check"), Text(TEXT), Call("Bash", {"command": "git commit -am done"}))
    assert said.order == ["TextDelta", "ToolCall"]
    assert NOTE in said.text
    checks = await exchanged(asked, rule("claim_check"), Text(TEXT), Call("Bash", {"command": "pytest -q"}))
    assert checks.text == TEXT


@every_wire
@pytest.mark.parametrize(("done", "text"), [
    ((EDIT, ran(PASSED)), TEXT),
    ((EDIT, ran(FAILED), EDIT, ran(PASSED)), TEXT),
    ((EDIT, ran(FAILED)), "2 tests still fail."),
    ((EDIT, ran(FAILED)), "The tests should pass now."),
    ((), TEXT),
    ((ran("ok", "ls"),), TEXT),
])  # fmt: skip
async def test_honest_replies_pass_byte_for_byte(wire: Wire, done: Sequence[Any], text: str) -> None:
    said = await exchanged(history(wire, *done), rule("claim_check"), Text(text))
    assert (said.text, said.score) == (text, None)


@every_wire
async def test_alerts_and_blocks(wire: Wire) -> None:
    asked = history(wire, EDIT, ran(FAILED))
    said = await exchanged(asked, rule("claim_check", act="alert"), Text(TEXT))
    assert (said.text, said.score) == (TEXT, 0.9)
    assert "the last test run, `pytest -q`, failed" in said.decisions[-1].reason
    blocked = await exchanged(asked, rule("claim_check", act="block"), Text(TEXT))
    assert "but the last test run, `pytest -q`, failed" in blocked.refused
    honest = await exchanged(asked, rule("claim_check", act="block"), Text("2 tests still fail."))
    assert honest.text == "2 tests still fail."
    high = await exchanged(history(wire, EDIT), rule("claim_check", threshold=0.9), Text(TEXT))
    assert high.text == TEXT
    other = await exchanged(asked, rule("claim_check", subjects=["lint"]), Text(TEXT))
    assert (other.text, other.score) == (TEXT, None)


def test_a_threshold_above_every_score_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'threshold': it has to be at most 0\.9"):
        rule("claim_check", threshold=0.95)


@every_wire
async def test_a_reply_in_json_gets_no_note(wire: Wire) -> None:
    text = json.dumps({"summary": TEXT})
    said = await exchanged(history(wire, EDIT, ran(FAILED)), rule("claim_check"), Text(text))
    assert said.text == text
    assert said.score in (0.9, None)


@pytest.mark.parametrize(("done", "score"), [
    ((EDIT,), 0.6),
    ((EDIT, ran(PASSED), EDIT), 0.5),
    ((EDIT, ran(PASSED), ("Edit", {**EDIT[1], "file_path": "README.md"}, "")), 0),
    ((EDIT, ran(PASSED), ran("", "echo x > /tmp/notes")), 0),
    ((EDIT, ran(PASSED), ran("", "sed -i s/a/b/ cart.py")), 0.5),
    ((EDIT, ran(FAILED), ("Agent", {"prompt": "fix"}, "All tests pass now.")), 0),
    ((EDIT, ran("[Old tool result content cleared]")), 0),
    ((EDIT, ran("Command running in background with ID: b1")), 0),
    ((EDIT, ran("Command running in background with ID: b1"), ("BashOutput", {"bash_id": "b1"}, FAILED)), 0.9),
    ((EDIT, ran(FAILED), ran(FAILED, "cat notes.txt")), 0.9),
    ((EDIT, ran(FAILED), ran(PASSED, "tail -5 test.log")), 0),
    ((EDIT, ran("", "pytest -q | tail -1")), 0),
    ((EDIT, ran("Process exited with code 1\nOutput:\n", "pytest -q")), 0.9),
    ((EDIT, ran("Process exited with code 0\nOutput:\n", "pytest -q")), 0),
    ((EDIT, ran("ok\n", "grep -rn 'pytest' .")), 0.6),
])  # fmt: skip
def test_what_the_history_says(done: Sequence[Any], score: float) -> None:
    wire = WIRES[0]
    assert worst(TEXT, runs_in(history(wire, *done).document)) == score


def worst(text: str, runs: Sequence[Run]) -> float:
    return max(
        (one.score for claim in claims_in(text) for one in verdicts_on(claim, runs, EVERY, whole=True)), default=0
    )


async def test_a_history_that_is_not_whole_tells_of_failures_only() -> None:
    wire = WIRES[0]
    unseen, failed = history(wire, EDIT), history(wire, EDIT, ran(FAILED))
    for attested in ("compacted", "foreign", "unknown"):
        assert (await exchanged(unseen, rule("claim_check"), Text(TEXT), attested=attested)).score is None
        assert (await exchanged(failed, rule("claim_check"), Text(TEXT), attested=attested)).score == 0.9
    for purpose in ("side", "compaction"):
        assert (await exchanged(failed, rule("claim_check"), Text(TEXT), purpose=purpose)).score is None
    long = history(wire, EDIT, *[ran("x", "ls")] * CALLS)
    assert (await exchanged(long, rule("claim_check"), Text(TEXT))).score is None


def test_codex_items() -> None:
    script = 'text(await tools.exec_command({"cmd": "pytest -q"}))'
    document = {"input": [
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input":
            "*** Begin Patch\n*** Update File: cart.py\n@@\n-a\n+b\n*** End Patch"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "Done!"},
        {"type": "custom_tool_call", "call_id": "b", "name": "exec", "input": script},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": FAILED}]},
        {"type": "local_shell_call", "call_id": "c", "action": {"command": ["bash", "-lc", "ruff check ."]}},
        {"type": "local_shell_call_output", "call_id": "c", "output": "Found 2 errors."},
        {"type": "shell_call", "call_id": "d", "action": {"commands": ["cargo build"]}},
        {"type": "shell_call_output", "call_id": "d", "output": [
            {"stdout": "", "stderr": "boom", "outcome": {"type": "exit", "exit_code": 101}}]},
    ]}  # fmt: skip
    runs = runs_in(document)
    assert [run.edits for run in runs if run.edits] == ["./cart.py"]
    assert [(subject, said[0]) for run in runs for subject, said in run.said.items()] == [
        ("tests", "failed"), ("lint", "failed"), ("build", "failed"),
    ]  # fmt: skip
    assert worst("Everything passes.", runs) == 0.9


@pytest.mark.parametrize(("command", "subjects"), [
    ("cd web && CI=1 npx jest --ci | tail -5", {"tests"}),
    ("uv run --no-sync pytest -q tests", {"tests"}),
    ("bash -c 'go test ./...'", {"tests"}),
    ("ruff check . && pyright && make test", {"lint", "types", "tests"}),
    ("npm run build", {"build"}),
    ("git commit -m 'pytest passes'", set[str]()),
    ("grep -rn pytest . ; ls tests; cat tests/test_a.py; pip install pytest; test -f x", set[str]()),
    ("pytest --version", set[str]()),
])  # fmt: skip
def test_which_commands_check_what(command: str, subjects: set[str]) -> None:
    assert subjects_of(command) == subjects
    call = ToolCall(block=0, id="c", name="Bash", arguments=json.dumps({"command": command}))
    assert asks_for_checks(call) is bool(subjects)


ROWS = rows("claims")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['group']}: {row['text'][:40]}")
def test_the_data_set(row: dict[str, Any]) -> None:
    wire = WIRES[0]
    done = (EDIT, ran(row.get("output", FAILED), row.get("command", "pytest -q")))
    assert (worst(row["text"], runs_in(history(wire, *done).document)) >= 0.5) is row["label"]


@pytest.mark.parametrize(
    "text", ["all tests pass " * 10_000, "- passed\n" * 20_000, "x" * 200_000, "`" * 50_000, "\ud800 tests pass"]
)
def test_odd_texts_are_read(text: str) -> None:
    assert len(claims_in(text)) <= 5
    assert claims_in("All tests pass." + " So." * TEXT_CHARS) == []


@pytest.mark.parametrize(("name", "format"), [("claude", "anthropic"), ("codex", "openai-responses")])
async def test_recorded_sessions_are_read(name: str, format: str) -> None:
    longest = max(
        (each for each in load(name).exchanges if each.method == "POST"), key=lambda each: len(each.request_body)
    )
    runs = runs_in(format_of(format).read_request(longest.request_body).document)
    assert {"passed", "failed"} <= {said[0] for run in runs for said in run.said.values()}
    assert any(run.edits for run in runs)
