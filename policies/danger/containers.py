"""Containers, clusters, and what they can reach of their host."""

from __future__ import annotations

import re

from lockgate.policies.danger.hosts import host_of
from lockgate.policies.danger.practice import practice
from lockgate.policies.danger.rules import Setting, chosen, has, line, rows, rule, written
from lockgate.policies.shell.model import Command

_DOCKER = "docker podman nerdctl docker-compose"
rows(
    "containers",
    _DOCKER,
    ("removes-containers", 0.65, r"^system\s+(?:prune\b.*(?:-[a-z]*a|--all|--volumes)|reset)", "This removes every image, container and volume that does not run."),
    ("removes-containers", 0.6, r"^volume\s+prune\b", "This deletes volumes and the data in them."),
    ("removes-containers", 0.4, r"^(?:compose\s+(?:\S+\s+)*)?rm\b.*\s-[a-z]*v[a-z]*(?:\s|$)", "This deletes containers with their data."),
    ("removes-containers", 0.6, r"^swarm\s+leave\b.*--force|^(?:stack|service|secret|config|node)\s+rm\b", "This takes services away."),
    ("removes-containers", 0.75, r"^(?:machine|pod)\s+rm\b.*(?:-f|--force|-a|--all)", "This deletes machines with their data."),
)  # fmt: skip


@rule("containers", "removes-containers", "This deletes volumes and the data in them.", _DOCKER)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if re.match(r"volume\s+(?:rm|remove)\b", text):
        return 0.35 if practice(text, own=True) else 0.6
    if not re.search(r"(?:^|\s)down\b.*(?:\s-\w*v|--volumes|--rmi[ =]all)", text):
        return 0.0
    named = re.findall(r"(?:-f|--file|-p|--project-name|--env-file|--profile)[ =](\S+)", text)
    return 0.35 if any(practice(name, own=True) for name in named) else 0.6


@rule("containers", "removes-containers", "This removes every container or image.", "docker podman nerdctl crictl ctr")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if not re.match(r"(?:-n\s+\S+\s+)?(?:containers?\s+|images?\s+)?(?:rm|kill|rmi|stop)\b", text):
        return 0.0
    listed = [f for f in c.feeds if f.name == c.name and _LISTS.match(line(f))]
    everything = any(not re.search(r"--filter|-f\s", line(f)) for f in listed) and not chosen(c)
    everything = everything or has(c, "-a", "--all")
    return (0.45 if re.match(r"(?:container\s+)?stop", text) else 0.65) if everything else 0.0


_LISTS = re.compile(r"(?:-n\s+\S+\s+)?(?:ps|images?(?:\s+ls)?|containers?\s+ls|volume\s+ls|ls)\b")
_DOCKER_TOOLS = r"trivy|portainer|traefik|watchtower|localstack|buildpacksio|testcontainers|lazydocker|dive|dockle|grype|syft|gitlab/gitlab-runner"
"""RE: images that are known to ask for Docker's socket."""


_MOUNTS = re.compile(r"(?:-v|--volume)[ =]([A-Za-z]:[\\/][^\s:]*|[^\s:]+):|(?:source|src)=([^\s,]+)")
_WHOLE = ("/", "/etc", "/root", "/boot", "/proc", "/sys", "/dev", "/var", "/usr", "/home", "/bin")
_VENDORS = r"amazon/aws-cli|google/cloud-sdk|hashicorp/|mcr\.microsoft\.com/azure-cli|bitnami/kubectl"


def _mounted(mount: str, text: str) -> float:
    """How bad it is that a container sees this folder of its host."""
    plain = mount.rstrip("/") or "/"
    if plain in _WHOLE or re.fullmatch(r"(?i)[a-z]:(?:[\\/](?:windows|users)?)?", plain):
        return 0.85
    if plain.endswith("docker.sock"):
        return 0.45 if re.search(_DOCKER_TOOLS, text) else 0.6
    if re.search(r"^(?:~|\$HOME)$|\.(?:ssh|aws|kube|gnupg)\b", plain):
        return 0.4 if re.search(r":ro\b", text) and re.search(_VENDORS, text) else 0.6
    return 0.0


