"""A gateway whose workers leave a connection to one another for long, as no busy machine is slow. Run as a module."""

import sys

from serving.gateway import connection_loop
from serving.gateway.__main__ import main

if __name__ == "__main__":
    connection_loop.YIELD_S = 0.5
    sys.exit(main())
