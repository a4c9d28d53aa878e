"""Where the first edition had its tasks' class: its tasks still import it from here. Others: shared/background."""

from shared.background.first_edition import Task

__all__ = ["Task"]
