"""How much memory a process has used, and whether the kernel had to kill for want of it."""

from pathlib import Path


def peak_mb(pid: int) -> float | None:
    """The most a process has used until now; None if it is no more."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None  # it has ended, but nobody has asked how


def killings() -> int:
    """How often the kernel has killed a process of this machine for want of memory, since it started."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0
