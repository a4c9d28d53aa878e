"""The control API of the sample tenant, the sample Graph and the sample API: what docs/sample-tenant.md describes.

commands        the tenant: people, consents, policies, faults, settings, apps, counts
data_commands   what people have in the sample Graph and the sample API
endpoint        both over HTTP
"""
