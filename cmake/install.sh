# shellcheck shell=bash
# Shared by ./reproduce and ./check (sourced): messages, and the packages of cmake/packages.txt.

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
usage_error() { printf '%s: %s (see --help)\n' "${0##*/}" "$*" >&2; exit 2; }

installed() { # PACKAGE
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Prints what is missing of the list FILE, the first of each line's alternatives.
missing_packages() { # FILE
    local line name
    local -a names
    while read -r line; do
        IFS='|' read -ra names <<<"${line%%[[:space:]#]*}"
        [[ ${#names[@]} -gt 0 ]] || continue
        for name in "${names[@]}"; do installed "$name" && continue 2; done
        printf '%s\n' "${names[0]}"
    done <"$1"
}

# Installs what is missing of the list FILE; leaves apt alone where nothing is.
install_packages() { # FILE
    local -a missing apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    if ! command -v apt-get >/dev/null; then
        die "this is not Debian or Ubuntu: install the equivalents of $1 and run again with --no-install"
    fi
    mapfile -t missing < <(missing_packages "$1")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null ||
            die "missing packages, and neither root nor sudo to install them; as root: apt-get install ${missing[*]}"
        apt=(sudo "${apt[@]}")
    fi
    say "installing ${missing[*]}"
    "${apt[@]}" update || die "apt-get update failed"
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}
