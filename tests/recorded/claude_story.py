"""Claude Code's recorded session: a bug is fixed over several runs, with all that a long session meets on its way."""

from __future__ import annotations

import json
from typing import Any

from tests.clients import install
from tests.clients.agents import ANTHROPIC_KEY, claude
from tests.recorded.lines import Lines, call, shell
from tests.recorded.recordings import Recording
from tests.recorded.stage import HOME, PROJECT, Stage, neutral_path, staged
from tests.recorded.terminal import Terminal
from tests.upstream.received import Received
from tests.upstream.script import Failure, Reply, Text, Usage

VERSION = "2.1.330"
FULL = Usage(input=985_000, cached=984_000, output=300)
"""More than is left of the model's window: the client compacts before it goes on."""


def casting(received: Received) -> str:
    """The client says itself what a request is for, but only for conversations."""
    kind = received.header("x-claude-code-request-class")
    if kind == "subagent":
        return f"agent:{_task(received)}"
    if kind != "auxiliary":
        return kind
    return "title" if "naming a coding session" in json.dumps(received.document.get("system", "")) else "other"


def _task(received: Received) -> str:
    """A sub-agent's first word, from the prompt that it was given."""
    text = json.dumps(received.document["messages"])
    return next((name for name in ("survey", "review", "watch") if f"Your task: {name}" in text), "unknown")