@rule(
    "containers",
    "escapes-to-host",
    "This container can change the machine that it runs on.",
    "docker podman nerdctl ctr lxc incus",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if c.name in ("lxc", "incus"):
        return 0.75 if re.search(r"security\.privileged=true|\bsource=/(?:\s|$)", text) else 0.0
    if not re.match(r"(?:-n\s+\S+\s+)?(?:container\s+)?(?:run|create|exec)\b|compose\s+run", text):
        return 0.0
    if re.search(r"(?i)xmrig|cpuminer|minerd|stratum\+tcp", text):
        return 0.9
    worst = max((_mounted(a or b, text) for a, b in _MOUNTS.findall(text)), default=0.0)
    if re.search(r"--privileged(?:\s|=true|$)", text):
        worst = max(
            worst,
            0.45
            if re.search(
                r"binfmt|multiarch/qemu-user-static|(?:^|[\s/])(?:docker:\S*dind|kind|k3s|buildkit|dind)\b", text
            )
            else 0.7,
        )
    if re.search(r"--cap-add[ =](?:ALL|SYS_ADMIN|SYS_PTRACE|SYS_MODULE|DAC_READ_SEARCH)", text, re.IGNORECASE):
        worst = max(worst, 0.65)
    if re.search(
        r"--pid[ =]host|--userns[ =]host|--ipc[ =]host|apparmor[=:]unconfined|seccomp[=:]unconfined|--device[ =]/dev/(?:sd|mem|kmem|nvme)",
        text,
    ):
        worst = max(worst, 0.65)
    return worst


@rule("containers", "escapes-to-host", "This leaves the container for the machine that it runs on.", "nsenter unshare")
def _(c: Command, s: Setting) -> float:
    return 0.8 if c.name == "nsenter" and re.search(r"(?:-t|--target)[ =]?1\b", line(c)) else 0.0


_KNOWN_MANIFESTS = re.compile(
    r"(?:^|\.)(?:github\.com|githubusercontent\.com|k8s\.io|kubernetes\.io|googleapis\.com|istio\.io|gitlab\.com)$"
)
_KINDS = r"(?:deploy(?:ment)?s?|statefulsets?|sts|daemonsets?|ds|services?|svc|secrets?|ingress\w*|configmaps?|cm|cronjobs?|hpa|rs|replicasets?|serviceaccounts?|sa)"


_SHARED = re.compile(r"\b(?:nodes?|pv|crds?|clusterrole\w*|--all-namespaces|-A)\b")
_HEAVY = re.compile(
    r"\b(?:namespaces?|ns|nodes?|no|pv|pvc|persistentvolume\w*|crds?|customresourcedefinitions?|clusterrole\w*|"
    r"storageclass\w*|mutatingwebhook\w*|project)\b"
)


def _deleted(c: Command, text: str, *, own: bool) -> float:
    """How bad it is to delete something in a cluster; `own` where it is for practice, or one's own."""
    if own and not re.search(r"\b(?:namespaces?|ns|project)\s+(?:dev|development)(?:\s|$)", text):
        return 0.4
    if re.search(r"\bprod", text):
        return 0.85 if re.search(r"\b(?:namespaces?|ns|pvc?|--all)\b", text) else 0.6
    if re.search(r"(?:^|[\s,])(?:--all|-A|--all-namespaces)(?:\s|=|$)|\sall\b", text) or _HEAVY.search(text):
        return 0.85
    listed = [feed for feed in c.feeds if re.match(r"get\b", line(feed))]
    if any(not re.search(r"\s-l\b|--selector", line(feed)) for feed in listed) and not chosen(c):
        return 0.65
    return 0.6 if re.search(rf"\s{_KINDS}[\s/]", text) else 0.45 if re.search(r"\s-[fk]\s", text) else 0.35


@rule(
    "containers",
    "deletes-in-cluster",
    "This deletes what runs or is stored in a cluster.",
    "kubectl oc k kubectl.exe k3s microk8s",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if re.search(r"--dry-run\b(?!=none)", text):
        return 0.0
    if c.name in ("k3s", "microk8s"):
        text = re.sub(r"^kubectl\s+", "", text)
    own = practice(text, own=True) and not _SHARED.search(text)
    if re.match(r"delete\b", text):
        return _deleted(c, text, own=own)
    if re.match(r"debug\s+(?:\S+\s+)*node/|create\s+token\b.*(?:admin|kube-system)", text):
        return 0.65
    if re.match(r"(?:drain|replace\b.*--force|config\s+delete|adm\s+drain)", text):
        return 0.6
    if re.match(r"scale\b", text) and re.search(r"--replicas[ =]0\b", text):
        return 0.4 if own else 0.6
    if re.match(r"taint\s+nodes?\s+--all|(?:cordon|drain)\b", text) and (c.feeds or "--all" in text):
        return 0.6
    if re.match(r"(?:apply|create)\b", text) and (url := re.search(r"-f\s+(https?://\S+)", text)):
        return 0.45 if _KNOWN_MANIFESTS.search(host_of(url[1])) else 0.6
    if re.search(r"clusterrolebinding\b.*cluster-admin|cluster-admin\b.*--serviceaccount", text) and re.match(
        r"(?:create|patch|edit|replace)\b", text
    ):
        return 0.8
    return 0.0


@rule("containers", "reads-cluster-secrets", "This shows secrets of a cluster.", "kubectl oc")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    listed = any(re.search(r"get\s+secrets?\b", line(feed)) for feed in c.feeds)
    if re.search(r"jsonpath\S*\.data\S{0,3}(?:tls|ca)\\?\.crt", text):
        return 0.0  # a certificate, which is public
    if (listed or re.match(r"(?:get|describe)\s+secrets?\b", text)) and re.search(
        r"-o\s*=?\s*(?:ya?ml|json(?!path)|jsonpath\S*\.data|jsonpath=?\s*$|go-template)|-A\b.*-o", text
    ):
        return 0.6
    return 0.6 if re.match(r"config\s+view\b", text) and has(c, "--raw") else 0.0


@rule("containers", "escapes-to-host", "This pod can change the machine that it runs on.", "kubectl oc")
def _(c: Command, s: Setting) -> float:
    text = " ".join((line(c), c.stdin or ""))
    return (
        0.75
        if re.search(
            r"hostPID['\"]?:\s*true|privileged['\"]?:\s*true|hostPath['\"]?:\s*\{?['\"]?path['\"]?:\s*['\"]?/['\"]?",
            text,
        )
        and re.match(r"(?:run|apply|create|debug)\b", text)
        else 0.0
    )


_MACHINES = re.compile(
    r"^(?:rmp|rm)\b.*\s-[a-z]*a|^(?:destroy|undefine|delete|unregistervm|purge)\b|^(?:images|containers)\s+rm\b|^rmi\s+--(?:all|prune)|^vol-delete|^controlvm\s+\S+\s+poweroff"
)


@rule(
    "containers",
    "removes-machines",
    "This deletes a virtual machine.",
    "virsh lxc multipass incus vboxmanage prlctl ctr crictl",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    return 0.0 if not _MACHINES.search(text) else 0.4 if practice(text) else 0.65


rows(
    "containers",
    "kubeadm k3s-uninstall.sh k3s-agent-uninstall.sh k3s-killall.sh rke2-uninstall.sh",
    ("removes-machines", 0.75, r"^(?:reset\b|$)", "This takes the machine's part of a cluster apart."),
)


@rule("containers", "escapes-to-host", "This leaves the container for the machine that it runs on.")
def _(c: Command, s: Setting) -> float:
    """By the kernel's own switches, or by the container engine's own door."""
    if any(target.text.endswith("/release_agent") for target in written(c, s)):
        return 0.85
    if c.name != "curl" or not any("docker.sock" in arg for arg in c.args):
        return 0.0
    return 0.75 if re.search(r"Binds\W+/:|Privileged\W+true|/exec\b|/containers/\w+/start", " ".join(c.args)) else 0.0
