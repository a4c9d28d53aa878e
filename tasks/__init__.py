"""The background work that is done in people's names: one file per task. See docs/tasks.md.

Only what is in TASKS runs.
"""

from tasks.morning_digest import morning_digest
from tasks.profile_changes import profile_changes

TASKS = (profile_changes, morning_digest)
