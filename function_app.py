"""The Functions app: registers the blueprints, nothing else."""

import azure.functions as func

import graph_me.routes
import health.routes
import operators.routes
import signin.routes
import timer_worker.triggers
import web_api.routes

app = func.FunctionApp()
app.register_functions(signin.routes.blueprint)
app.register_functions(graph_me.routes.blueprint)
app.register_functions(operators.routes.blueprint)
app.register_functions(web_api.routes.blueprint)
app.register_functions(health.routes.blueprint)
app.register_functions(timer_worker.triggers.blueprint)
