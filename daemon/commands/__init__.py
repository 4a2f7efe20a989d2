"""The verbs of the command line. A module's `add` declares them; each sets `run`: arguments to exit code."""

import argparse
from typing import Any

Verbs = Any  # argparse's subparsers have no public type
Common = argparse.ArgumentParser
