"""Whole disks, partitions and volumes."""

from __future__ import annotations

import re

from lockgate.policies.danger.rules import Setting, has, line, operands, places, rows, rule, value, written
from lockgate.policies.shell.model import Command, known

_DEVICE = r"/dev/(?:sd|hd|vd|xvd|nvme|mmcblk|r?disk|mapper/|md|dm-|nbd|block/|mtd|<|\$|\*)"
_MAKERS = "mkfs mkswap mke2fs mkntfs mkdosfs newfs wipefs blkdiscard badblocks sgdisk sfdisk fdisk cfdisk parted gdisk pvcreate"
_FILESYSTEMS = " ".join(
    f"mkfs.{kind} newfs_{kind}"
    for kind in (
        *("apfs", "hfs", "msdos"),
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "vfat",
        "fat",
        "ntfs",
        "f2fs",
        "exfat",
        "minix",
    )
)


@rule("disks", "formats-disk", "This makes a disk new, and everything on it is lost.", f"{_MAKERS} {_FILESYSTEMS}")
def _(c: Command, s: Setting) -> float:
    text = " ".join((line(c), c.stdin or ""))
    devices = [path for path in operands(c) if re.match(r"/dev/", path) and not path.startswith("/dev/loop")]
    if any(feed.name in ("lsblk", "findmnt", "blkid", "df", "mount") for feed in c.feeds):
        devices += [path for path in operands(c) if not known(path)]
    if c.name in ("fdisk", "sfdisk", "parted", "gdisk", "sgdisk", "cfdisk"):
        only_looks = has(c, "-l", "--list", "-p", "--print", "-d", "--dump") or re.search(r"\bprint\b", text)
        return 0.0 if only_looks and not c.stdin else 0.85 if devices else 0.0
    if c.name == "badblocks":
        return 0.85 if has(c, "-w") and devices else 0.0
    if c.name == "wipefs":
        return 0.9 if has(c, "-a", "--all", "-o", "-f") and devices else 0.0
    if has(c, "-n", "-V", "--help") and not devices:
        return 0.0
    return 0.95 if devices or "<" in text or "$" in text else 0.0


@rule(
    "disks",
    "overwrites-disk",
    "This writes over a disk, and everything on it is lost.",
    "dd cat cp tee shred pv dcfldd ddrescue partclone.ext4 partclone.restore",
)
def _(c: Command, s: Setting) -> float:
    targets = [arg[3:] for arg in c.args if arg.startswith("of=")]
    if c.name in ("shred", "tee", "ddrescue"):
        targets += operands(c, "-n -s")[1 if c.name == "ddrescue" else 0 :][: 1 if c.name == "ddrescue" else None]
    elif c.name == "cp" or c.name.startswith("partclone"):
        targets += operands(c)[-1:]
    found = [str(place) for place in (*places(c, targets, s), *written(c, s))]
    return 0.95 if any(re.match(_DEVICE, one) for one in found) else 0.0


@rule("disks", "fills-disk", "This fills the disk until nothing works.", "dd yes cat fallocate truncate head tee")
def _(c: Command, s: Setting) -> float:
    text = line(c)
    if c.name in ("fallocate", "truncate"):
        size = value(c, "-l", "-s", "--length", "--size")
        return 0.65 if re.fullmatch(r"\+?(?:\d{3,}G|\d+[TPE])i?B?", size) else 0.0
    out = [found.text for found in written(c, s)] + [arg[3:] for arg in c.args if arg.startswith("of=")]
    real = any(not path.startswith("/dev/") for path in out)
    if c.name == "dd":
        endless = re.search(r"if=/dev/(?:zero|u?random)", text) and "count=" not in text
        return 0.7 if endless and real else 0.0
    if c.name == "yes":
        return 0.65 if real else 0.0
    if c.name in ("cat", "tee") and c.feeds and c.feeds[0].name == "yes":
        named = any(not arg.startswith(("-", "/dev/")) for arg in c.args) if c.name == "tee" else False
        return 0.65 if (real or named) and not any(one.name in ("head", "timeout") for one in c.feeds) else 0.0
    return 0.65 if c.name == "cat" and re.search(r"/dev/(?:zero|u?random)", text) and real else 0.0


