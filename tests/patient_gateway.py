"""A gateway whose workers leave a connection to one another for PATIENCE_S seconds. Run as a module."""

import os
import sys

from serving.gateway import connection_loop
from serving.gateway.__main__ import main

if __name__ == "__main__":
    connection_loop.YIELD_S = float(os.environ["PATIENCE_S"])
    sys.exit(main())
