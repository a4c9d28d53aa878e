"""Imports function_app.py as Microsoft's Python worker does (azure-functions-python-worker, loader.py)."""

import importlib
import sys
import traceback
import types
from pathlib import Path

import azure.functions as func

from localdev.host.errors import AppLoadError

_MODULE = "function_app"


def load_app(folder: Path) -> func.FunctionApp:
    """Import `folder`/function_app.py anew and find its one FunctionApp.

    The modules that function_app imports are not loaded anew. `folder` stays first on sys.path, because handlers import
    lazily.

    Raises:
        AppLoadError: The file is absent, its import fails, or it has no FunctionApp or more than one.
    """
    file = folder.resolve() / f"{_MODULE}.py"
    if not file.is_file():
        raise AppLoadError(f"no {file.name} in {file.parent}")
    return _only_app(_import(file))


def _import(file: Path) -> types.ModuleType:
    folder = str(file.parent)
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    importlib.invalidate_caches()
    sys.modules.pop(_MODULE, None)
    try:
        module = importlib.import_module(_MODULE)
    except Exception as error:
        sys.modules.pop(_MODULE, None)
        raise AppLoadError(f"{_MODULE}.py can't be imported: {_where(error, file)}") from error
    return module


def _where(error: BaseException, file: Path) -> str:
    """The traceback's last line, and the innermost place in the developer's own files."""
    said = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError):
        return f"{said} ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(file.parent)]
    place = f"{own[-1].filename}, line {own[-1].lineno}" if own else str(file)
    return f"{said} ({place})"


def _only_app(module: types.ModuleType) -> func.FunctionApp:
    # The worker counts names, not objects: it refuses one app under two names, too.
    names = [name for name in dir(module) if isinstance(getattr(module, name, None), func.FunctionRegister)]
    if not names:
        raise AppLoadError(f"{_MODULE}.py has no FunctionApp at its top level")
    if len(names) > 1:
        raise AppLoadError(f"{_MODULE}.py has more than one FunctionApp at its top level: {', '.join(names)}")
    app: func.FunctionApp = getattr(module, names[0])
    return app
