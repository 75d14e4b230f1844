#!/usr/bin/env bash
# A running container engine with Compose, and a base image for the Dockerfiles, or exit 1 and the reason.
#
# On a developer's machine all of that is there, or it is said what is not. Where CI=true and we are root on a Debian, it is
# installed and started, and a base image that cannot be pulled is assembled from Debian's packages.
set -euo pipefail
BASE_IMAGE=${BASE_IMAGE:-python:3.11-slim-bookworm}
MAY_INSTALL=$([[ ${CI:-} == true && $(id -u) == 0 ]] && command -v apt-get > /dev/null && echo yes || echo no)

fail() { echo "NO CONTAINER ENGINE: $*" >&2; exit 1; }

install() { # packages
  [[ $MAY_INSTALL == yes ]] || fail "$* is not installed"
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" > /dev/null || fail "cannot install $*"
}

start_docker() {
  docker info > /dev/null 2>&1 && return
  command -v dockerd > /dev/null || { [[ $MAY_INSTALL == yes ]] && apt-get update > /dev/null; install docker.io iptables; }
  [[ $(id -u) == 0 ]] || fail "docker info fails, and only root can start dockerd"
  setsid dockerd > /tmp/dockerd.log 2>&1 < /dev/null &
  for _ in {1..60}; do docker info > /dev/null 2>&1 && return; sleep 1; done
  fail "dockerd does not come up: $(tail -n 1 /tmp/dockerd.log)"
}

# Compose's plugin is in newer suites of Debian than its engine; it is one binary.
find_compose() {
  docker compose version > /dev/null 2>&1 && return
  [[ $MAY_INSTALL == yes ]] || fail "docker compose is not installed"
  local scratch mirror plugins=~/.docker/cli-plugins
  scratch=$(mktemp -d) && chmod 755 "$scratch"
  mkdir -p "$scratch"/{lists,cache/archives}/partial "$plugins"
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null \
    | sed -nE 's/^URIs: *([^ ]+[/]debian)[/]?$/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+[/]debian)[/]? .*/\2/p' | head -n 1 || true)
  [[ -n $mirror ]] || fail "no Debian mirror is configured, so docker-compose cannot be downloaded"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$scratch/sources.list"
  local apt=(apt-get -o "Dir::Etc::sourcelist=$scratch/sources.list" -o Dir::Etc::sourceparts=- \
    -o "Dir::State::lists=$scratch/lists" -o "Dir::Cache=$scratch/cache" -o APT::Sandbox::User=root)
  (cd "$scratch" && "${apt[@]}" update > /dev/null && "${apt[@]}" download docker-compose > /dev/null) || fail "cannot download docker-compose"
  dpkg-deb -x "$scratch"/docker-compose*.deb "$scratch/unpacked"
  cp "$scratch/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$plugins/"
  rm -rf "$scratch"
}

find_base_image() {
  docker image inspect "$BASE_IMAGE" > /dev/null 2>&1 && return
  docker pull --quiet "$BASE_IMAGE" > /dev/null 2>&1 && return
  command -v debootstrap > /dev/null || install debootstrap
  [[ $MAY_INSTALL == yes ]] || fail "$BASE_IMAGE can be neither pulled nor assembled"
  local root
  root=$(mktemp -d)
  debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$root" > "$root.log" \
    || fail "debootstrap: $(tail -n 1 "$root.log")"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  [[ ! -f /etc/pip.conf ]] || cp /etc/pip.conf "$root/etc/"
  umount "$root/proc" 2> /dev/null || true
  tar -C "$root" --exclude='./proc/*' --exclude='./sys/*' --exclude='./var/cache/apt/archives/*.deb' -c . | docker import - "$BASE_IMAGE" > /dev/null
  rm -rf "$root" "$root.log"
}

start_docker
find_compose
find_base_image
