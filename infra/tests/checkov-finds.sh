#!/bin/sh
# A check that cannot fail is none: with each of these planted, checkov has to fail, and for the reason named.
set -eu
checkov=$(realpath "$1")
cd "$(dirname "$0")/.."

finds() { # finds RULE FILE OLD NEW
    planted=$(mktemp -d)
    cp -r main.bicep modules roles.json workbook.json "$planted"
    sed -i "s|$3|$4|" "$planted/modules/$2"
    cmp -s "modules/$2" "$planted/modules/$2" && { echo "$2 has no $3" >&2; exit 1; }
    said=$("$checkov" --framework bicep --skip-download --quiet --compact --check "$1" --file "$planted/modules/$2") && {
        echo "checkov passed $2 with $4" >&2
        exit 1
    }
    rm -r "$planted"
    echo "$said" | grep -q "$1" || { echo "checkov did not name $1: $said" >&2; exit 1; }
}

finds CKV_AZURE_137 registry.bicep 'adminUserEnabled: false' 'adminUserEnabled: true'
finds CKV_AZURE_44 storage.bicep TLS1_2 TLS1_0
