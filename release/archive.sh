#!/bin/sh
# Makes the archive of one platform: archive.sh BINARY VERSION TARGET DIRECTORY
# The same input makes the same bytes: SOURCE_DATE_EPOCH is the time of every file in it.
set -eu
binary=$1 version=$2 target=$3 directory=$4
name=longshore-v$version-$target
tree=$(cd "$(dirname "$0")/.." && pwd)

# Archives are for systems that are older than the image's. What only a newer C library loads would not start there.
newest=GLIBC_2.34
if [ "$(head -c 4 "$binary" | tail -c 3)" = ELF ]; then
    needed=$(readelf --version-info "$binary" | grep -Eo 'GLIBC_[0-9A-Z_.]+' | sort --unique --version-sort | tail -n 1)
    if [ "$(printf '%s\n' "$needed" "$newest" | sort --version-sort | tail -n 1)" != "$newest" ]; then
        echo "$binary needs $needed, and archives promise $newest: build it with PACKED_RELOCATIONS=0, on Debian 12" >&2
        exit 1
    fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/$name"
install -m 755 "$binary" "$work/$name/longshore"
install -m 644 "$tree/LICENSE" "$tree/README.md" "$tree/CHANGELOG.md" "$work/$name/"

# The program itself writes what shells and `man` read, on a machine of the platform that it is for.
program=$work/$name/longshore
mkdir "$work/$name/completions"
"$program" completions bash > "$work/$name/completions/longshore.bash"
"$program" completions elvish > "$work/$name/completions/longshore.elv"
"$program" completions fish > "$work/$name/completions/longshore.fish"
"$program" completions powershell > "$work/$name/completions/_longshore.ps1"
"$program" completions zsh > "$work/$name/completions/_longshore"
"$program" man "$work/$name/man/man1" > /dev/null
chmod -R u=rwX,go=rX "$work/$name"

mkdir -p "$directory"
tar --create --directory "$work" --sort name --mtime "@${SOURCE_DATE_EPOCH:-0}" --owner 0 --group 0 --numeric-owner --format gnu "$name" \
    | gzip --no-name --best > "$directory/$name.tar.gz"
