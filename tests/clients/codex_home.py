"""Codex's own folder for a test: its configuration, and a ChatGPT login that is made up."""

from __future__ import annotations

import base64
import json
from pathlib import Path

CONFIG = """
model = "{model}"
check_for_update_on_startup = false
[features]
plugins = false  # these two ask for catalogues at the start
apps = false
[analytics]
enabled = false
[otel]
exporter = "none"
"""
ACCOUNT = "00000000-0000-4000-8000-000000000001"
CLAIMS = {
    "exp": 4_102_444_800,  # the year 2100, so that it is not refreshed
    "email": "someone@example.com",
    "https://api.openai.com/auth": {"chatgpt_plan_type": "pro", "chatgpt_account_id": ACCOUNT, "chatgpt_user_id": "u"},
}


def configure(folder: Path, model: str) -> None:
    """Writes config.toml."""
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(CONFIG.format(model=model))


def log_in(folder: Path) -> None:
    """Writes auth.json as a login with ChatGPT would; nobody has signed its tokens."""
    token = ".".join([_part({"alg": "none", "typ": "JWT"}), _part(CLAIMS), "c2ln"])
    tokens = {"id_token": token, "access_token": token, "refresh_token": "made-up", "account_id": ACCOUNT}
    login = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "2099-01-01T00:00:00Z"}
    (folder / "auth.json").write_text(json.dumps(login))


def _part(claims: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
