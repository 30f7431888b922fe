# Sourced by the scripts beside it.

step() { printf '\n== %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# need PROGRAM PACKAGE: installs the package unless the program is there.
need() {
    command -v "$1" >/dev/null && return
    get "$2" "$1"
    command -v "$1" >/dev/null || { echo "$2 was installed and brought no $1" >&2; exit 1; }
}

# A Python that can make an environment; Debian has a part of it in a package of its own.
need_python() {
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || get python3-venv "python's venv"
}

# Chromium with its WebDriver, and letters to show. Other systems name and pack them otherwise: there it is said, and gone without.
need_browser() {
    command -v chromedriver >/dev/null && return
    if command -v apt-get >/dev/null && apt-cache show chromium-driver >/dev/null 2>&1; then
        need chromium chromium
        need chromedriver chromium-driver
        fc-list 2>/dev/null | grep -q . || get fonts-dejavu-core "letters in the browser"
    else
        step "no chromedriver, and no package of that name: the dashboard is not looked at in a browser"
        export BUTTRESS_SKIP_BROWSER=1
    fi
}

# get PACKAGE WHAT: installs a package by the system's package manager.
get() {
    step "installing $1, for $2"
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq
        # The package must not start a server of its own: the tests start theirs, each on a free port.
        printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
        as_root chmod +x /usr/sbin/policy-rc.d
        DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq "$1" >/dev/null
        as_root rm -f /usr/sbin/policy-rc.d
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q "$1"
    elif command -v brew >/dev/null; then
        brew install "$1"
    else
        echo "please install $1: it brings $2" >&2
        exit 1
    fi
}

# second_chance LOG COMMAND...: what failed in the log of `cargo test` is run once more, a test at a time, and named. Faults and deadlines are tested
# in real time: a machine that stalls for a second breaks one test or two, as none of our faults would do twice. More than a few are believed at once.
second_chance() {
    local log=$1 names targets counted
    shift
    mapfile -t names < <(sed -n 's/^test \([^ ]*\) \.\.\. FAILED$/\1/p' "$log")
    mapfile -t targets < <(sed -n 's/^ *`-p [^ ]* \(--.*\)`$/\1/p' "$log" | sort -u)
    counted=$(sed -n 's/^test result: FAILED.* \([0-9]*\) failed.*/\1/p' "$log" | awk '{ all += $1 } END { print all + 0 }')
    if [ "${#names[@]}" = 0 ] || [ "${#names[@]}" -gt 5 ] || [ "${#names[@]}" != "$counted" ] || [[ " ${targets[*]} " == *" --doc "* ]]; then
        step "tests failed: ${names[*]:-see above}"
        exit 101
    fi
    step "once more, one at a time: ${names[*]}"
    # shellcheck disable=SC2068 # `--test cache` is two words
    "$@" ${targets[@]} -- --exact --test-threads=1 "${names[@]}"
    step "failed at first and passed alone: ${names[*]}"
}
