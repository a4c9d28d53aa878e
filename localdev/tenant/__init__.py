"""A sample tenant: an Entra-shaped identity provider and a small Microsoft Graph on this machine. Never deployed.

    with SampleTenant() as tenant:
        settings = tenant.settings("http://localhost:7071")

People sign in without a password (pages). `Visitor` does so in code. Their tokens are
for localdev.graph and localdev.sample_api; localdev.control lists what all of them can be told to do.
"""

from localdev.tenant.certificates import ClientCertificate
from localdev.tenant.people import CONTOSO, FABRIKAM, OPERATOR_ROLE
from localdev.tenant.server import SampleTenant
from localdev.tenant.visitor import SignInRefused, Visitor

__all__ = [
    "CONTOSO",
    "FABRIKAM",
    "OPERATOR_ROLE",
    "ClientCertificate",
    "SampleTenant",
    "SignInRefused",
    "Visitor",
]
