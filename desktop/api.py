"""Calls with a token: this app's API, and Microsoft Graph."""

import re
from dataclasses import dataclass
from typing import Any

from desktop.client import Client, Token
from desktop.failures import INTERACTION_NEEDED, Failed
from shared.clients.graph import Graph, claims_challenge
from shared.clients.http import HttpAnswer, HttpClient, Unavailable, json_object
from shared.error_codes import EntraError
from shared.errors import GraphError

_LOGIN = "python -m desktop login"
_INTERACTIVE = f"{_LOGIN} --flow interactive"


@dataclass(frozen=True)
class Calls:
    """What a signed-in person can ask for."""

    client: Client
    http: HttpClient

    def profile(self, account: dict[str, Any] | None) -> dict[str, Any]:
        """GET /api/profile. Raises Failed."""
        return json_object(self._api("GET", account))

    def withdraw(self, account: dict[str, Any] | None) -> None:
        """DELETE /api/profile. Raises Failed."""
        self._api("DELETE", account)

    def graph_profile(self, account: dict[str, Any] | None) -> dict[str, Any]:
        """Microsoft Graph's /me, without the app between. Raises Failed."""
        scopes = self.client.settings.scopes(graph=True)
        token = self.client.silent(scopes, account)
        try:
            return self._graph(token)
        except GraphError as error:
            if not error.claims:
                raise _graph_failed(error) from error
            challenge = error.claims
        token = self.client.silent(scopes, account, claims=challenge)
        try:
            return self._graph(token)
        except GraphError as error:
            raise _graph_failed(error) from error

    def _graph(self, token: Token) -> dict[str, Any]:
        return Graph(self.http, self.client.settings.graph_url, token.text).me()

    def _api(self, method: str, account: dict[str, Any] | None) -> HttpAnswer:
        """One call; after a 401 once more, with a token renewed for the challenge's claims."""
        scopes = self.client.settings.scopes(graph=False)
        answer = self._sent(method, self.client.silent(scopes, account))
        if answer.status_code == 401:
            challenge = _challenge(answer)
            try:
                token = self.client.silent(scopes, account, claims=challenge.get("claims", ""), force=True)
            except Failed as error:
                raise _refused(answer) if error.exit_code == INTERACTION_NEEDED else error from error
            answer = self._sent(method, token)
        if answer.status_code >= 300:
            raise _refused(answer)
        return answer

    def _sent(self, method: str, token: Token) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {token.text}", "Accept": "application/json"}
        url = f"{self.client.settings.api_url}/api/profile"
        try:
            return self.http.request(method, url, headers=headers)
        except Unavailable as error:
            meaning = EntraError("operator", "The API does not answer.", "Check API_URL, and that the app runs.")
            raise Failed("api_unreachable", meaning=meaning) from error


def _challenge(answer: HttpAnswer) -> dict[str, str]:
    """The parameters of WWW-Authenticate; `claims` as JSON text."""
    header = answer.headers.get("www-authenticate", "")
    return dict(re.findall(r'(\w+)="([^"]*)"', header)) | {"claims": claims_challenge(header)}


def _refused(answer: HttpAnswer) -> Failed:
    """Why the API said no, and the sign-in that its challenge asks for."""
    challenge, problem = _challenge(answer), _problem(answer)
    step = _next_step(challenge, answer) if answer.status_code in (401, 403) else ""
    happened = str(problem.get("detail") or f"The API answered with status {answer.status_code}.")
    if step:
        meaning = EntraError("you", happened, "Sign in as it asks.")
    elif answer.status_code == 503:
        meaning = EntraError("nobody", happened, "")
    else:
        meaning = EntraError("operator", happened, "Ask whoever runs the app.")
    return Failed(
        str(problem.get("code") or f"http_{answer.status_code}")[:60],
        meaning=meaning,
        reference=str(problem.get("reference", ""))[:64],
        exit_code=INTERACTION_NEEDED if step else None,
        next_step=step,
    )


def _next_step(challenge: dict[str, str], answer: HttpAnswer) -> str:
    """The command that gets a token with which the API would say yes; "" when there is none."""
    error = challenge.get("error", "")
    if challenge["claims"]:
        encoded = re.search(r'claims="([^"]*)"', answer.headers["www-authenticate"])
        return f"{_INTERACTIVE} --claims {encoded[1]}" if encoded else _INTERACTIVE
    if error == "insufficient_scope" and re.fullmatch(r"[\w:/.\-]+", challenge.get("scope", "")):
        return f"{_INTERACTIVE} --prompt consent --scope {challenge['scope']}"
    if error in ("insufficient_user_authentication", "invalid_token"):
        return f"{_INTERACTIVE} --prompt login"
    return ""


def _problem(answer: HttpAnswer) -> dict[str, Any]:
    try:
        return json_object(answer)
    except Unavailable:
        return {}


def _graph_failed(error: GraphError) -> Failed:
    if error.status == 401:
        meaning = EntraError("you", "Microsoft Graph wants you to sign in again.", "Do so.")
        step = f"{_INTERACTIVE} --graph --prompt login"
        return Failed(error.code or "graph_401", meaning=meaning, exit_code=INTERACTION_NEEDED, next_step=step)
    happened = f"Microsoft Graph answered with {error.status or 'silence'}."
    ours = EntraError("operator", happened, "Check GRAPH_URL and what the app may ask for.")
    meaning = ours if error.status in (400, 403, 404) else EntraError("nobody", happened, "Try again in a moment.")
    return Failed(error.code or f"graph_{error.status}", meaning=meaning, reference=error.request_id)
