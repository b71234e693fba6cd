"""Rule files of one's own for `secret_guard`, in gitleaks' format: what they find, and what is said of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.errors import ConfigError
from lockgate.policies.secret_rules import Prefilter, load_rules, own_rules
from lockgate.policies.secret_scan import SecretDetector
from lockgate.wire import anthropic
from tests.policies.chains import exchange_of
from tests.policies.test_secret_guard import anthropic_document, guard, redacted, streamed

RULES = """
[allowlist]
stopwords = ["harmless"]
[[rules]]
id = "acme-token"
description = "Acme"
regex = '''(?i)acme(?:[ \\t\\w.-]{0,20})[\\s'"]{0,3}(?:=|:)[\\s'"]{0,5}([a-z0-9]{12})(?:[\\s'";]|$)'''
entropy = 2.5
keywords = ["acme"]
  [[rules.allowlists]]
  regexes = ['^0000']
[[rules]]
id = "only-paths"
path = '\\.p12$'
"""


def own(folder: Path, content: str) -> Prefilter:
    (path := folder / "rules.toml").write_text(content)
    return Prefilter(load_rules(path))


def assert_found(detector: SecretDetector, text: str, expected: str) -> None:
    """In the whole text, in its letters one by one, and in two pieces cut anywhere."""
    assert redacted(text, detector) == expected
    assert streamed(list(text), detector) == expected
    for cut in range(len(text)):
        assert streamed([text[:cut], text[cut:]], detector) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acme key: q7w2e9r4t1y6 end", "acme key: <acme-token> end"),
        ("acme_token = 'q7w2e9r4t1y6'", "acme_token = '<acme-token>'"),
        ("acme key: 0000e9r4t1y6 end", "acme key: 0000e9r4t1y6 end"),
        ("acme key: aaaaaaaaaaaa end", "acme key: aaaaaaaaaaaa end"),
        ("acme key: harmless1234 end", "acme key: harmless1234 end"),
        ("other key: q7w2e9r4t1y6 end", "other key: q7w2e9r4t1y6 end"),
    ],
)
def test_rules_in_gitleaks_format(tmp_path: Path, text: str, expected: str):
    assert_found(SecretDetector(Prefilter(()), own(tmp_path, RULES), named=False), text, expected)


NAMES = """
[[rules]]
id = "code-name"
regex = "bluefalcon"
keywords = ["bluefalcon"]
[[rules]]
id = "project"
regex = "(?i)project (?:blue )?heron$"
[[rules]]
id = "short"
regex = '\\bQX\\b'
[[rules]]
id = "perhaps-nothing"
regex = '(?:zz9)*'
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("they call it bluefalcon here", "they call it <code-name> here"),
        ("say bluefalcon, or QX: it is zz9 all", "say <code-name>, or <short>: it is <perhaps-nothing> all"),
        ("about Project Heron and project blue heron ", "about Project <project> and project blue <project> "),
        ("the projects of heron and bluefalco", "the projects of heron and bluefalco"),
    ],
)
def test_what_own_rules_name_is_found_though_it_is_plain_words(tmp_path: Path, text: str, expected: str):
    assert_found(SecretDetector(own_rules(), own(tmp_path, NAMES)), text, expected)


async def test_all_words_of_a_find_are_replaced_where_none_went_on(tmp_path: Path):
    (path := tmp_path / "rules.toml").write_text(NAMES)
    said = "On Project Blue Heron we say bluefalcon."
    given = anthropic.FORMAT.read_request(json.dumps(anthropic_document(said)).encode())
    out = await guard(rules=[str(path)]).on_request(given, exchange_of(given))
    (text,) = {spot.text for spot in out.texts() if "we say" in spot.text}
    assert "Heron" not in text
    assert "Project" not in text
    assert text.startswith("On [secret:project")
    assert text.endswith("].")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("x = ", "cannot be read as a file of secret rules"),
        ("rules = 5", "'rules' is a list of tables"),
        ("[[rules]]\nregex = 'a'", "every rule is a table with an 'id'"),
        (
            "[[rules]]\nid = 'r'\nregex = 'a(b'",
            "rule 'r': the pattern 'a(b' is not RE2: missing ): a(b, at character 4",
        ),
        ("[[rules]]\nid = 'r'\nregex = '(?=a)b'", "RE2 has neither lookaround nor backreferences"),
        ("[[rules]]\nid = 'r'\nregex = 'a'\nsecretGroup = 2", "secretGroup is 2, and the pattern has 0 groups"),
        ("[[rules]]\nid = 'r'\nregex = 'a'\nentropy = 'x'", "entropy is a number from 0 to 7, not 'x'"),
        ("[[rules]]\nid = 'r'\nregex = 'a'\nentropy = 8", "entropy is a number from 0 to 7, not 8"),
        ("[[rules]]\nid = 'r'\nregexp = 'a'", "rule 'r' has no 'regex'; it has: id, regexp"),
        ("", "holds no rules for texts"),
        ("[[rules]]\nid = 'r'\npath = 'a'", "holds no rules for texts"),
        ("[extend]\npath = 'b.toml'\n[[rules]]\nid = 'r'\nregex = 'a'", "not followed to another path: name each file"),
        ("[[rules]]\nid = 'r'\nregex = 'a'\nkeywords = [1]", "keywords is a list of texts"),
    ],
)
def test_wrong_rule_files(tmp_path: Path, content: str, sentence: str):
    (path := tmp_path / "rules.toml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        guard(rules=[str(path)])
    assert sentence in str(caught.value)
