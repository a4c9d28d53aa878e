"""Background work: what a task is, when it runs, and what it gets. `tasks/` imports from here."""

from shared.background.context import TaskContext, TaskState
from shared.background.schedules import daily, every
from shared.background.tasks import Task, task

__all__ = ["Task", "TaskContext", "TaskState", "daily", "every", "task"]
