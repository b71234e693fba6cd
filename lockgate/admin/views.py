"""Projects, tokens, keys and administrators as the API shows them. No secret is in any, but where it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lockgate.access.administrators import Role
from lockgate.access.grant import Grant
from lockgate.access.records import KeySource, ProviderKey, Standing, Token
from lockgate.records import now

_ID = "019368a0-0000-7000-8000-000000000000"


class View(BaseModel):
    """Reads a record by its attributes."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    def told(self) -> dict[str, Any]:
        """For the audit trail: what says something."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"token", "key"})


class ProjectView(View):
    """Who tokens and provider keys belong to."""

    id: str = Field(examples=[_ID])
    name: str = Field(examples=["shop"])
    active: bool
    notes: str = ""
    grant: Grant = Grant()
    created_at: datetime


class TokenView(View):
    """A credential that withers. The token itself is not here."""

    id: str = Field(examples=[_ID])
    hint: str = Field(examples=["lg_a1B2…"])
    """Its first characters."""
    project_id: str = Field(examples=[_ID])
    project: str = Field(examples=["shop"])
    name: str = Field(default="", examples=["nightly"])
    labels: tuple[str, ...] = ()
    standing: Standing
    """Whether it can be used."""
    requests: int = 0
    request_quota: int | None = None
    grant: Grant = Grant()
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class TokenMade(TokenView):
    """With the token, this once."""

    token: str = Field(examples=["lg_…"])


class KeyView(View):
    """A provider's key. The key itself is not here."""

    id: str = Field(examples=[_ID])
    provider: str = Field(examples=["anthropic"])
    name: str = Field(examples=["main"])
    source: KeySource
    hint: str = Field(default="", examples=["…WXYZ"])
    """Of a kept key its last characters; the variable or file that gives it; of a command nothing."""
    project_id: str | None = None
    project: str = ""
    active: bool
    created_at: datetime
    last_used_at: datetime | None = None


class AdministratorView(View):
    """Who manages Lockgate."""

    id: str = Field(examples=[_ID])
    name: str = Field(examples=["ada"])
    role: Role
    active: bool
    has_password: bool
    """One without can use keys only."""
    created_at: datetime
    last_seen_at: datetime | None = None


class AdministratorKeyView(View):
    """An administrator's key. The key itself is not here."""

    id: str = Field(examples=[_ID])
    name: str = Field(default="", examples=["deploy"])
    hint: str = Field(examples=["lga_a1B2…"])
    """Its first characters."""
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class AdministratorKeyMade(AdministratorKeyView):
    """With the key, this once."""

    key: str = Field(examples=["lga_…"])


def of_token(token: Token) -> TokenView:
    return TokenView(**_token_values(token))


def made_token(secret: str, token: Token) -> TokenMade:
    return TokenMade(token=secret, **_token_values(token))


def of_key(key: ProviderKey) -> KeyView:
    """A command may hold a secret of its own."""
    shown = KeyView.model_validate(key)
    return shown.model_copy(update={"hint": ""}) if key.source == "command" else shown


def _token_values(token: Token) -> dict[str, Any]:
    values = {name: getattr(token, name) for name in TokenView.model_fields if name != "standing"}
    return values | {"standing": token.standing(now())}