class Play:
    """The runs in order. `session` is the id that the client gave to the conversation."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.lines, self.session = stage, Lines(1), ""

    async def run(self, prompt: str, *options: str) -> list[dict[str, Any]]:
        command = [str(install.claude_binary()), "-p", "--dangerously-skip-permissions"]
        ran = await self.stage.act([*command, "--output-format", "stream-json", "--verbose", *options, prompt])
        told = [json.loads(line) for line in ran.out.split("\n") if line]
        self.session = self.session or told[0]["session_id"]
        return told

    async def first(self) -> None:
        say, path = self.lines.reply, f"{PROJECT}/shop"
        look = [call("Read", file_path=f"{path}/{name}") for name in ("prices.py", "cart.py", "__init__.py")]
        self.stage.open("first", "start")
        self.stage.expect(
            {
                "main": [
                    say("I will look at the project first.", shell("ls -R"), think=60),
                    say("Three files matter. I read them together.", *look, think=30),
                    say(call("Read", file_path=f"{PROJECT}/tests/test_cart.py"), shell("python3 -m unittest")),
                    say("The test fails as you said. Let me see where `add` is used.", shell("grep -rn 'add(' ."),
                        think=90),
                    say("Two helpers can look around at the same time.",
                        _agent("survey", "List every place that computes money."),
                        _agent("review", "Review shop/cart.py for other bugs."), think=40),
                    say("`add` overwrites the count.", call("Edit", file_path=f"{path}/cart.py",
                        old_string="        self.lines[name] = count",
                        new_string="        self.lines[name] = self.lines.get(name, 0) + count"), think=120),
                    say(shell("python3 -m unittest")),
                    say("It passes. A discount must not be rounded for each piece.", call("Edit",
                        file_path=f"{path}/cart.py",
                        old_string="sum(discount(price(name), percent) * count for name, count in self.lines.items())",
                        new_string="discount(sum(price(name) * count for name, count in self.lines.items()), percent)"),
                        think=70),
                    say(call("Read", file_path=f"{PROJECT}/receipt.png"), think=20),
                    say("The receipt is as expected.", shell("cat missing.txt"), shell("python3 -c 'print(1/0)'")),
                    say("Neither matters here.", call("Write", file_path=f"{PROJECT}/NOTES.md",
                        content=f"# Notes\n\n{self.lines.words(300)}\n"), think=25),
                    say(shell("python3 -c \"print('naïve café 注文 🍵 \\u2028 \\x7f')\"")),
                    say("Done: `add` now counts, and the discount is taken once.", think=35),
                ],
                **self._helpers(),
            }
        )  # fmt: skip
        await self.run("Adding tea twice to the cart counts it once. Find out why and fix it, please.")

    def _helpers(self) -> dict[str, list[Reply]]:
        """What the two sub-agents say that look around at the same time."""
        say, path = self.lines.reply, f"{PROJECT}/shop"
        return {
            "agent:survey": [
                say("I look for money.", shell("grep -rn cents shop")),
                say(call("Read", file_path=f"{path}/prices.py")),
                say("Money is computed in `prices.discount` and `Cart.total`."),
            ],
            "agent:review": [
                say(call("Read", file_path=f"{path}/cart.py"), think=20),
                say("`add` replaces the count, and a discount is rounded per piece.", think=45),
            ],
        }

    async def second(self) -> None:
        say = self.lines.reply
        self.stage.open("second", "resume", of="first")
        steps = [
            say(f"Step {step}. {self.lines.words(40)}", shell(f"python3 -c 'print(\"step {step}\", {step} * 7)'"),
                think=50 if step % 2 else 0)
            for step in range(1, 13)
        ]  # fmt: skip
        long = say("The whole list, for the record.", shell("python3 -c 'print(*range(2000))'"), think=15)
        self.stage.expect(
            {
                "main": [
                    *steps[:4],
                    Failure(529, "Overloaded", "overloaded_error", headers={"retry-after": "0"}),
                    *steps[4:],
                    long,
                    say("All twelve steps are done.", think=20),
                ]
            }
        )
        await self.run("Go through the twelve steps of the checklist.", "--continue")

    async def fork(self) -> None:
        say = self.lines.reply
        self.stage.open("fork", "fork", of="second")
        self.stage.expect(
            {
                "main": [
                    say("In this copy I try decimals.", shell("grep -n discount shop/*.py"), think=40),
                    say(call("Read", file_path=f"{PROJECT}/shop/prices.py"),
                        call("Read", file_path=f"{PROJECT}/NOTES.md")),
                    say("Decimals would be slower and no more exact here.", think=30),
                ]
            }
        )  # fmt: skip
        await self.run("Try decimals instead.", "--resume", self.session, "--fork-session")

    async def third(self) -> None:
        """Goes on beside the fork."""
        say = self.lines.reply
        self.stage.open("third", "resume", of="second")
        steps = [say(shell(f"sed -n {step}p README.md"), think=25) for step in range(1, 6)]
        self.stage.expect({"main": [*steps, say("The README is fine. " + self.lines.words(120), think=20)]})
        await self.run("Check the README line by line.", "--resume", self.session)

    async def background(self) -> None:
        """A sub-agent in the background, whose end the client tells by itself."""
        say = self.lines.reply
        self.stage.open("background", "resume", of="third")
        self.stage.expect(
            {
                "main": [
                    say("It watches while I answer.",
                        _agent("watch", "Run the tests.", run_in_background=True), think=10),
                    say("The tests run in the background."),
                    say("The watcher says that they pass.", think=15),
                ],
                "agent:watch": [say(shell("sleep 2; python3 -m unittest")), say("All tests pass.")],
            }
        )  # fmt: skip
        await self.run("Let somebody run the tests meanwhile.", "--resume", self.session)

    async def compact(self) -> None:
        self.stage.open("compact", "compact", of="background")
        self.stage.expect({"compaction": [self.lines.reply(self._summary("Fix the cart."), think=30)]})
        await self.run("/compact Keep what was decided about rounding.", "--resume", self.session)

    async def fourth(self) -> list[dict[str, Any]]:
        """Goes on after the summary, and fills the window in its midst: the client compacts once more by itself."""
        say = self.lines.reply
        self.stage.open("fourth", "resume", of="compact")
        self.stage.expect(
            {
                "main": [
                    say("I remember: the discount is taken once.", think=30),
                ]
            }
        )
        told = await self.run("What did we decide about rounding?", "--resume", self.session)
        self.stage.open("fifth", "resume", of="fourth")
        self.stage.expect(
            {
                "main": [
                    say("I write it down.", shell("echo 'Round once.' >> NOTES.md"), think=40),
                    say(shell("tail -n 1 NOTES.md"), shell("wc -l NOTES.md"), usage=FULL),
                    say("It is written down.", shell("python3 -m unittest"), think=25),
                    say("Still green."),
                ],
                "compaction": [say(self._summary("Write down the decision."))],
            }
        )
        await self.run("Write that into the notes.", "--resume", self.session)
        return told

    async def rewind(self) -> None:
        """Takes back one prompt, and says another in its place."""
        say = self.lines.reply
        self.stage.open("sixth", "resume", of="fifth")
        self.stage.expect({"main": [say("A list would do.", think=20)]})
        told = await self.run("How would you store orders?", "--resume", self.session)
        kept = next(one["uuid"] for one in told if one["type"] == "assistant")
        self.stage.open("seventh", "resume", of="sixth")
        self.stage.expect({"main": [say("I begin with a table.", shell("echo table"), think=20), say("There it is.")]})
        await self.run("Make it a database.", "--resume", self.session)
        self.stage.open("rewind", "rewind", of="sixth")
        self.stage.expect({"main": [say("A file, then.", shell("echo file"), think=20), say("One file is enough.")]})
        await self.run("Make it a file.", "--resume", self.session, "--resume-session-at", kept)

    async def interactive(self) -> None:
        """A person at a terminal begins another conversation, which the client gives a title of its own accord."""
        say = self.lines.reply
        self.stage.open("interactive", "start")
        self.stage.expect(
            {
                "title": [Reply([Text('{"title":"Shop folder"}')])],
                "main": [
                    say("I look.", shell("ls"), think=10),
                    say("It holds a small shop.", think=10),
                    say("You are welcome."),
                ],
            }
        )
        _spare_questions()
        environment = {**self.stage.environment, **self.stage.proxy}
        del environment["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"]  # else there are no titles
        command = [str(install.claude_binary()), "--dangerously-skip-permissions"]
        async with Terminal.started(command, environment, PROJECT) as terminal:
            await terminal.until(lambda: b"permissions" in terminal.drawn)
            await terminal.says("What is in this folder?")
            await terminal.until(lambda: len(self.stage.lines["main"]) == 1 and self.stage.is_quiet)
            await terminal.until(lambda: b"small" in terminal.drawn)
            await terminal.says("Thank you!")
            await terminal.until(lambda: not any(self.stage.lines.values()) and self.stage.is_quiet)
        self.stage.over(terminal.drawn.decode(errors="replace")[-2000:])

    def _summary(self, aim: str) -> str:
        """As the client's request asks for it: a part for the model itself, then what is kept."""
        analysis = f"<analysis>\n{self.lines.words(80)}\n</analysis>"
        kept = f"1. Primary Request and Intent:\n   {aim}\n\n{self.lines.words(200)}"
        return f"{analysis}\n\n<summary>\n{kept}\n</summary>"


