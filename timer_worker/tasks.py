"""The background work that is done in each absent person's name. Write yours here: see docs/tasks.md.

Only what is in TASKS runs.
"""

import hashlib
import json

from shared.accounts import Account
from shared.clients.graph import Graph
from timer_worker.task import Task


def profile_changes(account: Account, graph: Graph) -> None:
    """Stores when the person's profile last changed, and a digest of it."""
    content = {name: value for name, value in graph.me().items() if not name.startswith("@")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    if account.task_state.get("digest") != digest:
        changed_at = account.last_swept_at.isoformat() if account.last_swept_at else ""
        account.task_state.update(digest=digest, changed_at=changed_at)


PROFILE_CHANGES = Task("profile_changes", profile_changes, scopes=("User.Read",))

TASKS = (PROFILE_CHANGES,)
