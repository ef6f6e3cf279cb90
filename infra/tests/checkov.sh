#!/bin/sh
# What checkov says about each template as the compiler writes it; and a check that it finds what is planted.
set -eu
checkov=$(realpath "$1")
cd "$(dirname "$0")/.."
compiled=$(mktemp -d)
trap 'rm -r "$compiled"' EXIT

# CKV_AZURE_35: without a network of its own the environment has no address to let in; every request needs a role on its queue.
# CKV_AZURE_206: a queue is emptied within minutes: three zones are enough, a copy in another region would be stale messages.
# CKV_AZURE_139: closing the registry's public endpoint takes private endpoints and so the Premium tier; pulling needs AcrPull either way.
# CKV_AZURE_163: scanning is Defender for Containers, which is switched on for a subscription, not for a registry.
# CKV_AZURE_166: quarantine is a preview of the Premium tier.
skipped=CKV_AZURE_35,CKV_AZURE_206,CKV_AZURE_139,CKV_AZURE_163,CKV_AZURE_166

look() { # look ARGUMENTS...
    "$checkov" --framework arm --skip-download --quiet --compact "$@"
}

for file in modules/*.bicep; do
    bicep build "$file" --outfile "$compiled/$(basename "$file" .bicep).json"
done
look --skip-check "$skipped" --directory "$compiled"

# A check that cannot fail is none: with each of these planted, checkov has to fail, and for the reason named.
finds() { # finds RULE FILE OLD NEW
    grep -q "$3" "$compiled/$2" || { echo "$2 has no $3" >&2; exit 1; }
    sed "s|$3|$4|" "$compiled/$2" > "$compiled/planted.json"
    said=$(look --check "$1" --file "$compiled/planted.json") && { echo "checkov passed $2 with $4" >&2; exit 1; }
    echo "$said" | grep -q "$1" || { echo "checkov did not name $1: $said" >&2; exit 1; }
}

finds CKV_AZURE_137 registry.json '"adminUserEnabled": false' '"adminUserEnabled": true'
finds CKV_AZURE_44 storage.json TLS1_2 TLS1_0
