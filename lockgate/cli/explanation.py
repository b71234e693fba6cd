"""What is harmful in a shell command, told to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.policies.danger.rules import Finding
from lockgate.policies.dangerous_command import Options, judged
from lockgate.storage.readable import plain


def explain(command: str, options: Options) -> dict[str, Any]:
    """A JSON document: the score, each finding with its node, and every command that would run."""
    found = judged(command, options)
    score = round(found.score, 3)
    return {
        "command": command,
        "score": score,
        "threshold": options.threshold,
        "blocked": bool(found.findings) and score >= options.threshold,
        "findings": [_finding(one) for one in found.findings],
        "commands": [
            {"words": str(one), "node": one.source[:500], "via": list(one.via)} for one in found.script.commands
        ],
        "unclear": [{"reason": one.reason, "text": one.text[:500]} for one in found.script.unclear],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.name,
        "pack": finding.rule.pack,
        "score": round(finding.score, 3),
        "why": finding.rule.why,
        "node": finding.command.source[:500],
        "runs": str(finding.command),
        "via": list(finding.command.via),
    }


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """The same in words."""
    verdict = "blocked" if result["blocked"] else "let pass"
    yield f"score {result['score']:g}, {verdict} (threshold {result['threshold']:g})"
    for one in result["findings"]:
        yield ""
        yield f"{one['pack']}/{one['rule']}, score {one['score']:g}: {one['why']}"
        yield f"  node: {_indented(one['node'])}"
        if one["runs"] and one["runs"] != one["node"]:
            yield f"  runs: {_indented(one['runs'])}"
        if one["via"]:
            yield f"  by:   {' > '.join(one['via'])}"
    for one in result["unclear"]:
        yield ""
        yield f"not understood, {one['reason']}: {_indented(one['text'])}"
    if not result["findings"]:
        yield "nothing harmful was found in:" if result["commands"] else "it runs nothing"
        yield from (f"  {_indented(one['words'])}" for one in result["commands"])


def _indented(text: str) -> str:
    return plain(text).replace("\n", "\n        ")
