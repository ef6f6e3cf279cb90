#!/bin/sh
# Installs the program longshore from a release, after it has checked the archive's SHA-256.
#
#   curl -fsSL …/install.sh | sh
#   LONGSHORE_VERSION=0.1.0 INSTALL_DIR=/usr/local/bin sh install.sh
#
# LONGSHORE_VERSION       the version [default: this script's release, or the newest]
# INSTALL_DIR             the folder for the program [default: ~/.local/bin]
# LONGSHORE_REPOSITORY    OWNER/NAME on GitHub
# LONGSHORE_RELEASES_URL  the address of a mirror, in place of …/OWNER/NAME/releases
# LONGSHORE_ATTESTATION   `required` fails where `gh` cannot verify who built the archive
set -eu

# A release fills in both.
REPOSITORY=OWNER/longshore
RELEASE=
# What stands where nobody has said whose the repository is.
UNKNOWN=OWNER/longshore

say() { printf '%s\n' "$*" >&2; }
die() {
    say "install.sh: $*"
    exit 1
}
has() { command -v "$1" > /dev/null 2>&1; }

# Prints the target whose archive this machine needs.
platform() {
    system=$(uname -s) machine=$(uname -m)
    case $system in
        Linux) ;;
        Darwin) die "there is no archive for macOS yet; build it with \`cargo install --locked --git https://github.com/$repository longshore\`, or run the image ghcr.io/$repository" ;;
        MINGW* | MSYS* | CYGWIN*) die "there is no archive for Windows; run this in WSL, or run the image ghcr.io/$repository" ;;
        *) die "there is no archive for $system; the image ghcr.io/$repository runs where Linux containers do" ;;
    esac
    # musl's loader names itself; `getconf` of glibc knows its version.
    if ! getconf GNU_LIBC_VERSION > /dev/null 2>&1 && ldd --version 2>&1 | grep -qi musl; then
        die "the archives need glibc, and this system has musl; run the image ghcr.io/$repository"
    fi
    if [ "$(getconf LONG_BIT 2> /dev/null || echo 64)" = 32 ]; then
        die "there is no archive for 32-bit systems"
    fi
    case $machine in
        x86_64 | amd64) echo x86_64-unknown-linux-gnu ;;
        aarch64 | arm64) echo aarch64-unknown-linux-gnu ;;
        *) die "there is no archive for $machine; there are archives for x86_64 and aarch64" ;;
    esac
}

# download ADDRESS FILE HINT: the hint is for an address that the server does not have.
download() {
    status=0
    if has curl; then
        # A mirror may be on this machine, without TLS.
        case $1 in https:*) only='=https' ;; *) only='=http,https' ;; esac
        curl --fail --silent --show-error --location --proto "$only" --connect-timeout 15 --retry 2 --output "$2" "$1" 2> "$work/said" || status=$?
        case $status in
            0) return ;;
            22) die "the server does not give $1; $3 ($(last))" ;;
            6 | 7 | 28 | 35) die "cannot reach $1: is there a network, and does it need https_proxy? ($(last))" ;;
            18) die "the download of $1 broke off; run this again" ;;
            23) die "cannot write to $work: is the disk full? ($(last))" ;;
        esac
    elif has wget; then
        wget --no-verbose --tries 2 --timeout 15 --output-document "$2" "$1" 2> "$work/said" || status=$?
        case $status in
            0) return ;;
            8) die "the server does not give $1; $3 ($(last))" ;;
            4) die "cannot reach $1: is there a network, and does it need https_proxy? ($(last))" ;;
            3) die "cannot write to $work: is the disk full? ($(last))" ;;
        esac
    else
        die "this needs curl or wget; install one of them"
    fi
    die "cannot download $1: $(last)"
}

last() { tail -n 1 "$work/said"; }

sha256_of() {
    if has sha256sum; then
        sha256sum < "$1" | cut -d ' ' -f 1
    elif has shasum; then
        shasum -a 256 < "$1" | cut -d ' ' -f 1
    else
        die "this needs sha256sum or shasum, to check what it downloads; install one of them"
    fi
}

# Asks GitHub who built the archive. The sum alone only says that the archive is the one that the release lists.
attest() {
    if [ "$repository" = "$UNKNOWN" ]; then
        missing="LONGSHORE_REPOSITORY does not say who should have built it"
    elif ! has gh; then
        missing="gh is not installed"
    elif ! gh auth status < /dev/null > /dev/null 2>&1; then
        missing="gh is not logged in"
    elif ! gh attestation --help < /dev/null > /dev/null 2>&1; then
        missing="this gh knows no attestations"
    elif gh attestation verify "$1" --repo "$repository" < /dev/null > "$work/said" 2>&1; then
        say "gh has verified that $repository built the archive."
        return
    else
        die "gh does not find that $repository built this archive, and nothing was installed: $(last)"
    fi
    [ "${LONGSHORE_ATTESTATION:-}" != required ] || die "LONGSHORE_ATTESTATION=required, but $missing"
    say "The SHA-256 is right. Who built the archive was not verified: $missing."
}

