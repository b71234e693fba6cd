"""What runs or is stored in a cloud."""

from __future__ import annotations

import re

from lockgate.policies.danger.practice import practice
from lockgate.policies.danger.rules import Setting, line, rows, rule
from lockgate.policies.shell.model import Command

_GONE = "This deletes something in the cloud that may not come back."
_OPEN = "This gives rights in the cloud to somebody, or to everybody."


def _practice(c: Command) -> bool:
    """Whether it only looks, or speaks to a stand-in on this machine."""
    text = " ".join(c.args)
    return bool(
        re.search(
            r"--dry-?run\b|--dryrun|--help\b|(?:^|\s)help\b|localhost|127\.0\.0\.1|localstack|--no-execute|--generate-cli-skeleton",
            text,
        )
    ) or c.name in ("awslocal",)


_BUILT = re.compile(r"^s3\s+sync\s+(?:-\S+\s+)*(?:\S*/)?(?:dist|build|public|out|site|_site|www|html|docs)/?\s+s3://")
"""What was built takes the place of what was built before: the command that made it makes it again."""


def _cloud(programs: str, *table: tuple[str, float, str, str]) -> None:
    for name, score, pattern, why in table:
        compiled = re.compile(pattern)

        def judge(
            c: Command, s: Setting, compiled: re.Pattern[str] = compiled, score: float = score, name: str = name
        ) -> float:
            text = line(c)[:4_000]
            if c.name == "supabase" and not re.search(
                r"--linked|--db-url|--project-ref|^(?:projects|branches|functions|secrets)\s", text
            ):
                return 0.0
            if not compiled.search(text) or _practice(c):
                return 0.0
            takes = name in ("deletes-in-the-cloud", "destroys-infrastructure")
            own = takes and (practice(text, own=score <= 0.6) or _BUILT.match(text) is not None)
            return min(score, 0.45) if own else score

        rule("cloud", name, why, programs)(judge)


