"""Entry point of the function app. It only registers the blueprints."""

import azure.functions as func

from functions import api, ingest, results, schedule, serve

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(ingest.blueprint)
app.register_functions(schedule.blueprint)
app.register_functions(results.blueprint)
app.register_functions(serve.blueprint)
app.register_functions(api.blueprint)
