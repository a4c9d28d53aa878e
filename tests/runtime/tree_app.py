"""Runs in the deployed tree, with the deployed packages only: indexes the app there and calls some of its functions."""

import importlib
import json
import sys
from pathlib import Path

import azure.functions as func


def main() -> None:
    """Prints one JSON object: the functions' names, and the status of each GET that the arguments ask for."""
    sys.path[0] = str(Path.cwd())
    function_app = importlib.import_module("function_app")  # the tree's, not the project's
    handlers = {each.get_function_name(): each.get_user_function() for each in function_app.app.get_functions()}

    def status(name: str, url: str) -> int:
        request = func.HttpRequest("GET", url, headers={"accept": "text/html"}, params={}, route_params={}, body=b"")
        return int(handlers[name](request).status_code)

    asked = (argument.split("=", 1) for argument in sys.argv[1:])
    answer = {"functions": sorted(handlers), "statuses": {name: status(name, url) for name, url in asked}}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
