"""Codex's recorded sessions: a long one, a short one of a model with other tools, and one that sums up by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.clients import codex_home, install
from tests.clients.agents import codex
from tests.recorded.app_server import AppServer
from tests.recorded.lines import Lines, call, shell
from tests.recorded.recordings import Recording
from tests.recorded.stage import HOME, PROJECT, Stage, neutral_path, staged
from tests.upstream.received import Received
from tests.upstream.rendering import CREATED, sse
from tests.upstream.script import Answer, Call, Plain, Reply, Usage

VERSION = "0.169.0"
MODEL, MODEL_WITH_SCRIPTS = "gpt-5.5", "gpt-5.6-sol"
FULL = Usage(input=990_000, cached=989_000, output=300)
"""More than is left of the model's window: the client compacts before it goes on."""
OWN_PROVIDER = (
    *("-c", "model_provider=own"),
    *("-c", 'model_providers.own={name="Own",base_url="https://api.openai.com/v1",env_key="OPENAI_API_KEY"}'),
)
"""Of a provider that is not OpenAI's, the client asks for a summary in words."""
AGENTS = "multi_agent_v1"


def casting(received: Received) -> str:
    """The client says itself what a request is for."""
    said = json.loads(received.header("x-codex-turn-metadata") or "{}")
    if said.get("request_kind") != "turn":
        return str(said.get("request_kind"))
    if not received.header("x-openai-subagent"):
        return "main"
    tasks = re.findall(r"Your task: (\w+)", json.dumps([item for item in _items(received) if _is_users(item)]))
    return f"agent:{tasks[-1] if tasks else 'unknown'}"


def _items(received: Received) -> list[dict[str, Any]]:
    return received.document["input"]


def _is_users(item: dict[str, Any]) -> bool:
    return item.get("role") == "user"


