"""`lockgate policy new`: the beginning of a policy, with its test."""

from __future__ import annotations

import keyword
from pathlib import Path
from string import Template

from lockgate.errors import ConfigError

POLICY = Template('''\
"""`$name`: refuses tool calls that hold certain words."""

from collections.abc import Iterable

from pydantic import Field

from lockgate import Blocked, Event, Exchange, Policy, ToolCall
from lockgate.config import Section


class Options(Section):
    """Which words."""

    words: list[str] = Field(default=["hunter2"], min_length=1)
    """Calls whose arguments hold one of these do not pass."""


class $class_name(Policy):
    """Refuses tool calls whose arguments hold certain words.

    Example:
        words: [hunter2]
    """

    Options = Options

    async def on_tool_call(self, call: ToolCall, x: Exchange) -> Iterable[Event]:
        for word in self.options.words:
            if word in call.arguments:
                raise Blocked("Such a call is not allowed here.", reason=f"it holds the word {word}")
        return (call,)
''')

TEST = Template('''\
"""What `$name` lets pass, and what not."""

from $name import $class_name

from lockgate.testing import call, reply_through


def test_harmless_calls_pass():
    harmless = call("Bash", command="ls -l")
    passed = reply_through($class_name, "I look around.", harmless)
    assert passed.text == "I look around."
    assert passed.calls == (harmless,)


def test_calls_with_the_word_do_not():
    passed = reply_through($class_name, call("Send", body="it is hunter2"))
    assert passed.calls == ()
    assert "Such a call is not allowed here." in passed.text


def test_the_words_are_options():
    passed = reply_through($class_name, call("Send", body="it is hunter2"), words=["other"])
    assert len(passed.calls) == 1
''')


def new(name: str, /, *, folder: Path = Path()) -> None:
    """Write a policy and its test, to be changed into what you need.

    Parameters
    ----------
    name
        The policy's name, such as no_secrets: the files are NAME.py and test_NAME.py.
    folder
        Where to write them.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower() or name.startswith("_"):
        raise ConfigError(f"'{name}' is no name for a policy: take small letters, digits and _, such as no_secrets")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    texts = {folder / f"{name}.py": POLICY, folder / f"test_{name}.py": TEST}
    if there := next((file for file in texts if file.exists()), None):
        raise ConfigError(f"{there} is there already; take another name or --folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        file.write_text(text.substitute(name=name, class_name=class_name), "utf-8")
    print(f"Wrote {' and '.join(map(str, texts))}.")
    print(f"Test it with `pytest {folder / f'test_{name}.py'}`, and put it into the rules of lockgate.yaml:\n")
    print(f"  - name: {name.replace('_', '-')}\n    use: ./{name}.py:{class_name}")
