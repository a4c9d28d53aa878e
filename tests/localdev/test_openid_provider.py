"""The certified provider as a part of the tests: found where npm puts it, and told when it is missing."""

from pathlib import Path

import pytest

from localdev import openid_provider
from localdev.openid_provider import OpenIdProvider, OpenIdProviderMissing


def test_without_the_package_the_reason_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its tests are skipped with these words."""
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr(openid_provider, "_PROJECT", tmp_path)
    monkeypatch.setenv("NODE_PATH", str(tmp_path))
    with pytest.raises(OpenIdProviderMissing, match=r"dev\.py test"), OpenIdProvider():
        pass


def test_a_package_on_node_path_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`npm install -g` puts it there."""
    package = tmp_path / "global" / "oidc-provider"
    (package / "lib").mkdir(parents=True)
    (package / "lib" / "index.js").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr(openid_provider, "_PROJECT", tmp_path)
    monkeypatch.setenv("NODE_PATH", str(tmp_path / "global"))
    assert openid_provider.find().package == package
