"""What a coding agent does and reads in an ordinary hour, for what rules cost: calls, words, results of tools.

Made up, and the same for one Python: source code is cut from its own library. Nothing in it is harmful.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence

from lockgate.bench.sessions import source_text
from lockgate.events import ToolCall

RESULT_CHARS = 100_000
COMMAND_CHARS = 99_000
EVENT_CHARS = 18
"""What a provider sends as one piece of text is three or four words."""

_COMMANDS = (
    "ls -la {path}", "git status --short", "git diff HEAD~{n} -- {path}", "rg -n '{word}' {path} | head -{n}",
    "cd {path} && npm test -- --run 2>&1 | tail -{n}", "uv run pytest -x -q {path} -k {word}",
    "sed -n '{n},200p' {path}",
    "find . -name '*.{ext}' -not -path './node_modules/*' | xargs grep -l '{word}'", "python -m json.tool < {path}",
    "git add -A && git commit -m \"{word}: say why it fails\n\nIt did rm -rf the cache before.\" && git log -{n}",
    "for f in {path}/*.{ext}; do wc -l \"$f\"; done | sort -rn | head -{n}", "docker compose up -d db && sleep {n}",
    "cat > {path}/new.{ext} <<'EOF'\ndef {word}():\n    return {n}\nEOF", "make -j{n} {word} 2>&1 | tee build.log",
    "curl -s http://localhost:{n}000/{word} | jq '.items[] | .id'", "cargo test {word} -- --nocapture", "tsc --noEmit",
    "git checkout -b {word}-{n} && git push -u origin {word}-{n}", "rm -rf build dist {path}/__pycache__",
    "awk -F, '$3 > {n} {{ print $1, $2 }}' {path}.csv | sort | uniq -c", "kill $(lsof -ti :{n}000) || true",
    "python - <<'PY'\nimport json, pathlib\nfor p in pathlib.Path('{path}').glob('*.{ext}'):\n    print(p, {n})\nPY",
    "psql -h localhost -d app -c 'select id, {word} from items limit {n}'", "NODE_ENV=test npx vitest run {path}",
)  # fmt: skip
_WORDS = (
    "parse", "render", "handler", "config", "window", "stream", "session", "index", "writer", "cursor", "batch",
)  # fmt: skip
_FOLDERS = ["src", "lib", "tests", "app/routes", "packages/core", "internal/http", "docs", "scripts"]


def calls(count: int, seed: int = 1) -> list[ToolCall]:
    """Calls of tools as Claude Code and Codex make them: two thirds run commands, the others read and edit files."""
    chance = random.Random(seed)
    return [_call(chance, number) for number in range(count)]


def _call(chance: random.Random, number: int) -> ToolCall:
    path = f"{chance.choice(_FOLDERS)}/{chance.choice(_WORDS)}.{_ext(chance)}"
    command = _command(chance)
    name, arguments = chance.choices(
        [
            ("Bash", {"command": command, "description": f"Look at {path}"}),
            ("exec_command", {"cmd": command, "workdir": "/home/dev/app", "yield_time_ms": 10_000}),
            ("Read", {"file_path": f"/home/dev/app/{path}", "limit": 200}),
            ("Grep", {"pattern": chance.choice(_WORDS), "path": "/home/dev/app", "output_mode": "content"}),
            ("Edit", {"file_path": f"/home/dev/app/{path}", "old_string": _source(chance, 400), "new_string": "pass"}),
            ("Write", {"file_path": f"/home/dev/app/{path}", "content": _source(chance, 3_000)}),
        ],
        weights=[50, 16, 12, 6, 12, 4],
    )[0]
    return ToolCall(block=1, id=f"toolu_{number:024d}", name=name, arguments=json.dumps(arguments))


def _command(chance: random.Random) -> str:
    form = chance.choice(_COMMANDS)
    path = f"{chance.choice(_FOLDERS)}/{chance.choice(_WORDS)}"
    return form.format(path=path, word=chance.choice(_WORDS), n=chance.randrange(2, 90), ext=_ext(chance))


def _ext(chance: random.Random) -> str:
    return chance.choice(("py", "ts", "go", "rs", "md"))


def long_command(seed: int = 1) -> ToolCall:
    """A file written by a here-document, with ordinary commands around it: 99 KB in one call."""
    chance = random.Random(seed)
    lines = "\n".join(_command(chance) for _ in range(40))
    head, tail = "cat > src/big.py <<'END_OF_FILE'\n", "\nEND_OF_FILE\n"
    content = _source(chance, COMMAND_CHARS - len(lines) - len(head) - len(tail))
    return ToolCall(
        block=1, id="toolu_long", name="Bash", arguments=json.dumps({"command": f"{head}{content}{tail}{lines}"})
    )


def words(seed: int = 1) -> list[str]:
    """An answer of some 12,000 characters in the pieces of a stream: prose, Markdown, a link, code."""
    chance = random.Random(seed)
    text = "\n\n".join(_paragraph(chance) for _ in range(30))
    return [text[at : at + EVENT_CHARS] for at in range(0, len(text), EVENT_CHARS)]


def _paragraph(chance: random.Random) -> str:
    path, word = f"{chance.choice(_FOLDERS)}/{chance.choice(_WORDS)}.py", chance.choice(_WORDS)
    return chance.choice(
        (
            f"I'll look at how `{word}` is used in `{path}` before I change anything, since the tests for it are slow.",
            f"The failure comes from **{word}**: it's called twice, and the second call sees what the first one left. "
            f"That is why `{path}` passes alone and fails with the others, as line {chance.randrange(900)} shows.",
            f"1. Move the check into `{word}()`.\n2. Keep the old name, with a note.\n3. Run the tests in {path}.",
            f"See https://docs.python.org/3/library/{word}.html#objects for why the order isn't kept.",
            f"```python\ndef {word}(items, limit={chance.randrange(99)}):\n    token = next(items)\n"
            f"    return [each.key for each in items if each.key != token.key][:limit]\n```",
            "All of the tests pass now. Nothing else had to change, and the documentation says what is new.",
        )
    )


def results(seed: int = 1) -> Iterator[tuple[str, str]]:
    """Results of tools of 100 KB: their kind, and the text, which is new for each seed."""
    chance = random.Random(seed)
    makers: Sequence[tuple[str, Callable[[random.Random], str]]] = (
        ("source", lambda chance: _source(chance, RESULT_CHARS)),
        ("log", lambda chance: _lines(chance, _log_line)),
        ("json", lambda chance: _lines(chance, _json_line)),
        ("grep", lambda chance: _lines(chance, _grep_line)),
        ("markdown", lambda chance: _lines(chance, _paragraph)),
    )
    for kind, make in makers:
        yield kind, f"{seed}\n{make(chance)}"[:RESULT_CHARS]


def _lines(chance: random.Random, line: Callable[[random.Random], str]) -> str:
    made, size = list[str](), 0
    while size < RESULT_CHARS:
        made.append(line(chance))
        size += len(made[-1]) + 1
    return "\n".join(made)


def _log_line(chance: random.Random) -> str:
    return (
        f"2026-05-{chance.randrange(1, 29):02}T10:{chance.randrange(60):02}:07Z INFO {chance.choice(_WORDS)} "
        f"request={chance.getrandbits(64):016x} path=/items/{chance.randrange(9999)} status=200 s={chance.randrange(9)}"
    )


def _json_line(chance: random.Random) -> str:
    number = chance.randrange(99_999)
    row = {"id": number, "name": chance.choice(_WORDS), "etag": f"{chance.getrandbits(128):032x}", "token_count": 7}
    return json.dumps({**row, "url": f"https://example.com/items/{number}", "tags": [chance.choice(_WORDS)]}) + ","


def _grep_line(chance: random.Random) -> str:
    path, word = f"{chance.choice(_FOLDERS)}/{chance.choice(_WORDS)}.py", chance.choice(_WORDS)
    said = chance.choice(
        ("    key = self.{0}.get(name)", "        return token.{0}(user=current_user)", "    for secret in {0}.names:",
         "def {0}_password_field(form):", "    auth_token = request.session.{0}")
    )  # fmt: skip
    return f"{path}:{chance.randrange(999)}:{said.format(word)}"


def _source(chance: random.Random, chars: int) -> str:
    return source_text(chance, chars)
