"""Goes through the tenant's pages as a person with a browser would: over HTTP, with cookies and form fields."""

from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


class SignInRefused(Exception):
    """The tenant showed an error page; `args[0]` is its text."""


class Visitor:
    """One browser. `http` may be a session that the caller also uses for the app."""

    def __init__(self, http: requests.Session | None = None) -> None:
        self.http = http or _session()

    def sign_in(self, url: str, username: str, *, accept: bool = True) -> str:
        """Goes from an authorization URL to the redirect back to the app. Returns that URL without following it."""
        answer = self.http.get(url, allow_redirects=False)
        return self._walk(answer, username, accept=accept)

    def allow_device(self, verification_uri: str, user_code: str, username: str, *, accept: bool = True) -> None:
        """Enters a device's code and allows or declines it."""
        answer = self.http.post(verification_uri, {"user_code": user_code})
        while (form := Form.of(answer.text)) and form.fields:
            answer = self._post(answer, form, username, accept=accept)
        if answer.status_code != 200:
            raise SignInRefused(_text(answer.text))

    def _walk(self, answer: requests.Response, username: str, *, accept: bool) -> str:
        while not answer.is_redirect:
            form = Form.of(answer.text)
            if form is None or not form.fields:
                raise SignInRefused(_text(answer.text))
            if not form.action.startswith("/"):  # form_post: the same answer, as a URL
                return requests.Request("GET", form.action, params=form.fields).prepare().url or ""
            answer = self._post(answer, form, username, accept=accept)
        return answer.headers["Location"]

    def _post(self, page: requests.Response, form: "Form", username: str, *, accept: bool) -> requests.Response:
        choice = {"answer": "accept" if accept else "cancel"} if "answer" in form.buttons else {"username": username}
        return self.http.post(urljoin(page.url, form.action), form.fields | choice, allow_redirects=False)


class Form(HTMLParser):
    """The first form of a page: its action, hidden fields, and the names of its buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.buttons: set[str] = set()
        self._forms = 0

    @classmethod
    def of(cls, html: str) -> "Form | None":
        """The form of a page, or None."""
        form = cls()
        form.feed(html)
        return form if form._forms else None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        values = {name: value or "" for name, value in attrs}
        self._forms += tag == "form"
        if self._forms != 1:
            return
        if tag == "form":
            self.action = values.get("action", "")
        elif tag == "input" and values.get("type") == "hidden":
            self.fields[values["name"]] = values["value"]
        elif tag == "button" and "name" in values:
            self.buttons.add(values["name"])


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = ""
        self._skip = False

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self._skip = tag in ("style", "title", "script")

    def handle_data(self, data: str) -> None:
        self.found += "" if self._skip else data + " "


def _text(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    return " ".join(reader.found.split())


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # only this machine is visited: no proxies, no CA bundle
    return session
