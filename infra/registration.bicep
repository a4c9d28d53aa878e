// The app's registration in the tenant, made by the Microsoft Graph Bicep extension. Whoever deploys needs the right
// to make registrations (Application Developer). docs/operations.md has the same as az commands.
extension microsoftGraphV1

param name string
param displayName string
param redirectUri string

@description('Delegated permissions of Microsoft Graph, by space.')
param scopes string

param identityPrincipalId string

// The tenant's own list of permissions: each is looked up by its name, and one that is not there ends the deployment.
var microsoftGraph = '00000003-0000-0000-c000-000000000000'
resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: microsoftGraph
}
// These belong to every sign-in.
var always = ['offline_access', 'openid', 'profile']
var wanted = union(always, filter(split(scopes, ' '), scope => !empty(scope)))

var api = {
  requestedAccessTokenVersion: 2
  oauth2PermissionScopes: [
    {
      id: guid(name, 'access_as_user')
      value: 'access_as_user'
      type: 'User'
      isEnabled: true
      adminConsentDisplayName: 'Act for the signed-in person'
      adminConsentDescription: 'Lets a client call this app in the name of the person who is signed in there.'
      userConsentDisplayName: 'Act for you'
      userConsentDescription: 'Lets a client call this app in your name.'
    }
    {
      id: guid(name, 'Operators.Read')
      value: 'Operators.Read'
      // Only an administrator can grant it to a client: with an operator's sign-in it reads the state of everybody.
      type: 'Admin'
      isEnabled: true
      adminConsentDisplayName: 'Read the list of people'
      adminConsentDescription: 'Lets a client read the state of every account in the name of an operator.'
    }
  ]
}
var appRoles = [
  {
    id: guid(name, 'Understudy.Operator')
    value: 'Understudy.Operator'
    allowedMemberTypes: ['User']
    isEnabled: true
    displayName: 'Operator'
    description: 'Sees the state of every account, and may remove one.'
  }
]

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  web: {
    redirectUris: [redirectUri]
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  api: api
  appRoles: appRoles
  requiredResourceAccess: [
    {
      resourceAppId: microsoftGraph
      resourceAccess: [
        for scope in wanted: {
          id: filter(graph.oauth2PermissionScopes, permission => permission.value == scope)[0].id
          type: 'Scope'
        }
      ]
    }
  ]
}

// The same registration once more: its Application ID URI holds the client id, which exists only now. Without the URI
// no client can name the app as a resource (AADSTS500011; msgraph-bicep-types, issue 239).
resource named 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  identifierUris: ['api://${application.appId}']
  api: api
  appRoles: appRoles
}

// No secret: the managed identity's token is the app's proof.
resource proof 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = {
  name: '${named.uniqueName}/managed-identity'
  audiences: ['api://AzureADTokenExchange']
  issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
  subject: identityPrincipalId
  description: 'The managed identity of the function app.'
}

resource enterpriseApplication 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: named.appId
}

output clientId string = named.appId
