"""Which files shell commands run: scripts, recipes, what a tool builds and tests, hooks. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.policies.danger.rules import line, operands, value
from lockgate.policies.flows.places import Doing
from lockgate.policies.patterns import finds
from lockgate.policies.shell.follow import INTERPRETERS, script_file
from lockgate.policies.shell.model import Command, versionless
from lockgate.policies.shell.paths import Place, place

_MAKES = ("make", "gmake", "just", "task", "npm", "pnpm", "yarn", "bun", "cargo", "go", "poetry", "tox", "gradle", "mvn", "pytest", "docker", "docker-compose", "cmake", "ninja", "rake", "bundle", "composer", "pip", "pip3", "uv")  # fmt: skip
_RECIPES = {
    **dict.fromkeys(("make", "gmake"), ("Makefile",)),
    **dict.fromkeys(("npm", "pnpm", "yarn", "bun"), ("package.json",)),
    **dict.fromkeys(("pytest", "tox"), ("conftest.py",)),
    **dict.fromkeys(("pip", "pip3", "uv", "poetry"), ("setup.py",)),
    "just": ("justfile",),
    "cargo": ("build.rs",),
    "go": ("main.go",),
}
_BUILDS = r"^(?:-[a-zA-Z]|--\w*test|install|i|ci|run|test|start|build|exec|dev|setup|all|-C|up|compose|sync|add|$|[a-z][\w:-]*$)"


def files_run(command: Command, workspace: str) -> Iterator[Place]:
    """The files, or the folder, whose programs the command runs."""
    name = versionless(command.name)
    if name == "git" and line(command).split(" ")[0] in ("commit", "push", "merge", "checkout", "rebase", "pull"):
        yield place(".git/hooks", command.cwd, command.links, workspace)
    if command.words and ("/" in command.words[0] or command.words[0].endswith((".sh", ".py"))):
        yield place(command.words[0], command.cwd, command.links, workspace)
    script = script_file(command) if name in INTERPRETERS else None
    if script is not None:
        yield place(script[0], command.cwd, command.links, workspace)
    elif name in INTERPRETERS and not command.args:
        fed = [arg for feed in command.feeds for arg in operands(feed)] if command.feeds else []
        fed += [one.target for one in command.redirects if one.kind == "read"]
        yield from (place(arg, command.cwd, command.links, workspace) for arg in fed[:10] if "\n" not in arg)
    elif name in (".", "source", "deno", "ts-node", "tsx", "java"):
        paths = [arg for arg in operands(command, "-r -cp") if "\n" not in arg and len(arg) < 1_000]
        yield from (place(arg, command.cwd, command.links, workspace) for arg in paths[:1])
    elif name in _MAKES and (name in ("pytest", "tox") or finds(_BUILDS, line(command))):
        folder = value(command, "-C", "--prefix", "--cwd", "--directory", "--project", "-f", "--manifest-path")
        paths = [arg for arg in operands(command) if "/" in arg or arg == "."]
        for path in dict.fromkeys([folder or ".", *paths]):
            yield place(path, command.cwd, command.links, workspace)
        for file in _RECIPES.get(name, ()):
            yield place(f"{folder or '.'}/{file}", command.cwd, command.links, workspace)


def running(commands: Iterable[Command]) -> Iterator[Doing]:
    """Whether the files that these commands run are run by themselves, or by a tool that builds and tests."""
    for command in commands:
        if command.name != "git":
            aimed = command.name in ("make", "gmake", "just", "task") and finds(_SETS_UP, line(command))
            yield "builds" if command.name in _MAKES and not aimed else "runs-file"


_SETS_UP = r"^(?:.*\s)?(?:install|setup|set-up|bootstrap|init|run|start|dev|deploy|configure)\b|^$"
