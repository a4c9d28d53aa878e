"""Why the local host can't start.

HostError                    never raised itself
  AppLoadError               function_app.py is absent, can't be imported, or has no single FunctionApp
  IndexingError              a function that Azure would refuse; `function` names it
  ConfigError                host.json or local.settings.json is malformed; `file` names it
    UnresolvedSettingError   a %SETTING% that has no value; `setting` names it
  ScheduleError              not an NCRONTAB expression; `expression` is the text
  PortInUseError             another program listens there; `port`
"""

from pathlib import Path


class HostError(Exception):
    """Base of the tree. The text is one line that tells a developer what to do."""


class AppLoadError(HostError):
    """The app's module can't be used."""


class IndexingError(HostError):
    """A function that the real worker or host would refuse. In Azure one such function stops all of them.

    Args:
        reason: What is wrong with it.
        function: Its name; empty when the whole app is refused.
    """

    def __init__(self, reason: str, *, function: str = "") -> None:
        super().__init__(f"function '{function}': {reason}" if function else reason)
        self.reason = reason
        self.function = function


class ConfigError(HostError):
    """A settings file that can't be read."""

    def __init__(self, reason: str, *, file: Path | None = None) -> None:
        super().__init__(f"{file}: {reason}" if file else reason)
        self.file = file


class UnresolvedSettingError(ConfigError):
    """A binding names %SETTING%, and no such setting exists."""

    def __init__(self, setting: str, *, function: str) -> None:
        super().__init__(
            f"function '{function}': %{setting}% does not resolve to a value; "
            f"set {setting} in local.settings.json (Values) or in the environment"
        )
        self.setting = setting
        self.function = function


class ScheduleError(HostError):
    """A timer's schedule that the host can't read."""

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f"schedule '{expression}': {reason}")
        self.expression = expression


class PortInUseError(HostError):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use; end the program that holds it, or choose another with --port")
        self.port = port
