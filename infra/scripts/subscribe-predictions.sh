#!/bin/sh
# Make Event Grid call the blob trigger for every new prediction file. The trigger's key is passed from the app to Event
# Grid and nowhere else. Without this subscription, the sweep publishes the files up to half a minute later.
set -eu
: "${AZURE_RESOURCE_GROUP:?run this through azd, or set the outputs of the deployment as variables}"
app=$AZURE_FUNCTION_APP_NAME
host=$(az functionapp show --resource-group "$AZURE_RESOURCE_GROUP" --name "$app" --query defaultHostName --output tsv)
key=$(az functionapp keys list --resource-group "$AZURE_RESOURCE_GROUP" --name "$app" --query systemKeys.blobs_extension --output tsv)
: "${key:?the app has no key for blob triggers yet; it creates one at its first start, so try again in a minute}"
az eventgrid system-topic event-subscription create \
    --resource-group "$AZURE_RESOURCE_GROUP" --system-topic-name "evgt-$AzureWebJobsStorage__accountName" \
    --name predictions --endpoint-type webhook \
    --endpoint "https://$host/runtime/webhooks/blobs?functionName=Host.Functions.publish&code=$key" \
    --included-event-types Microsoft.Storage.BlobCreated \
    --subject-begins-with /blobServices/default/containers/predictions/ --output none
