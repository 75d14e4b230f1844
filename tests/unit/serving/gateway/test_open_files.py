import resource
import subprocess
import sys

import pytest

from serving.environment import SettingError
from serving.gateway.open_files import allow_connections

PROGRAM = """
import resource, sys
from serving.gateway.open_files import allow_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 2000))
allow_connections(int(sys.argv[1]))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("connections", "limit"), [(10, 300), (1000, 1256)])
def test_raises_the_limit_only_as_far_as_needed(connections, limit):
    command = [sys.executable, "-c", PROGRAM, str(connections)]
    assert int(subprocess.run(command, capture_output=True, check=True).stdout) == limit


def test_more_than_the_system_allows_names_the_setting():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this system has no limit")
    with pytest.raises(SettingError, match="ATELIER_MAX_CONNECTIONS: expected at most"):
        allow_connections(hard)
