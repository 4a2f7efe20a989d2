"""The service of a campaign: ``python service.py CONFIG fake|real [--once]``."""

import sys
from pathlib import Path

from calwebbd.daemon import logs
from calwebbd.daemon.configfile import load
from calwebbd.daemon.parts import VERIFY
from calwebbd.daemon.service import Service

WORK = {
    "fake": {"calibrate": "suffering:calibrate", "verify": "suffering:verify"},
    "real": {"calibrate": "suffering:really", "verify": VERIFY},
}

if __name__ == "__main__":
    source = Path(sys.argv[1])
    config = load(source)
    logs.setup(config.log.level, config.log.file)
    Service(config, source=source, **WORK[sys.argv[2]]).run(once="--once" in sys.argv)
