"""Notes when a person's profile changes."""

import hashlib
import json

from shared.background import TaskContext, task


@task(
    title="Profile changes",
    purpose="Notes when your profile last changed.",
    scopes={"User.Read": "to read your profile"},
    default="on",
)
def profile_changes(ctx: TaskContext) -> None:
    """Stores when the person's profile last changed, and a digest of it."""
    content = {name: value for name, value in ctx.graph.me().items() if not name.startswith("@")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    if ctx.state.get("digest") != digest:
        ctx.state.update(digest=digest, changed_at=ctx.occurrence.isoformat())
        ctx.record("Your profile changed")
