"""Calls with a token: this app's API, and Microsoft Graph."""

import re
from dataclasses import dataclass
from typing import Any

from desktop.client import Client, Token
from desktop.failures import INTERACTION_NEEDED, Failed
from shared.clients.answers import HttpAnswer, Unavailable, json_object
from shared.clients.graph import Graph, claims_challenge
from shared.clients.http import HttpClient
from shared.error_codes import EntraError
from shared.errors import GraphError

_LOGIN = "python -m desktop login"
_INTERACTIVE = f"{_LOGIN} --flow interactive"


@dataclass(frozen=True)
class Calls:
    """The calls that a signed-in person can make."""

    client: Client
    http: HttpClient

    def profile(self, account: dict[str, Any] | None) -> dict[str, Any]:
        """GET /api/profile. Raises Failed."""
        return json_object(self._call_api("GET", account))

    def withdraw(self, account: dict[str, Any] | None) -> None:
        """DELETE /api/profile. Raises Failed."""
        self._call_api("DELETE", account)

    def graph_profile(self, account: dict[str, Any] | None) -> dict[str, Any]:
        """GET /me of Microsoft Graph, not through the app. A claims challenge is met once. Raises Failed."""
        scopes = self.client.settings.scopes(graph=True)
        token = self.client.acquire_silently(scopes, account)
        try:
            return self._get_graph_profile(token)
        except GraphError as error:
            if not error.claims:
                raise _graph_failure(error) from error
            challenge = error.claims
        token = self.client.acquire_silently(scopes, account, claims=challenge)
        try:
            return self._get_graph_profile(token)
        except GraphError as error:
            raise _graph_failure(error) from error

    def _get_graph_profile(self, token: Token) -> dict[str, Any]:
        return Graph(self.http, self.client.settings.graph_url, token.text).me()

    def _call_api(self, method: str, account: dict[str, Any] | None) -> HttpAnswer:
        """Calls the API. After a 401 it calls once more, with a new token for the challenge's claims. Raises Failed."""
        scopes = self.client.settings.scopes(graph=False)
        answer = self._send(method, self.client.acquire_silently(scopes, account))
        if answer.status_code == 401:
            challenge = _challenge(answer)
            try:
                token = self.client.acquire_silently(scopes, account, claims=challenge.get("claims", ""), force=True)
            except Failed as error:
                raise _refusal(answer) if error.exit_code == INTERACTION_NEEDED else error from error
            answer = self._send(method, token)
        if answer.status_code >= 300:
            raise _refusal(answer)
        return answer

    def _send(self, method: str, token: Token) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {token.text}", "Accept": "application/json"}
        url = f"{self.client.settings.api_url}/api/profile"
        try:
            return self.http.request(method, url, headers=headers)
        except Unavailable as error:
            raise Failed("api_unreachable") from error


def _challenge(answer: HttpAnswer) -> dict[str, str]:
    """The parameters of WWW-Authenticate, with `claims` decoded to JSON text."""
    header = answer.headers.get("www-authenticate", "")
    return dict(re.findall(r'(\w+)="([^"]*)"', header)) | {"claims": claims_challenge(header)}


def _refusal(answer: HttpAnswer) -> Failed:
    """Why the API refused, with the command for the sign-in that its challenge asks for."""
    challenge, problem = _challenge(answer), _problem(answer)
    step = _next_step(challenge, answer) if answer.status_code in (401, 403) else ""
    happened = str(problem.get("detail") or f"The API answered with status {answer.status_code}.")
    if step:
        meaning = EntraError("you", happened, "Sign in again as it asks.")
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
    """The command for a token that the API accepts; "" when no token would help."""
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


def _graph_failure(error: GraphError) -> Failed:
    if error.status == 401:
        meaning = EntraError("you", "Microsoft Graph no longer accepts your sign-in.", "Sign in again.")
        step = f"{_INTERACTIVE} --graph --prompt login"
        return Failed(error.code or "graph_401", meaning=meaning, exit_code=INTERACTION_NEEDED, next_step=step)
    happened = (
        f"Microsoft Graph answered with status {error.status}." if error.status else "Microsoft Graph did not answer."
    )
    ours = EntraError("operator", happened, "Check GRAPH_URL and the app's permissions.")
    meaning = ours if error.status in (400, 403, 404) else EntraError("nobody", happened, "Try again in a moment.")
    return Failed(error.code or f"graph_{error.status}", meaning=meaning, reference=error.request_id)