_cloud(
    "aws",
    ("deletes-in-the-cloud", 0.75, r"^[\w-]+\s+(?:delete|terminate|deregister|remove|purge|disassociate|detach|revoke|release|stop-logging|schedule-key-deletion|cancel|reset|disable|batch-delete|leave)(?:-[\w-]+)?\b(?!-message)(?!.*\bqueue-messages)", _GONE),
    ("deletes-in-the-cloud", 0.85, r"^s3\s+(?:rb\b|rm\b.*--recursive)", _GONE),
    ("deletes-in-the-cloud", 0.45, r"^s3\s+rm\b", _GONE),
    ("deletes-in-the-cloud", 0.55, r"^s3\s+(?:sync\b.*--delete|mv\b.*--recursive)", _GONE),
    ("deletes-in-the-cloud", 0.55, r"^ec2\s+stop-instances(?!\s+--instance-ids?\s+i-\w+(?:\s+--(?:region|profile)\s+\S+)*\s*$)|^rds\s+stop-db|^autoscaling\s+(?:update|set)\S*\b.*(?:-size|capacity)[ =]0|^ecs\s+update-service\b.*--desired-count[ =]0", "This stops what runs in the cloud."),
    ("deletes-in-the-cloud", 0.55, r"^route53\s+change-resource-record-sets\b.*DELETE", _GONE),
    ("stops-watching", 0.6, r"^s3api\s+put-bucket-versioning\b.*Suspended|^s3api\s+(?:delete-bucket-encryption|put-bucket-logging)\b", "This takes away what would bring lost files back."),
    ("stops-watching", 0.9, r"^cloudtrail\s+(?:stop-logging|delete-trail)|^guardduty\s+delete|^config\w*\s+(?:stop|delete)|^securityhub\s+disable", "This stops what watches over the cloud."),
    ("grants-cloud-rights", 0.8, r"^iam\s+(?:attach|put)-(?:user|role|group)-policy\b.*(?:Administrator|FullAccess|\*)|^iam\s+(?:create-access-key|create-login-profile|update-assume-role-policy|add-user-to-group|create-user|update-login-profile)", _OPEN),
    ("grants-cloud-rights", 0.8, r"0\.0\.0\.0/0|::/0", _OPEN),
    ("grants-cloud-rights", 0.75, r"^s3api\s+put-(?:bucket|object)-(?:acl|policy)\b|^s3api\s+delete-public-access-block|^s3\s+\w+\b.*--acl[ =]public|put-public-access-block.*false", _OPEN),
    ("grants-cloud-rights", 0.7, r"^(?:lambda|kms|sqs|sns|ecr)\s+(?:add-permission|create-grant|put-key-policy|set-repository-policy)\b.*(?:\*|--principal)|modify-(?:snapshot|image|db-snapshot)-attribute\b.*(?:all|add|Add)|^rds\s+(?:modify|create)\S*\s.*--publicly-accessible", _OPEN),
    ("reads-cloud-secrets", 0.6, r"^secretsmanager\s+(?:get-secret-value|batch-get)|^ssm\s+get-parameters?\S*\b.*--with-decryption|^configure\s+(?:get\s+\S*secret|export-credentials)|^ec2\s+get-password-data", "This shows stored secrets."),
)  # fmt: skip
_cloud(
    "gcloud gsutil bq firebase",
    ("deletes-in-the-cloud", 0.8, r"(?:^|\s)(?:delete|destroy|remove-iam|purge)(?:\s|$)|^(?:-m\s+)?(?:rm\s.*-[a-zA-Z]*[rR]|rb\b|rm\s.*\*)|^storage\s+(?:rm\s.*(?:-[a-zA-Z]*[rR]|\*)|buckets\s+delete)|(?:firestore|projects|apps|auth|remoteconfig):delete|hosting:disable|database:remove|functions:delete|^projects\s+delete|^(?:-m\s+)?rsync\b.*\s-d\b", _GONE),
    ("deletes-in-the-cloud", 0.5, r"^compute\s+instances\s+(?:stop|reset)|^container\s+clusters\s+resize\b.*(?:=|\s)0\b", "This stops what runs in the cloud."),
    ("grants-cloud-rights", 0.8, r"add-iam-policy-binding\b.*(?:allUsers|allAuthenticatedUsers|roles/(?:owner|editor|admin|iam))|^(?:projects|organizations|folders)\s+set-iam-policy|^iam\s+ch\s+all(?:Users|AuthenticatedUsers)|^iam\s+roles\s+(?:update|create)\b.*setIamPolicy|^acl\s+ch\b.*(?:AllUsers|all)|--allow-unauthenticated|0\.0\.0\.0/0|^iam\s+service-accounts\s+keys\s+create|^(?:def)?acl\s+(?:set|ch)\b.*public", _OPEN),
    ("reads-cloud-secrets", 0.6, r"^secrets\s+versions\s+access|^auth\s+(?:print-access-token|application-default\s+print-access-token)\s*$", "This shows stored secrets."),
)  # fmt: skip
_cloud(
    "az",
    ("deletes-in-the-cloud", 0.8, r"\s(?:delete|purge|delete-batch)(?:\s|$)", _GONE),
    ("deletes-in-the-cloud", 0.5, r"^vm\s+(?:deallocate|stop)|^aks\s+stop", "This stops what runs in the cloud."),
    ("grants-cloud-rights", 0.75, r"^role\s+assignment\s+create\b.*(?:Owner|Contributor|Administrator)|--public-access[ =](?:blob|container)|^ad\s+sp\s+create-for-rbac|--source-address-prefixes?[ =](?:'?\*|Internet|0\.0\.0\.0/0)", _OPEN),
    ("reads-cloud-secrets", 0.6, r"^keyvault\s+secret\s+show|^storage\s+account\s+keys\s+list|^account\s+get-access-token", "This shows stored secrets."),
)  # fmt: skip
_cloud(
    "terraform tofu terragrunt pulumi cdk cdktf serverless sls sst copilot eb sam",
    ("destroys-infrastructure", 0.85, r"^(?:run-all\s+)?(?:destroy|down|remove|terminate|delete|app\s+delete|env\s+delete|svc\s+delete)\b|^(?:run-all\s+)?apply\b.*-destroy", "This takes everything down that it has built."),
    ("destroys-infrastructure", 0.6, r"^(?:run-all\s+)?apply\b(?!.*\s\S+\.(?:tf)?plan\b)(?!.*\stfplan\b).*-auto-approve|^up\b.*(?:--yes|-y\b|--skip-preview)", "This changes everything that it has built, and nobody looks first."),
    ("destroys-infrastructure", 0.65, r"^state\s+(?:rm|push)\b|^workspace\s+delete|^stack\s+(?:rm|remove)|^force-unlock|^state\s+(?:delete|unprotect)", "This makes it forget what it has built."),
)  # fmt: skip
_cloud(
    "heroku amplify vercel netlify flyctl fly doctl linode-cli railway render wrangler supabase eksctl kops ibmcloud oci aliyun hcloud scw civo vultr-cli openstack nomad ovhcloud exo upctl packer pscale neonctl turso planetscale",
    ("deletes-in-the-cloud", 0.8, r"(?:^|[\s:.-])(?:destroy|delete|remove|rm|terminate|purge|reset|undeploy|drop)(?:$|[\s:])", _GONE),
    ("deletes-in-the-cloud", 0.7, r"^down\b.*(?:-y\b|--yes)", _GONE),
    ("reads-cloud-secrets", 0.5, r"^config\b.*(?:-s\b|--shell|--json)|^config:get\s+\S*(?:SECRET|TOKEN|KEY|PASSWORD|URL)", "This shows stored secrets."),
    ("deletes-in-the-cloud", 0.55, r"ps:scale\s+\S+=0|maintenance:on|scale\s+(?:count\s+)?0\b|^system\s+gc", "This stops what runs in the cloud."),
)  # fmt: skip
_cloud(
    "vault consul etcdctl chamber doppler op infisical",
    ("grants-cloud-rights", 0.75, r"^(?:token\s+create|write\s+\S*\btoken/create)\b.*-?polic(?:y|ies)[ =]\"?root\b|^operator\s+generate-root", _OPEN),
    ("deletes-in-the-cloud", 0.75, r"^(?:leave\b|kv\s+(?:delete|destroy|metadata\s+delete)|secrets\s+disable|auth\s+disable|delete|operator\s+(?:seal|raft\s+remove)|kv\s+delete\s+-recurse|del\b|policy\s+delete|item\s+delete|vault\s+delete)\b", _GONE),
    ("reads-cloud-secrets", 0.5, r"^kv\s+get\b.*-format|^secrets\s*(?:$|--raw|--json|get\b)|^secrets\s+download|^export\b|^item\s+get\b.*--reveal|^print\b|^operator\s+unseal", "This shows stored secrets."),
)  # fmt: skip
_cloud(
    "rclone mc s3cmd azcopy b2 restic borg duplicity s5cmd",
    ("deletes-in-the-cloud", 0.75, r"^(?:purge|delete|deletefile|rmdirs|cleanup|del|rb|rm|remove|forget|prune|delete-bucket|delete-file-version|repo\s+delete)\b(?!.*--older-than)", _GONE),
)  # fmt: skip


