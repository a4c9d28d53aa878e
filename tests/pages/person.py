"""Somebody at a browser."""

from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response


class Person:
    """One browser with its cookies, and the current tab.

    Attributes:
        complaints: messages on the browser's console, and requests to anywhere but this machine.
        source: the answer that the current page was made of.
        weights: bytes of each answer of the app since the tab was opened, by address.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self.weights: dict[str, int] = {}
        self.source: Response | None = None
        context.set_default_timeout(8_000)
        self.page = self.new_tab()

    def new_tab(self) -> Page:
        """Opens a tab and switches to it."""
        self.page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("response", self._weigh)
        return self.page

    def go(self, path: str) -> Page:
        """Types an address."""
        self.weights.clear()
        self.page.goto(path)
        return self.page

    def begin_sign_in(self, path: str = "/") -> None:
        """Begins a sign-in, up to the tenant's page."""
        self.go(path)
        self.page.get_by_role("link", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Sign in").wait_for()

    def finish_sign_in(self, username: str) -> None:
        """Chooses the account, and consents if asked."""
        self.page.get_by_role("button", name=username).click()
        self.page.get_by_role("button", name="Accept").or_(self.page.get_by_role("navigation", name="Pages")).wait_for()
        if self.page.get_by_role("button", name="Accept").is_visible():
            self.page.get_by_role("button", name="Accept").click()
            self.page.get_by_role("navigation", name="Pages").wait_for()
        self.page.wait_for_load_state()  # the photo asks for a token too

    def sign_in(self, username: str) -> Page:
        """Signs in, from the first page to the person's own."""
        self.begin_sign_in()
        self.finish_sign_in(username)
        return self.page

    def come_back_with(self, **answer: str) -> Page:
        """Returns from the tenant's page to the app with an answer of the tenant, such as an error."""
        state = parse_qs(urlsplit(self.page.url).query)["state"][0]
        return self.go(f"/signin/callback?{urlencode({'state': state, **answer})}")

    def photo_width(self) -> int:
        """Pixels of the photo on the page; fails for a broken one."""
        width: int = self.page.locator(".photo").evaluate("photo => photo.decode().then(() => photo.naturalWidth)")
        return width

    def text(self) -> str:
        """The text of the page."""
        return " ".join(self.page.locator("body").inner_text().split())

    def _hear(self, message: ConsoleMessage) -> None:
        # The browser logs every answer with status 400 or more. Tests look at the pages instead.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _weigh(self, response: Response) -> None:
        address = urlsplit(response.url)
        if address.hostname != "localhost":
            self.complaints.append(f"asked {response.url}")
        if response.url.startswith(self.url) and response.status not in (301, 302, 303):
            if response.request.resource_type == "document":
                self.source = response
            self.weights[address.path] = int(response.headers.get("content-length", 0))
