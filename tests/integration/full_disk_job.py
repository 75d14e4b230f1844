"""The training job where no file may grow beyond 100,000 bytes; a model's weights are four times that."""

import resource
import sys

from training.__main__ import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    sys.exit(main(sys.argv[1:]))
