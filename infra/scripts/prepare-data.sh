#!/bin/sh
# Create the tables, and the database users of the app and of the tasks. Migrations take a lock, so parallel runs wait.
set -eu
cd "$(dirname "$0")/../.."
: "${AZURE_RESOURCE_GROUP:?run this through azd, or set the outputs of the deployment as variables}"
[ -x .venv/bin/sensorwatch ] || make setup

server=$(echo "$DATABASE_URL" | sed -n 's|.*@\([^./]*\)\..*|\1|p')
rule="deploy-$(date -u +%Y%m%d%H%M%S)"
if [ "${SENSORWATCH_PRIVATE_NETWORKING:-false}" = "false" ]; then
    address=${SENSORWATCH_DEPLOYER_ADDRESS:-$(az rest --method get --url https://management.azure.com/subscriptions?api-version=2022-12-01 --verbose 2>&1 | sed -n "s/.*'x-ms-client-ip': '\([0-9.]*\)'.*/\1/p" | head -1)}
    : "${address:?set SENSORWATCH_DEPLOYER_ADDRESS to the public IPv4 address of this machine, for the database firewall}"
    az sql server firewall-rule create --resource-group "$AZURE_RESOURCE_GROUP" --server "$server" \
        --name "$rule" --start-ip-address "$address" --end-ip-address "$address" --output none
    trap 'az sql server firewall-rule delete --resource-group "$AZURE_RESOURCE_GROUP" --server "$server" --name "$rule" --output none' EXIT
fi

app=$(az functionapp identity show --resource-group "$AZURE_RESOURCE_GROUP" --name "$AZURE_FUNCTION_APP_NAME" --query principalId --output tsv)
app_client=$(az ad sp show --id "$app" --query appId --output tsv)
.venv/bin/sensorwatch init --user "$AZURE_FUNCTION_APP_NAME=$app_client" --user "$TASK_IDENTITY_NAME=$TASK_IDENTITY_CLIENT_ID"
