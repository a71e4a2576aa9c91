#!/usr/bin/env bash
# Upload the current commit as the Batch application package, which nodes without containers install.
# Usage: infra/scripts/package-tasks.sh RESOURCE_GROUP BATCH_ACCOUNT
set -euo pipefail
cd "$(dirname "$0")/../.."
group=${1:?expected the name of the resource group}
account=${2:?expected the name of the Batch account}
version=$(git rev-parse --short=12 HEAD)
archive=$(mktemp --suffix=.zip)
trap 'rm -f "$archive"' EXIT
git archive --format=zip --output="$archive" HEAD
az batch application package create --resource-group "$group" --name "$account" \
    --application-name sensorwatch --version-name "$version" --package-file "$archive" --output none
az batch application set --resource-group "$group" --name "$account" \
    --application-name sensorwatch --default-version "$version" --output none
echo "The pool's next nodes run $version."
