# What the scripts of this folder share; sourced, not run.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

# Everything downloaded or built goes here, outside the clone.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/roster

say() { echo "dev/${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

# The comment at the top of the calling script is its help.
usage() {
    sed -n '2,/^[^#]/s/^#\{1,\} \{0,1\}//p' "$0" >&2
    exit 2
}

# Installs Debian's packages, as root or through a sudo that asks nothing; fails where that is not possible.
apt_install() {
    local sudo=() log
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        sudo=(sudo -n)
    fi
    say "installing Debian's $*"
    # shellcheck disable=SC2016
    log=$("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive sh -c \
        'apt-get update -qq && apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"' \
        apt "$@" </dev/null 2>&1) || { echo "$log" >&2; return 1; }
}

# Prints a loopback port that nothing listens on, from below the range that outgoing connections are given.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# Makes the folder DIR and prints its absolute path.
folder() { mkdir -p -- "$1" && (cd -- "$1" && pwd -P); }

# Is process PID alive (no zombie) and the server of DIR (no stranger that was given its number)?
runs() { # PID DIR
    [ -n "$1" ] || return 1
    if [ -d /proc/self ]; then
        { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null
    else
        ps -ww -o args= -p "$1"
    fi | grep -F -- "$2/" >/dev/null
}

# Waits until the server of DIR is gone; fails after SECONDS.
gone() { # PID DIR SECONDS
    local tenths=0
    while runs "$1" "$2"; do
        ((tenths++ < $3 * 10)) || return 1
        sleep 0.1
    done
}

# Prints the folder of a virtual environment of Python with these packages, which is kept and found again.
venv() { # REQUIREMENTS
    local venv
    venv=$cache/consumer-venv-$(cksum <"$1" | cut -d ' ' -f 1)
    if [ ! -e "$venv/complete" ]; then
        mkdir -p "$cache"
        rm -rf "$venv"
        if ! python3 -m venv "$venv" >/dev/null 2>&1; then
            rm -rf "$venv"
            apt_install python3 python3-venv || true
            python3 -m venv "$venv" >&2 || die "no Python 3 with venv here and none could be installed: install it."
        fi
        say "fetching packages of Python"
        "$venv/bin/pip" install -q --disable-pip-version-check -r "$1" >&2 ||
            die "the packages of $1 could not be installed: let pip reach PyPI."
        touch "$venv/complete"
    fi
    echo "$venv"
}
