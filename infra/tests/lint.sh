#!/bin/sh
# Bicep's linter and formatter have nothing to say about any file. A warning fails as well: the service ignores what it does not know.
set -eu
cd "$(dirname "$0")/.."
# What azd would give.
export AZURE_ENV_NAME=name AZURE_LOCATION=westeurope
wrong=0
for file in *.bicep *.bicepparam modules/*.bicep tests/variants/*.bicepparam; do
    said=$(bicep lint "$file" 2>&1) && test -z "$said" || { echo "$file: $said" >&2; wrong=1; }
    bicep format --stdout "$file" | cmp -s - "$file" || { echo "$file: \`bicep format\` would change it" >&2; wrong=1; }
done
exit $wrong
