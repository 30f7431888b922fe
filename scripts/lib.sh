# Sourced by the scripts beside it.

step() { printf '\n== %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# need PROGRAM PACKAGE: installs the package unless the program is there.
need() {
    command -v "$1" >/dev/null && return
    step "installing $2, for $1"
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq
        # The package must not start a server of its own: the tests start theirs, each on a free port.
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        as_root chmod +x /usr/sbin/policy-rc.d
        DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq "$2" >/dev/null
        as_root rm -f /usr/sbin/policy-rc.d
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q "$2"
    elif command -v brew >/dev/null; then
        brew install "$2"
    else
        echo "please install $2: it brings $1" >&2
        exit 1
    fi
    command -v "$1" >/dev/null || { echo "$2 was installed and brought no $1" >&2; exit 1; }
}
