"""What `make`, `just` and a package's scripts run."""

from __future__ import annotations

import json

import pytest

from lockgate.policies.shell.read import read

MAKEFILE = """
DIR := out
.PHONY: all clean
all: build test  # both
build: ; cc -o $(DIR)/a a.c
test:
\t@./a --check
\t-echo $$HOME
clean:
\trm -rf ${DIR}
"""
PACKAGE = json.dumps({"scripts": {"build": "tsc", "prebuild": "rimraf dist", "test": "vitest", "install": "node-gyp"}})
FILES = {
    "\ue005/Makefile": MAKEFILE,
    "\ue005/package.json": PACKAGE,
    "\ue005/justfile": "clean dir='x':\n  rm -r {{dir}}\n",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("make clean", ["rm -rf out"]),
        ("make clean DIR=/", ["rm -rf /"]),
        ("make", ["./a --check", "echo ~", "cc -o out/a a.c"]),
        ("make -C sub clean", []),
        ("just clean", ["rm -r {{dir}}"]),
        ("npm run build", ["rimraf dist", "tsc"]),
        ("yarn test", ["vitest"]),
        ("npm i", ["node-gyp"]),
        ("npm run nothing", []),
    ],
)
def test_recipes(text: str, expected: list[str]):
    assert [str(one) for one in read(text, files=FILES).commands[1:]] == expected


def test_a_makefile_of_any_kind_is_no_trouble():
    for text in ("a " * 50_000, ":" * 1_000, "a: a\n\tmake a\n", "\t" * 1_000, "$(" * 1_000 + ":\n\tx"):
        read("make", files={"\ue005/Makefile": text})
