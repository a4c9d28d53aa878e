"""What can be done to people's mail, tasks and pushed items from outside, without a token."""

from collections.abc import Callable
from typing import Any, TypeVar

from localdev.graph.mailbox import address
from localdev.graph.todo_lists import STATUSES
from localdev.tenant.people import Person
from localdev.tenant.tenancy import Tenancy

_T = TypeVar("_T")


class DataCommands:
    """Raises ValueError for invalid values and EntraError for unknown people. `do` runs work in the tenant's thread."""

    def __init__(self, tenancy: Tenancy, do: Callable[[Callable[[], Any]], Any] = lambda work: work()) -> None:
        self._tenancy, self._do = tenancy, do

    def mail(self, username: str) -> dict[str, Any]:
        """What the person sent (Graph messages, oldest first), and how many messages are unread."""

        def work(person: Person) -> dict[str, Any]:
            mailbox = self._tenancy.data.mailbox(person)
            unread = sum(not each["isRead"] for each in mailbox.messages())
            return {"sent": list(mailbox.sent), "unread": unread}

        return self._with(username, work)

    def deliver_mail(self, username: str, *, subject: str, sender: str = "", text: str = "") -> dict[str, Any]:
        """Puts an unread message into the person's inbox. Returns it."""
        message = {
            "subject": subject,
            "from": address(sender or "somebody@adatum.example"),
            "body": {"contentType": "text", "content": text},
        }
        return self._with(username, lambda person: self._tenancy.data.mailbox(person).receive(message))

    def add_task(self, username: str, *, title: str, status: str = STATUSES[0]) -> dict[str, Any]:
        """Adds a task to the person's default To Do list. Returns it."""
        _check_status(status)
        facts = {"title": title, "status": status}
        return self._with(username, lambda person: self._tenancy.data.todo(person.username).default.add(facts))

    def change_task(self, username: str, task: str, **changes: Any) -> dict[str, Any]:
        """Changes `title` or `status` of a task in the default list. Returns it."""
        if changes.keys() - {"title", "status"}:
            raise ValueError("a task has title and status")
        _check_status(changes.get("status", STATUSES[0]))

        def work(person: Person) -> dict[str, Any]:
            known = self._tenancy.data.todo(person.username).default
            if known.find(task) is None:
                raise ValueError("there is no such task")
            return known.change(task, changes)

        return self._with(username, work)

    def expire_delta_links(self, username: str) -> None:
        """Makes all delta links and next links of the person's tasks end in 410."""
        self._with(username, lambda person: self._tenancy.data.todo(person.username).expire())

    def pushed(self) -> dict[str, Any]:
        """What the sample API keeps and has counted; see items.Items.report."""
        found: dict[str, Any] = self._do(self._tenancy.items.report)
        return found

    def _with(self, username: str, work: Callable[[Person], _T]) -> _T:
        found: _T = self._do(lambda: work(self._tenancy.people.get(username)))
        return found


def _check_status(status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}")
