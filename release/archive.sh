#!/bin/sh
# Makes the archive of one platform: archive.sh BINARY VERSION TARGET DIRECTORY
# The same input makes the same bytes: SOURCE_DATE_EPOCH is the time of every file in it.
set -eu
binary=$1 version=$2 target=$3 directory=$4
name=longshore-v$version-$target
tree=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/$name"
install -m 755 "$binary" "$work/$name/longshore"
install -m 644 "$tree/LICENSE" "$tree/README.md" "$tree/CHANGELOG.md" "$work/$name/"
mkdir -p "$directory"
tar --create --directory "$work" --sort name --mtime "@${SOURCE_DATE_EPOCH:-0}" --owner 0 --group 0 --numeric-owner --format gnu "$name" \
    | gzip --no-name --best > "$directory/$name.tar.gz"
