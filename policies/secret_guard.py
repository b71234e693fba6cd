"""`secret_guard`: keeps credentials out of what is sent to a model, of what it says, and of the calls that it makes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from lockgate.config import Section, secret_from_environment
from lockgate.exchange import Exchange
from lockgate.policies import redactor
from lockgate.policies.option_types import doing
from lockgate.policies.redactor import Redactor
from lockgate.policies.secret_known import known_secrets
from lockgate.policies.secret_rules import Prefilter, load_rules, own_rules
from lockgate.policies.secret_scan import SecretDetector
from lockgate.policies.seen import Clean

DIGEST_CHARS = 20
"""A shorter secret may be guessed, so its placeholder holds nothing that a guess could be checked against."""


class SecretOptions(Section):
    """Which credentials to look for."""

    issuers: bool = True
    """Whether to look for the keys of known issuers, by their form."""
    named: bool = True
    """Whether to look for what only a name beside it tells: passwords, keys without a form of their own, URLs."""
    rules: list[Path] = Field(default_factory=list[Path])
    """More rules: files in gitleaks' format. Where a find has several words, all of them are replaced in a request, and
    the last one in what a model says, as those before it went on."""
    credentials: bool = True
    """Whether the credentials that this exchange itself is sent with are secrets, in any common encoding."""
    environment: list[str] = Field(default_factory=list[str])
    """Names of environment variables whose values are secrets, in any common encoding."""


class Options(redactor.Options, SecretOptions):
    """What to look for, and what to do where it is found."""

    @model_validator(mode="after")
    def _looks_for_something(self) -> Self:
        return doing(self, *SecretOptions.model_fields, off=(False, []))


@dataclass(frozen=True, slots=True)
class Sources:
    """What all exchanges look for."""

    words: Prefilter
    """Rules of which each looks at one word."""
    wide: Prefilter | None
    """Rules that look at what stands before a word as well."""
    environment: tuple[str, ...]

    @classmethod
    def load(cls, options: SecretOptions) -> Sources:
        """Raises ConfigError."""
        wide = [rule for path in options.rules for rule in load_rules(path)]
        return cls(
            words=own_rules() if options.issuers else Prefilter(()),
            wide=Prefilter(wide) if wide else None,
            environment=tuple(secret_from_environment(name) for name in options.environment),
        )

    def detector(self, options: SecretOptions, x: Exchange) -> tuple[SecretDetector, bytes]:
        """What looks for secrets in this exchange, and the name of those that are known by value."""
        secrets = (*self.environment, *(x.credentials if options.credentials else ()))
        detector = SecretDetector(self.words, self.wide, named=options.named, known=known_secrets(secrets))
        return detector, hashlib.blake2b("\0".join(secrets).encode("utf-8", "replace"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all exchanges use."""

    sources: Sources
    clean: Clean


class SecretGuard(Redactor):
    """Finds credentials in requests, in the model's text and in its tool calls, and keeps them from passing.

    It knows the keys of some 250 issuers by their form, passwords and keys by the name beside them (in some twenty
    languages), in sentences also by one that follows ("use X as the password"), or by where they stand (URLs, webhooks,
    headers, cookies, flags, lists, columns, Kubernetes secrets, base64, the answer to a question, the output of a
    command), private keys, wallets' words, passphrases, app passwords in groups, and the credentials of the exchange
    itself, also encoded, reversed or split. A long one is found again where the text goes on to say it without a name.
    In a streamed text, a word that may be a secret waits for a few more, in which its name may stand.
    Examples, fixtures, hashes, ids and public keys stay. A placeholder such as [secret:github-token:1a2b3c] is the
    same for the same secret. What is found is made unreadable in the log as well.

    Example:
        text: alert
        allow: ['^sk_test_']
    """

    Options = Options
    sentence = "There is a credential ({kinds}) in this {where}, which may not pass. Leave it out, or name it only."

    @classmethod
    def provision(cls, options: Options) -> Shared:
        return Shared(Sources.load(options), Clean(options.remember))

    def look(self, x: Exchange) -> tuple[SecretDetector, bytes]:
        return self.shared.sources.detector(self.options, x)

    def clean(self) -> Clean:
        return self.shared.clean

    def placeholder(self, kind: str, found: str) -> str:
        """Readable, and the same for the same secret."""
        if len(found) < DIGEST_CHARS:
            return f"[secret:{kind}]"
        return f"[secret:{kind}:{hashlib.sha256(found.encode('utf-8', 'replace')).hexdigest()[:6]}]"