class Play:
    """The runs in order. `session` is the id that the client gave to the conversation."""

    def __init__(self, stage: Stage, seed: int, *options: str) -> None:
        self.stage, self.lines, self.session = stage, Lines(seed), ""
        self._command = [str(install.codex_binary()), "exec", *options]

    async def run(self, prompt: str, *words: str) -> None:
        options = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json")
        ran = await self.stage.act([*self._command, *words[:1], *options, *words[1:], prompt])
        told = [json.loads(line) for line in ran.out.split("\n") if line]
        self.session = self.session or next(one["thread_id"] for one in told if one["type"] == "thread.started")

    async def first(self) -> None:
        say = self.lines.reply
        self.stage.open("first", "start")
        edit = "sed -i 's/\\[name\\] = count/[name] = self.lines.get(name, 0) + count/' shop/cart.py"
        self.stage.expect(
            {
                "main": [
                    say("I will look at the project first.", shell("ls -R"), think=60),
                    say("Three files matter. I read them together.", shell("cat shop/prices.py"),
                        shell("cat shop/cart.py"), shell("cat tests/test_cart.py"), think=30),
                    say(shell("python3 -m unittest 2>&1")),
                    say("It fails as you said.", shell("grep -rn 'add(' shop tests"), think=90),
                    say("`add` overwrites the count.", shell(edit), think=120),
                    say(shell("python3 -m unittest 2>&1"), shell("cat missing.txt")),
                    say("Neither matters here.", call("view_image", path=f"{PROJECT}/receipt.png"), think=20),
                    say("The receipt is as expected.", shell("python3 -c 'print(1/0)'")),
                    say(shell("python3 -c \"print('naïve café 注文 🍵 \\u2028 \\x7f')\""), think=15),
                    say(shell(f"cat > NOTES.md <<'END'\n{self.lines.words(250)}\nEND"), think=25),
                    say("Done: `add` now counts.", think=35),
                ]
            }
        )  # fmt: skip
        await self.run("Adding tea twice to the cart counts it once. Find out why and fix it, please.")

    async def second(self) -> None:
        say = self.lines.reply
        self.stage.open("second", "resume", of="first")
        steps = [
            say(f"Step {step}. {self.lines.words(40)}", shell(f"python3 -c 'print(\"step {step}\", {step} * 7)'"),
                think=50 if step % 2 else 0)
            for step in range(1, 11)
        ]  # fmt: skip
        long = say("The whole list, for the record.", shell("python3 -c 'print(*range(2000))'"), think=15)
        self.stage.expect({"main": [*steps, long, say("All ten steps are done.", think=20)]})
        await self.run("Go through the ten steps of the checklist.", "resume", "--last")

    async def fork(self) -> None:
        say = self.lines.reply
        self.stage.open("fork", "fork", of="second")
        self.stage.expect(
            {
                "main": [
                    say("In this copy I try decimals.", shell("grep -n discount shop/cart.py"), think=40),
                    say(shell("cat shop/prices.py"), shell("cat NOTES.md")),
                    say("Decimals would be slower and no more exact here.", think=30),
                ]
            }
        )
        await self.run("Try decimals instead.", "fork", self.session)

    async def agents(self) -> None:
        """Goes on beside the fork, with two sub-agents; one of them is given the conversation so far."""
        say = self.lines.reply
        self.stage.open("agents", "resume", of="second")
        self.stage.expect(
            {
                "main": [
                    say("Two helpers can look around at the same time.",
                        _agent("survey", "List every place that computes money."),
                        _agent("review", "Review shop/cart.py for other bugs.", fork_context=True), think=40),
                    self._wait,
                    self._wait,
                    say("Both have told what they found.", think=25),
                ],
                "agent:survey": [
                    say("I look for money.", shell("grep -rn cents shop")),
                    say("Money is computed in `prices.discount` and `Cart.total`."),
                ],
                "agent:review": [
                    say(shell("cat shop/cart.py"), think=20),
                    say("A discount is rounded for each piece.", think=45),
                ],
            }
        )  # fmt: skip
        await self.run("Let two helpers look around.", "resume", self.session)

    def _wait(self, received: Received) -> Reply:
        """Waits for the first helper, then for the second: by the ids that the client gave them."""
        ids = re.findall(r'agent_id\\":\\"([0-9a-f-]+)', json.dumps(received.document["input"]).replace("\\\\", "\\"))
        asked = sum(item.get("name") == "wait_agent" for item in _items(received))
        wait = Call("wait_agent", {"targets": [ids[asked]], "timeout_ms": 60_000}, namespace=AGENTS)
        return self.lines.reply(wait, think=10)

    async def full(self) -> None:
        """Fills the window: the client has the provider compact in the midst of a turn."""
        say = self.lines.reply
        self.stage.open("full", "resume", of="agents")
        self.stage.expect(
            {
                "main": [
                    say("I look at the notes.", shell("head -n 3 NOTES.md"), think=40),
                    say(shell("wc -l NOTES.md"), shell("wc -l README.md"), usage=FULL),
                    say("I go on after the compaction.", shell("python3 -m unittest 2>&1"), think=25),
                    say("Still green."),
                ],
                "compaction": [self._compacted],
            }
        )
        await self.run("What do the notes say?", "resume", self.session)

    async def third(self, of: str, name: str) -> None:
        say = self.lines.reply
        self.stage.open(name, "resume", of=of)
        steps = [say(shell(f"sed -n {step}p README.md"), think=25) for step in range(1, 6)]
        self.stage.expect({"main": [*steps, say("The README is fine. " + self.lines.words(80), think=20)]})
        await self.run("Check the README line by line.", "resume", self.session)

    async def compact(self) -> None:
        """What a person's /compact does."""
        self.stage.open("compact", "compact", of="third")
        self.stage.expect({"compaction": [self._compacted]})
        async with AppServer.started(self._command[0], self.stage) as server:
            await server.ask("thread/resume", threadId=self.session)
            await server.ask("thread/compact/start", threadId=self.session)
            await server.told("turn/completed")
        self.stage.over("")

    async def rewind(self) -> None:
        """Takes back the last prompt, and says another in its place: a copy that ends one turn earlier."""
        say = self.lines.reply
        self.stage.open("rewind", "rewind", of="fourth")
        self.stage.expect({"main": [say("A file, then.", shell("echo file"), think=20), say("One file is enough.")]})
        async with AppServer.started(self._command[0], self.stage) as server:
            found = await server.ask("thread/resume", threadId=self.session)
            kept = found["thread"]["turns"][-2]["id"]
            copy = await server.ask("thread/fork", threadId=self.session, lastTurnId=kept)
            words: list[Any] = [{"type": "text", "text": "Make it a file.", "text_elements": []}]
            options: dict[str, Any] = {"approvalPolicy": "never", "sandboxPolicy": {"type": "dangerFullAccess"}}
            await server.ask("turn/start", threadId=copy["thread"]["id"], input=words, **options)
            await server.told("turn/completed")
        self.stage.over("")

    def _compacted(self, received: Received) -> Plain:
        """What the provider gives for a `compaction_trigger`: one item that only it can read."""
        item = {"id": f"cmp_{received.number:04}", "type": "compaction", "encrypted_content": self.lines.secret(900)}
        begun: dict[str, Any] = {
            "id": f"resp_{received.number:04}", "object": "response", "created_at": CREATED, "status": "in_progress",
            "model": received.model, "output": [], "usage": None,
        }  # fmt: skip
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": 21_000, "output_tokens": 700, "total_tokens": 21_700, **details}
        done = begun | {"status": "completed", "output": [item], "usage": usage}
        events: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": begun}),
            ("response.output_item.added", {"output_index": 0, "item": item}),
            ("response.output_item.done", {"output_index": 0, "item": item}),
            ("response.completed", {"response": done}),
        ]
        body = [sse({"type": kind, "sequence_number": at, **data}, kind) for at, (kind, data) in enumerate(events)]
        return Plain(200, {"content-type": "text/event-stream; charset=utf-8"}, body)


