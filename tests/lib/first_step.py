"""Runs a command of calwebbd and prints when (``time.time()``) its first step began, then ends."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext

from calwebbd.daemon import cli
from calwebbd.daemon.commands import calibrate


def began(step: str, state: str) -> None:
    print(time.time(), flush=True)
    os._exit(0)


calibrate.progress = lambda files: nullcontext(began)
sys.exit(cli.main(sys.argv[1:]))