rows(
    "disks",
    "lvremove vgremove pvremove lvreduce",
    ("removes-volume", 0.85, r".", "This removes a volume and what is on it."),
)
rows(
    "disks",
    "gpart geli zpool zfs btrfs mdadm cryptsetup nvme hdparm diskutil format tune2fs debugfs dmsetup sg_format storcli megacli e2fsck",
    (
        "removes-volume",
        0.85,
        r"^(?:destroy|kill|clear)\b|^(?:subvolume|device)\s+(?:delete|remove)\b|^labelclear\b",
        "This removes a volume and what is on it.",
    ),
    (
        "removes-volume",
        0.8,
        r"--zero-superblock|(?:^|\s)--stop\b|--remove\b|^remove(?:_all)?\b",
        "This takes a disk array apart.",
    ),
    (
        "removes-volume",
        0.9,
        r"^(?:luksFormat|luksErase|erase|luksKillSlot|luksRemoveKey)\b|(?:^|\s)luksFormat\b",
        "This makes an encrypted disk unreadable.",
    ),
    (
        "removes-volume",
        0.9,
        r"^(?:format|sanitize|write-zeroes)\s|--security-erase|--yes-i-know-what-i-am-doing|^eraseDisk|^eraseVolume|^zeroDisk|^secureErase|^partitionDisk|^apfs\s+delete",
        "This erases a disk.",
    ),
    ("removes-volume", 0.65, r"^rollback\b.*\s-[a-zA-Z]*[rR]", "This throws away all that is newer."),
    ("removes-volume", 0.85, r"^[a-zA-Z]:", "This erases a disk."),
    ("removes-volume", 0.7, r"^-w\s+/dev/", "This changes a file system behind the system's back."),
)
rows(
    "disks",
    "flash_erase flash_eraseall flashcp nandwrite ubiformat mtd mtd_debug sg_format nandtest",
    ("erases-device", 0.75, r"^(?:-\S+\s+)*(?:erase|write|format|/dev/(?:mtd|sg|ubi)|--format|\S+\s+/dev/mtd)", "This writes over the flash memory of a device."),
)  # fmt: skip
rows(
    "disks",
    "esptool.py esptool espefuse.py espefuse flashrom avrdude nrfjprog st-flash openocd efibootmgr xorriso i2cset",
    ("erases-device", 0.75, r"^(?:\S+\s+)*burn_\w+|(?:^|\s)-U\s*lock:w:|--recover\b.*--eraseall|-p\s+internal\b.*(?:\s-E\b|\s-w\b)|(?:^|\s)-B\b|-outdev\s+/dev/(?:sd|nvme|disk).*-blank", "This changes a device for good."),
)  # fmt: skip
rows(
    "disks",
    "recovery wipe",
    ("erases-device", 0.8, r"^(?:data|all|system)\b|--wipe_data", "This erases a device."),
)
rows(
    "disks",
    "fastboot heimdall",
    ("erases-device", 0.75, r"^flash\s+(?:boot\s*loader|bootloader|partition|modem|radio|xbl|aboot)\b|^(?:oem|flashing)\s+(?:lock|lock_critical)\b", "This may keep a device from ever starting again."),
    ("erases-device", 0.85, r"^(?:-\w+\s+\S+\s+)*(?:erase|format\S*|flashing\s+unlock|oem\s+unlock|-w)\b|(?:^|\s)-w\b", "This erases a device."),
)  # fmt: skip
rows(
    "disks",
    "hdfs hadoop",
    ("removes-volume", 0.75, r"^(?:dfs|fs)\s+.*-(?:rmr\b|rm\b.*-skipTrash|expunge|rm\s+(?:\S+\s+)*-[rR]\S*\s+(?:\S+\s+)*/(?:[^t\s]\S*|t[^m\s]\S*)?(?:\s|$))|^namenode\s+.*-format", "This deletes what a whole cluster keeps."),
)  # fmt: skip
rows(
    "disks",
    "mount",
    ("unmounts", 0.7, r"--bind\s+\S+\s+/(?:etc|bin|usr|lib|sbin|boot)\b", "This hides the system's own files."),
)
rows(
    "disks",
    "swapoff",
    ("unmounts", 0.4, r"(?:^|\s)(?:-a|--all)(?:\s|$)", "This takes away the memory that is on disks."),
)
rows(
    "disks",
    "umount",
    (
        "unmounts",
        0.65,
        r"(?:^|\s)(?:-a|--all|-[lf]*f[lf]*\s+/|-l\s+/)(?:\s|$)",
        "This takes file systems away from what runs.",
    ),
)
rows(
    "disks",
    "mount",
    (
        "unmounts",
        0.7,
        r"remount,(?:ro|rw)\s+/(?:\s|$)|remount,(?:ro|rw)\s*$|-o\s*remount",
        "This mounts the system anew.",
    ),
)
