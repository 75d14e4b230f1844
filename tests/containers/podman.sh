#!/usr/bin/env bash
# A podman that can run pods, or exit 1 and the reason. Installed where CI=true and we are root on a Debian.
set -euo pipefail
fail() { echo "NO PODMAN: $*" >&2; exit 1; }

if ! command -v podman > /dev/null; then
  [[ ${CI:-} == true && $(id -u) == 0 ]] && command -v apt-get > /dev/null || fail "podman is not installed"
  apt-get update > /dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    podman catatonit netavark aardvark-dns iptables > /dev/null || fail "it cannot be installed"
fi
podman info > /dev/null 2>&1 || fail "podman info fails: $(podman info 2>&1 | tail -n 1)"
