"""What the sample people's mailboxes, calendars and To Do lists hold. In memory; made up when first looked at."""

from collections.abc import Callable

from localdev.graph.calendar import Calendar
from localdev.graph.mailbox import Mailbox
from localdev.graph.todo_lists import Todo
from localdev.tenant.people import Person


class GraphData:
    """Everybody's, by username. `now`: seconds since 1970."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.clear()

    def clear(self) -> None:
        """Forgets all changes."""
        self._mailboxes: dict[str, Mailbox] = {}
        self._calendars: dict[str, Calendar] = {}
        self._todo: dict[str, Todo] = {}

    def mailbox(self, person: Person) -> Mailbox:
        """A person's mailbox."""
        if person.username not in self._mailboxes:
            self._mailboxes[person.username] = Mailbox(person.username, person.name, self._now)
        return self._mailboxes[person.username]

    def calendar(self, username: str) -> Calendar:
        """A person's calendar."""
        return self._calendars.setdefault(username, Calendar(username))

    def todo(self, username: str) -> Todo:
        """A person's To Do lists."""
        if username not in self._todo:
            self._todo[username] = Todo(self._now)
        return self._todo[username]
