"""Real clients of each TLS library, as command lines that fetch a page from a host. They learn proxy and roots from
their environment alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_URLLIB = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"
_REQUESTS = "import sys, requests; requests.get(sys.argv[1]).raise_for_status()"
_HTTPX2 = "import sys, httpx2; httpx2.get(sys.argv[1]).raise_for_status()"

# Node 20 knows no proxy variables, so the tunnel is dug by hand; the TLS is Node's own.
_NODE = """
const url = new URL(process.argv[2]), proxy = new URL(process.env.HTTPS_PROXY);
const target = url.hostname + ":443";
require("http").request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: target, agent: false})
  .on("connect", (_, socket) => {
    const options = {host: url.hostname, servername: url.hostname, socket, agent: false};
    require("https").get(options, reply => reply.resume().on("end", () => process.exit(0)))
      .on("error", error => { console.error(error.message); process.exit(1); });
  }).end();
"""

_JAVA = """
import java.net.URI;
import java.net.http.*;
class Fetch {
    public static void main(String[] given) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(given[0])).build();
        HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding());
        var old = (java.net.HttpURLConnection) URI.create(given[0]).toURL().openConnection();
        old.getResponseCode();
    }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program, and its command line for a URL; `folder` is for files that it needs. A site is not what git and uv
    hope for, so they fail even when they were served."""

    name: str
    program: str | None
    command: Callable[[str, Path], list[str]]
    follows_constraints: bool = True


def _python(code: str) -> Callable[[str, Path], list[str]]:
    return lambda url, folder: [sys.executable, "-W", "error", "-c", code, url]


def _script(name: str, text: str, program: str) -> Callable[[str, Path], list[str]]:
    def command(url: str, folder: Path) -> list[str]:
        (folder / name).write_text(text)
        return [program, str(folder / name), url]

    return command


def _s_client(url: str, folder: Path) -> list[str]:
    host = url.removeprefix("https://").removesuffix("/")
    script = (
        "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -verify_return_error -x509_strict "
        '-proxy "${HTTPS_PROXY#http://}" -connect "$1:443" -servername "$1" -verify_hostname "$1"'
    )
    return ["sh", "-c", script, "sh", host]


def _uv(url: str, folder: Path) -> list[str]:
    return [
        *(_UV, "pip", "install", "--no-config", "--no-cache", "--target", str(folder / "target")),
        *("--index-url", f"{url}simple/", "no-such-package"),
    ]


_UV = os.environ.get("UV") or shutil.which("uv") or ""

CLIENTS = (
    Client(name="openssl", program="openssl", command=_s_client),
    Client(name="curl", program="curl", command=lambda url, folder: ["curl", "-qsS", "-o", "/dev/null", url]),
    Client(name="urllib", program=sys.executable, command=_python(_URLLIB)),
    Client(name="requests", program=sys.executable, command=_python(_REQUESTS)),
    Client(name="httpx2", program=sys.executable, command=_python(_HTTPX2)),
    Client(name="node", program="node", command=_script("fetch.js", _NODE, "node")),
    Client(name="rustls", program=_UV, command=_uv),  # uv is written in Rust, on reqwest and rustls
    Client(name="git", program="git", command=lambda url, folder: ["git", "ls-remote", url]),
    Client(name="java", program="java", command=_script("Fetch.java", _JAVA, "java"), follows_constraints=False),
)
