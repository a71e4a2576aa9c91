#!/bin/sh
# Set the name of the deploying person as a variable of the deployment; the database shows it as its administrator.
set -eu
if [ -n "${AZURE_PRINCIPAL_NAME:-}" ]; then
    exit 0
fi
if ! name=$(az ad signed-in-user show --query userPrincipalName --output tsv 2>/dev/null); then
    echo "Nobody is signed in to the Azure CLI: run 'az login', or set AZURE_PRINCIPAL_NAME to the name of the pipeline." >&2
    exit 1
fi
azd env set AZURE_PRINCIPAL_NAME "$name"
