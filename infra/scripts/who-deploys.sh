#!/bin/sh
# Tells the deployment the name of who deploys, which the database shows as its administrator.
set -eu
if [ -n "${AZURE_PRINCIPAL_NAME:-}" ]; then
    exit 0
fi
if ! name=$(az ad signed-in-user show --query userPrincipalName --output tsv 2>/dev/null); then
    echo "No person is signed in to the Azure CLI: run 'az login', or set AZURE_PRINCIPAL_NAME to the pipeline's name." >&2
    exit 1
fi
azd env set AZURE_PRINCIPAL_NAME "$name"