@rule("cloud", "deletes-in-the-cloud", "This removes what runs in a cluster.", "helm argocd flux istioctl velero")
def _(c: Command, s: Setting) -> float:
    if not re.search(
        r"^(?:uninstall|delete|del|un)\b|^app\s+delete|^backup\s+delete|\suninstall\b", line(c)
    ) or _practice(c):
        return 0.0
    return 0.4 if practice(" ".join(c.args), own=True) else 0.7


rows(
    "cloud",
    "ceph rados rbd gluster",
    ("deletes-in-the-cloud", 0.75, r"--yes-i-really\S*mean-it|^(?:rm|trash\s+purge|snap\s+purge|volume\s+delete)\b", "This deletes what a storage cluster keeps."),
)  # fmt: skip


@rule("cloud", "asks-for-machine-identity", "This asks the cloud for this machine's own credentials.")
def _(c: Command, s: Setting) -> float:
    if c.name in ("echo", "grep", "rg", "printf", "git"):
        return 0.0
    return (
        0.85
        if any(
            re.search(
                r"169\.254\.169\.254|//(?:2852039166|0xa9fea9fe|0251\.0376|\[::ffff:a9fe)|metadata\.google\.internal|169\.254\.170\.2|fd00:ec2::254",
                arg,
            )
            for arg in c.args
        )
        and c.name
        in ("curl", "wget", "http", "nc", "fetch", "invoke-webrequest", "invoke-restmethod", "python", "python3")
        else 0.0
    )


@rule(
    "cloud",
    "changes-many-machines",
    "This runs a command on many machines at once.",
    "ansible pssh pdsh clush salt knife",
)
def _(c: Command, s: Setting) -> float:
    text = line(c)
    return (
        0.75
        if re.search(
            r"rm\s+-\w*r|shutdown|reboot|mkfs|state=absent|systemctl\s+(?:stop|poweroff)|dd\s+if=|poweroff|halt", text
        )
        else 0.0
    )
