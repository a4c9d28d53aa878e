"""What every worker is started with."""

import os

from shared.settings import documented

BASE_URL = "https://understudy.example"  # nobody asks there: the worker is handed the requests


def clean(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment with these settings instead of the app's."""
    ours = {name for name, _, _ in documented()}
    return {name: value for name, value in os.environ.items() if name not in ours} | settings
