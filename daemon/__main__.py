"""``python -m calwebbd.daemon``"""

import sys

from calwebbd.daemon.cli import main

sys.exit(main())
