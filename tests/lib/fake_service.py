"""A service with fake calibration as a process of its own: ``python fake_service.py CONFIG``."""

import sys
from pathlib import Path

from calwebbd.daemon import logs
from calwebbd.daemon.configfile import load
from calwebbd.daemon.service import Service

if __name__ == "__main__":
    config = load(Path(sys.argv[1]))
    logs.setup(config.log.level, config.log.file)
    fake = "fake_calibration"
    work = {"calibrate": f"{fake}:calibrate", "verify": f"{fake}:verify"}
    Service(config, source=Path(sys.argv[1]), **work).run(once="--once" in sys.argv)