def _spare_questions() -> None:
    """Answers beforehand what the client asks a person at its first start."""
    key = ANTHROPIC_KEY["ANTHROPIC_API_KEY"]
    file = HOME / ".claude.json"
    known = json.loads(file.read_text())
    answers: dict[str, Any] = {
        "hasCompletedOnboarding": True,
        "bypassPermissionsModeAccepted": True,
        "customApiKeyResponses": {"approved": [key[-20:]], "rejected": []},
        "projects": {str(PROJECT): {"hasTrustDialogAccepted": True}},
    }
    file.write_text(json.dumps(known | answers))
    (HOME / ".claude" / "settings.json").write_text(json.dumps({"skipDangerousModePermissionPrompt": True}))


def _agent(name: str, prompt: str, **options: Any) -> Any:
    options = {"run_in_background": False} | options
    task = f"Your task: {name}. {prompt}"
    return call("Agent", description=name, prompt=task, subagent_type="general-purpose", **options)


async def record() -> Recording:
    """Plays it all. Raises AssertionError where the client does something else than what was written for it."""
    agent = claude()
    async with staged("claude", casting, lambda home: agent.environment(home) | neutral_path()) as stage:
        play = Play(stage)
        await play.first()
        await play.second()
        await play.fork()
        await play.third()
        await play.background()
        await play.compact()
        await play.fourth()
        await play.rewind()
        await play.interactive()
        return stage.recording("Claude Code", VERSION)
