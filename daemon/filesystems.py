"""What kind of file system a path lies on."""

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = """
9p acfs afs beegfs ceph cifs coda davfs fuse.ceph fuse.ceph-fuse fuse.davfs fuse.davfs2 fuse.gcsfuse
fuse.glusterfs fuse.goofys fuse.juicefs fuse.mount-s3 fuse.nfs fuse.rclone fuse.s3fs fuse.s3ql
fuse.smbnetfs fuse.sshfs fuse.vmhgfs-fuse gfs2 glusterfs gpfs lustre ncpfs nfs nfs3 nfs4 ocfs2 orangefs
panfs pvfs2 quobyte smb2 smb3 smbfs vboxsf virtiofs wekafs
"""
#: where other machines write: no events of theirs reach us, and locks do not always hold
NETWORK = frozenset(_NETWORK.split())


def kind(path: Path) -> str:
    """Type of the file system on which the path lies, or will lie, as the kernel names it: ext4, nfs4, …"""
    place = path.resolve()
    found = ("", Path("/"))
    for line in MOUNTS.read_text().splitlines():
        before, _, after = line.partition(" - ")
        mounted = Path(_plain(before.split()[4]))
        # The last of those mounted on one another is the one that is seen.
        if place.is_relative_to(mounted) and mounted.is_relative_to(found[1]):
            found = (after.split()[0], mounted)
    return found[0]


def network(path: Path) -> str | None:
    """The type, if it is a network file system."""
    found = kind(path)
    return found if found in NETWORK else None


def _plain(field: str) -> str:
    """The kernel writes blanks, line ends and backslashes as octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
