"""Windows' command shell, made readable as the shell that the rest of the reader knows. Pure functions of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lockgate.policies.shell.model import HERE, UNSET, UNSET_END, some

ENVIRONMENT: Mapping[str, str] = {
    **dict.fromkeys(("userprofile", "home", "homepath"), "~"),
    "appdata": "~/AppData/Roaming",
    "localappdata": "~/AppData/Local",
    **dict.fromkeys(("temp", "tmp"), "/tmp"),
    **dict.fromkeys(("systemroot", "windir"), "C:/Windows"),
    "systemdrive": "C:",
    "programfiles": "C:/Program Files",
    "programdata": "C:/ProgramData",
    "public": "C:/Users/Public",
    "onedrive": "~/OneDrive",
    "username": "user",
    "cd": HERE,
}
"""Variables of Windows whose meaning is the same almost everywhere."""
_NAMES = "|".join(name for name in ENVIRONMENT if name != "cd")
_MARKS = re.compile(rf"(?i)%(?:{_NAMES})%|\bfor\s+(?:/\w\s+\S*\s*)?%%?\w\s+in\s*\(|^\s*\w+\^\w+")
_SET = re.compile(r"(?i)\bset\s+(?:/a\s+)?\"?(\w+)=([^&\"\n|]*)")
_USE = re.compile(r"%(\w+)%|!(\w+)!")
_FOR = re.compile(r"(?i)\bfor\s+(?:/\w\s+(?:\"[^\"]*\"\s+)?)*%%?(\w)\s+in\s+\(([^()]*)\)\s+do\s+\(?([^()\n]*)\)?")
_IF = re.compile(r"(?i)\bif\s+(?:not\s+)?(?:exist\s+(?:\"[^\"]*\"|\S+)|defined\s+\S+|errorlevel\s+\d+)\s+")


def is_cmd(text: str) -> bool:
    """Whether the text has what only that shell reads: its variables, its loops, its escapes."""
    return ("%" in text or "^" in text) and _MARKS.search(text) is not None


def cmd_as_shell(text: str) -> str:
    """The same commands: variables by their values, loops as their bodies, paths with slashes."""
    text = re.sub(r"\^(.)", r"\1", text.replace("^\n", " "), flags=re.DOTALL)
    values = {name.lower(): value.strip() for name, value in _SET.findall(text)}
    text = _USE.sub(lambda found: _value(found, values), text)
    text = _FOR.sub(_turned, _IF.sub("", text))
    return re.sub(r"(?i)\bcall\s+", "", text).replace("\\", "/")


def _value(found: re.Match[str], values: Mapping[str, str]) -> str:
    name = (found[1] or found[2]).lower()
    if found[2] and name not in values:
        return found[0]
    return values.get(name) or ENVIRONMENT.get(name) or f"{UNSET}{name}{UNSET_END}"


def _turned(found: re.Match[str]) -> str:
    """A loop's body, once for each word that it goes through."""
    name, given, body = found[1], found[2].strip(), found[3]
    words = [some(given)] if given.startswith(("'", "`")) else given.split()[:16] or [some(given)]
    return " ; ".join(re.sub(rf"%%?(?:~\w*)?{name}\b", lambda _, word=word: word, body) for word in words)