def _agent(name: str, prompt: str, **options: Any) -> Call:
    return Call("spawn_agent", {"message": f"Your task: {name}. {prompt}", **options}, namespace=AGENTS)


async def with_scripts(play: Play) -> None:
    """A model whose tools stand in the conversation, and are called from JavaScript."""
    say = play.lines.reply
    play.stage.open("scripts", "start")
    steps = [shell("ls"), shell("cat shop/cart.py"), shell("python3 -m unittest 2>&1")]
    lines: list[Answer] = [say(f"Step {at}.", step, think=30) for at, step in enumerate(steps, 1)]
    play.stage.expect({"main": [*lines, say("All is well.", think=20)]})
    await play.run("Is the shop in order?")
    play.stage.open("scripts-again", "resume", of="scripts")
    play.stage.expect({"main": [say(shell("head -n 1 README.md"), think=10), say("It is called Shop.")]})
    await play.run("What is it called?", "resume", play.session)


async def with_own_summary(play: Play) -> None:
    """A provider that cannot compact: the client asks the model for a summary in words."""
    say = play.lines.reply
    play.stage.open("summary", "start")
    play.stage.expect(
        {
            "main": [
                say("I look at the cart.", shell("cat shop/cart.py"), think=30),
                say("And at the prices.", shell("cat shop/prices.py"), usage=FULL),
                say("I go on after the summary.", shell("python3 -m unittest 2>&1"), think=25),
                say("All is well."),
            ],
            "compaction": [say(f"## Progress\n\nThe cart was read.\n\n{play.lines.words(150)}", think=20)],
        }
    )
    await play.run("Is the cart in order?")
    play.stage.open("summary-again", "resume", of="summary")
    play.stage.expect({"main": [say(shell("head -n 1 README.md"), think=10), say("It is called Shop.")]})
    await play.run("What is it called?", "resume", play.session)


async def record() -> Recording:
    """Plays it all. Raises AssertionError where the client does something else than what was written for it."""
    environment: Callable[..., dict[str, str]] = codex(MODEL).environment
    async with staged("codex", casting, lambda home: environment(home) | neutral_path()) as stage:
        play = Play(stage, 2)
        await play.first()
        await play.second()
        await play.fork()
        await play.agents()
        await play.full()
        await play.third("full", "third")
        await play.compact()
        await play.third("compact", "fourth")
        await play.rewind()
        await with_own_summary(Play(stage, 3, *OWN_PROVIDER))
        codex_home.configure(HOME / ".codex", MODEL_WITH_SCRIPTS)
        await with_scripts(Play(stage, 4))
        return stage.recording("Codex", VERSION)
