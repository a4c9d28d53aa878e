"""Stands in for PyGObject, through which msal-extensions reaches libsecret. A process finds it by PYTHONPATH; see
repository.py."""


def require_version(_namespace: str, _version: str) -> None:
    """Every version is here."""
