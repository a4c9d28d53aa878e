"""The `az` that tests put on PATH. It keeps one vault in a file and refuses as often as it is told to."""

import json
import os
import sys
from pathlib import Path

vault = Path(os.environ["STAND_IN_VAULT"])
state = json.loads(vault.read_text())
state["calls"].append([argument for argument in sys.argv[1:] if "/" not in argument])
arguments = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
code = 0
if state["refusals"]:
    state["refusals"] -= 1
    sys.stderr.write("ERROR: (Forbidden) Caller is not authorized to perform action on resource.\n")
    code = 1
elif sys.argv[1:4] == ["keyvault", "secret", "show"]:
    if arguments["--name"] not in state["secrets"]:
        sys.stderr.write(f"ERROR: (SecretNotFound) A secret with name {arguments['--name']} was not found\n")
        code = 3
elif sys.argv[1:4] == ["keyvault", "secret", "set"]:
    state["secrets"][arguments["--name"]] = Path(arguments["--file"]).read_text()
    state["mode"] = Path(arguments["--file"]).stat().st_mode & 0o777
vault.write_text(json.dumps(state))
sys.exit(code)
