"""The hosts of Microsoft's clouds. The hosts of one cloud are aliases: a token cache may name any of them.

Source: the instance discovery document of Microsoft Entra (`/common/discovery/instance`), as MSAL.NET carries it in its
class `KnownMetadataProvider`.
"""

_CLOUDS = (
    ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"),
    ("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
    ("login.microsoftonline.us", "login.usgovcloudapi.net"),
    ("login.microsoftonline.de",),
    ("login-us.microsoftonline.com",),
)


def cloud_of(host: str) -> tuple[str, ...]:
    """All hosts of this host's cloud; () for a host that is not Microsoft's."""
    return next((hosts for hosts in _CLOUDS if host in hosts), ())
