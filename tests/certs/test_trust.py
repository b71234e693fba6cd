"""A child gets roots that it had and the authority, and no way past the proxy."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

import certifi
import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from lockgate.certs.ca import Authority, export, open_authority
from lockgate.certs.trust import ADDING_VARIABLES, REPLACING_VARIABLES, ClientEnvironment, bundle, client_environment

HOST = "api.anthropic.com"
PROXY = "http://127.0.0.1:8080"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "ca", [HOST])


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A file of the user's with a root of his own, and a key that he forgot in it."""
    other = open_authority(tmp_path / "users", ["intranet.example"])
    file = tmp_path / "users.pem"
    file.write_bytes((other.folder / "mitmproxy-ca.pem").read_bytes())
    return file


def environment(authority: Authority, given: Mapping[str, str], **more: list[str]) -> ClientEnvironment:
    given = {"PATH": "/nowhere", **given}
    return client_environment(PROXY, authority, bundle(authority, authority.folder, given), given, **more)


def roots(path: Path | str) -> set[bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return set(context.get_ca_certs(binary_form=True))


# The bundle


def test_the_bundle_holds_the_system_roots_and_the_authority(authority: Authority, tmp_path: Path) -> None:
    path = bundle(authority, tmp_path, {})

    assert export(authority, "der") in roots(path)
    assert len(roots(path)) > 50


def test_the_bundle_stands_on_what_the_environment_names(authority: Authority, users: Path, tmp_path: Path) -> None:
    path = bundle(authority, tmp_path, {"SSL_CERT_FILE": str(users)})

    assert roots(path) == roots(users) | {export(authority, "der")}
    assert b"PRIVATE KEY" not in path.read_bytes()


@pytest.mark.parametrize("named", ["", "/no/such/file", "empty"])
def test_a_named_file_without_certificates_is_passed_over(authority: Authority, tmp_path: Path, named: str) -> None:
    (tmp_path / "empty").touch()
    usual = bundle(authority, tmp_path, {})

    assert usual == bundle(authority, tmp_path, {"SSL_CERT_FILE": str(tmp_path / named) if named else ""})


def test_certifi_stands_in_where_the_system_has_no_roots(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ssl.DefaultVerifyPaths("", "", "SSL_CERT_FILE", "/no/file", "SSL_CERT_DIR", "/no/folder")
    monkeypatch.setattr("ssl.get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr("lockgate.certs.trust._SYSTEM_ROOTS", ("/no/such/file",))

    assert roots(certifi.where()) < roots(bundle(authority, tmp_path, {}))


def test_the_bundle_is_written_only_when_it_changes(authority: Authority, tmp_path: Path) -> None:
    first = bundle(authority, tmp_path, {}).stat()
    same = bundle(authority, tmp_path, {}).stat()
    changed = bundle(open_authority(tmp_path / "other", [HOST]), tmp_path, {}).stat()

    assert (first.st_ino, first.st_mtime_ns) == (same.st_ino, same.st_mtime_ns)
    assert changed.st_ino != first.st_ino


def test_a_lockgate_inside_a_lockgate_uses_the_same_bundle(authority: Authority, tmp_path: Path) -> None:
    outer = bundle(authority, tmp_path, {})

    assert outer == bundle(authority, tmp_path, {"SSL_CERT_FILE": str(outer)})


# Variables for trust


def test_without_settings_of_the_user_every_store_is_the_bundle(authority: Authority) -> None:
    given = environment(authority, {}).variables

    assert {given[name] for name in REPLACING_VARIABLES} == {str(bundle(authority, authority.folder, {}))}
    assert {given[name] for name in ADDING_VARIABLES} == {str(authority.certificate_path)}
    assert given["PATH"] == "/nowhere"


@pytest.mark.parametrize("name", [*REPLACING_VARIABLES, *ADDING_VARIABLES])
def test_a_store_of_the_user_is_extended(authority: Authority, users: Path, name: str) -> None:
    given = environment(authority, {name: str(users)}).variables

    assert roots(given[name]) == roots(users) | {export(authority, "der")}


def test_a_folder_of_certificates_is_read_too(authority: Authority, users: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    users.rename(tmp_path / "folder" / "own.pem")

    given = environment(authority, {"REQUESTS_CA_BUNDLE": str(tmp_path / "folder")}).variables

    assert roots(given["REQUESTS_CA_BUNDLE"]) == roots(tmp_path / "folder" / "own.pem") | {export(authority, "der")}


def test_a_folder_for_openssl_is_left_alone(authority: Authority) -> None:
    assert environment(authority, {"SSL_CERT_DIR": "/own"}).variables["SSL_CERT_DIR"] == "/own"


# Variables for the way


def test_every_proxy_variable_leads_to_the_proxy(authority: Authority) -> None:
    given = environment(authority, {"https_proxy": "http://other:1", "HTTP_PROXY": "http://other:1"}).variables

    assert {given[name] for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")} == {PROXY}
    assert given["NODE_USE_ENV_PROXY"] == "1"


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "WSS_PROXY", "socks_proxy"])
def test_what_leads_past_the_proxy_is_taken_away_and_told(authority: Authority, name: str) -> None:
    result = environment(authority, {name: "socks5://127.0.0.1:1"})

    assert name not in result.variables
    assert result.removed == (name,)


def test_loopback_and_the_entries_of_the_user_stay_exempt(authority: Authority) -> None:
    result = environment(authority, {"NO_PROXY": "intranet.example, 10.0.0.0/8", "no_proxy": "::1,.corp"})

    assert result.variables["NO_PROXY"] == "localhost,127.0.0.1,::1,intranet.example,10.0.0.0/8,.corp"
    assert result.variables["no_proxy"] == result.variables["NO_PROXY"]
    assert result.exempted == ()


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("*", HOST),
        (HOST, HOST),
        ("API.Anthropic.com", HOST),
        ("anthropic.com", HOST),
        (".anthropic.com", HOST),
        ("*.anthropic.com", HOST),
        ("api.anthropic.com:443", HOST),
        ("api.*.com", HOST),
        ("thropic.com", HOST),
        ("com", HOST),
        ("eu.llm.example", "*.llm.example"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:8443", "10.1.2.3"),
        ("fd00::/8", "fd00::1"),
        ("[fd00::1]:443", "fd00::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("localhost", "localhost"),
        ("intranet.example", "*"),
    ],
)
def test_an_entry_that_covers_a_model_host_is_taken_away_and_told(authority: Authority, entry: str, host: str) -> None:
    result = environment(authority, {"NO_PROXY": f"keep.example.org,{entry}"}, hosts=[host])

    assert entry not in result.variables["NO_PROXY"].split(",")
    assert entry in result.exempted
    assert host == "*" or "keep.example.org" not in result.exempted


@pytest.mark.parametrize(
    "entry", ["example.com", "anthropic.com.example", "xapi.anthropic.com", "10.0.0.0/8", "fd00::1"]
)
def test_an_entry_that_covers_no_model_host_stays(authority: Authority, entry: str) -> None:
    assert environment(authority, {"NO_PROXY": entry}).exempted == ()


def test_loopback_is_not_exempt_where_it_is_a_model_host(authority: Authority) -> None:
    result = environment(authority, {}, hosts=["localhost", "127.0.0.1"])

    assert result.variables["NO_PROXY"] == "::1"
    assert result.exempted == ()  # the user had named none of them


# Java


@pytest.fixture
def java_home(tmp_path: Path) -> Mapping[str, str]:
    return {"JAVA_HOME": str(tmp_path)}


def test_a_machine_without_java_is_spared_its_variable(authority: Authority) -> None:
    assert "JAVA_TOOL_OPTIONS" not in environment(authority, {}).variables


def test_java_gets_the_proxy_and_a_trust_store(authority: Authority, users: Path, java_home: Mapping[str, str]) -> None:
    given = {**java_home, "NO_PROXY": ".corp,10.0.0.0/8", "SSL_CERT_FILE": str(users)}
    options = environment(authority, given).variables["JAVA_TOOL_OPTIONS"].split()
    (store,) = (option.partition("=")[2] for option in options if "trustStore=" in option)
    _, _, certificates = pkcs12.load_key_and_certificates(Path(store).read_bytes(), None)

    assert authority.certificate in certificates
    assert len(certificates) == 2
    assert "-Dhttps.proxyHost=127.0.0.1" in options
    assert "-Dhttps.proxyPort=8080" in options
    assert "-Dhttp.nonProxyHosts=localhost|*.localhost|127.0.0.1|*.127.0.0.1|[::1]|corp|*.corp" in options


def test_options_of_the_user_come_first_and_his_trust_store_stays(
    authority: Authority, java_home: Mapping[str, str]
) -> None:
    own = "-Xmx1g -Djavax.net.ssl.trustStore=/own"
    options = environment(authority, {**java_home, "JAVA_TOOL_OPTIONS": own}).variables["JAVA_TOOL_OPTIONS"]

    assert options.startswith(f"{own} -D")
    assert options.count("trustStore=") == 1


def test_credentials_stay_out_of_what_a_jvm_prints(authority: Authority, java_home: Mapping[str, str]) -> None:
    given = client_environment(
        "http://agent:secret@127.0.0.1:1", authority, bundle(authority, authority.folder, {}), java_home
    )

    assert "secret" in given.variables["HTTPS_PROXY"]
    assert "secret" not in given.variables["JAVA_TOOL_OPTIONS"]


def test_the_trust_store_is_made_once_and_without_what_cannot_be_read(
    authority: Authority, users: Path, java_home: Mapping[str, str]
) -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    users.write_bytes(broken + users.read_bytes())
    given = {**java_home, "SSL_CERT_FILE": str(users)}

    environment(authority, given)
    (store,) = authority.folder.glob("*.p12")
    first = store.read_bytes()
    environment(authority, given)

    assert store.read_bytes() == first
    assert len(pkcs12.load_key_and_certificates(first, None)[2]) == 2


@pytest.mark.skipif(not shutil.which("java"), reason="not installed")
def test_a_jvm_understands_a_path_with_a_space(tmp_path: Path, java_home: Mapping[str, str]) -> None:
    authority = open_authority(tmp_path / "with space", [HOST])
    given = environment(authority, java_home).variables

    command = [shutil.which("java") or "", "-XshowSettings:properties", "-version"]
    settings = subprocess.run(command, env=dict(given), capture_output=True, text=True, check=True).stderr

    assert f"javax.net.ssl.trustStore = {authority.folder}/trust-" in settings
