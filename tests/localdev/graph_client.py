"""A person's client of the sample Graph: sends requests with one token, follows links."""

from typing import Any

import requests

from localdev.tenant import SampleTenant
from tests.localdev.tenant_actors import WebApp, session

MAIL = ("Mail.Read", "Mail.Send")
CALENDAR = ("Calendars.ReadWrite",)
TASKS = ("Tasks.ReadWrite",)


class GraphClient:
    """Graph for one signed-in person with these permissions."""

    def __init__(self, tenant: SampleTenant, username: str, *scopes: str) -> None:
        self.tenant, self.username = tenant, username
        self.token = str(WebApp(tenant).sign_in(username, *scopes)["access_token"])
        self._http = session(tenant)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request; `path` after /v1.0, or a whole link."""
        url = path if path.startswith("http") else f"{self.tenant.graph_url}/v1.0{path}"
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return self._http.request(method, url, headers=headers, **options)

    def get(self, path: str, **options: Any) -> dict[str, Any]:
        """The JSON of a successful GET."""
        answer = self.send("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def pages(self, path: str, **options: Any) -> list[dict[str, Any]]:
        """All pages, by their next links."""
        found = [self.get(path, **options)]
        while "@odata.nextLink" in found[-1]:
            found.append(self.get(found[-1]["@odata.nextLink"], headers=options.get("headers", {})))
        return found

    def all(self, path: str, **options: Any) -> list[dict[str, Any]]:
        """The items of all pages."""
        return [item for each in self.pages(path, **options) for item in each["value"]]


def error_in(answer: requests.Response) -> tuple[int, str]:
    """The status and Graph's error code."""
    return answer.status_code, str(answer.json()["error"]["code"])


def message_to(*addresses: str, subject: str = "Hello") -> dict[str, Any]:
    """The body of a sendMail."""
    recipients = [{"emailAddress": {"address": each}} for each in addresses]
    body = {"contentType": "Text", "content": "Good morning"}
    return {"message": {"subject": subject, "body": body, "toRecipients": recipients}}