main() {
    repository=${LONGSHORE_REPOSITORY:-$REPOSITORY}
    version=${LONGSHORE_VERSION:-$RELEASE}
    version=${version#v}
    if [ "$repository" = "$UNKNOWN" ] && [ -z "${LONGSHORE_RELEASES_URL:-}" ]; then
        die "this copy does not know its repository; take install.sh from a release, or set LONGSHORE_REPOSITORY=OWNER/NAME"
    fi
    releases=${LONGSHORE_RELEASES_URL:-https://github.com/$repository/releases}
    directory=${INSTALL_DIR:-${HOME:+$HOME/.local/bin}}
    [ -n "$directory" ] || die "HOME is not set; set INSTALL_DIR to the folder for the program"
    for tool in tar gzip mktemp; do
        has $tool || die "this needs $tool; install it"
    done
    target=$(platform)

    found=$("$directory/longshore" --version < /dev/null 2> /dev/null) || found=
    if [ -n "$version" ] && [ "$found" = "longshore $version" ]; then
        say "longshore $version is in $directory already."
        return
    fi
    mkdir -p "$directory" 2> /dev/null || die "cannot make the folder $directory; set INSTALL_DIR to one that you may write to"
    [ -w "$directory" ] || die "cannot write to $directory; set INSTALL_DIR to a folder that you may write to"

    work=$(mktemp -d)
    # The new program lies beside its place, so that it takes the place at once or not at all.
    fresh=$directory/.longshore.$$
    trap 'rm -rf "$work"; rm -f "$fresh"' EXIT
    trap 'exit 130' INT TERM

    if [ -n "$version" ]; then
        from=$releases/download/v$version hint="is there a version $version?"
    else
        from=$releases/latest/download hint="is there a release yet?"
    fi
    download "$from/sha256.sum" "$work/sha256.sum" "$hint"
    # A line is `SUM  NAME`, of `sha256sum`.
    line=$(grep "^[0-9a-f]\{64\}  longshore-v[^ /]*-$target\.tar\.gz\$" "$work/sha256.sum" || true)
    [ -n "$line" ] || die "the release at $from has no archive for $target"
    [ "$(printf '%s\n' "$line" | wc -l)" -eq 1 ] || die "the list at $from/sha256.sum names more than one archive for $target"
    sum=${line%% *}
    archive=${line##* }
    name=${archive%.tar.gz}
    listed=${name#longshore-v}
    listed=${listed%-"$target"}
    if [ -n "$version" ] && [ "$version" != "$listed" ]; then
        die "the list at $from/sha256.sum is of version $listed"
    fi
    version=$listed

    download "$releases/download/v$version/$archive" "$work/$archive" "is the release complete?"
    got=$(sha256_of "$work/$archive")
    if [ "$got" != "$sum" ]; then
        die "$archive is not what the release lists, and nothing was installed: its SHA-256 is $got, and should be $sum; run this again, and report it if that does not help"
    fi
    attest "$work/$archive"

    # Nothing but the program is taken out, whatever else the archive holds.
    tar -xzf "$work/$archive" -C "$work" "$name/longshore" 2> "$work/said" || die "$archive does not hold $name/longshore: $(last)"
    if [ -h "$work/$name/longshore" ] || [ ! -f "$work/$name/longshore" ]; then
        die "$name/longshore in $archive is not a file"
    fi
    cp "$work/$name/longshore" "$fresh" 2> "$work/said" || die "cannot write to $directory: is the disk full? ($(last))"
    chmod 755 "$fresh"
    says=$("$fresh" --version < /dev/null 2> "$work/said") || die "longshore $version does not run on this system, and nothing was installed: $(last)"
    mv -f "$fresh" "$directory/longshore" || die "cannot replace $directory/longshore"

    say "$says is in $directory${found:+; it replaces $found}."
    case ":$PATH:" in
        *":$directory:"*)
            first=$(command -v longshore || true)
            [ "$first" = "$directory/longshore" ] || say "PATH finds $first first."
            ;;
        *) say "PATH does not have that folder: export PATH=\"$directory:\$PATH\"" ;;
    esac
}

# The last line, so that a script that was cut off does nothing.
main
