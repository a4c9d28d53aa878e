// The app's registration in the tenant, made by the Microsoft Graph Bicep extension. Whoever deploys needs the right
// to make registrations (Application Developer). docs/operations.md has the same as az commands.
extension microsoftGraphV1

param name string
param displayName string
param redirectUri string

@description('Delegated permissions, by space. Those without an entry in permissionIds are consented to at sign-in only.')
param scopes string

param identityPrincipalId string

var microsoftGraph = '00000003-0000-0000-c000-000000000000'
// "Microsoft Graph permissions reference": the delegated ones. offline_access, openid and profile belong to every sign-in.
var always = ['offline_access', 'openid', 'profile']
var permissionIds = {
  offline_access: '7427e0e9-2fba-42fe-b0c0-848c9e6a8182'
  openid: '37f7f235-527c-4136-accd-4a02d197296e'
  profile: '14dad69e-099b-42c9-810b-d002981feec1'
  'User.Read': 'e1fe6dd8-ba31-4d61-89e7-88639da4683d'
  'Calendars.Read': '465a38f9-76ea-45b9-9f34-9e8b0d4b0b42'
  'Mail.Read': '570282fd-fa5c-430d-a7fd-fc8dc98a9dca'
}
var wanted = filter(union(always, split(scopes, ' ')), scope => contains(permissionIds, scope))
var resourceAccess = [for scope in wanted: { id: permissionIds[scope], type: 'Scope' }]

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  identifierUris: ['api://${tenant().tenantId}/${name}']
  web: {
    redirectUris: [redirectUri]
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  api: {
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
    ]
  }
  appRoles: [
    {
      id: guid(name, 'Understudy.Operator')
      value: 'Understudy.Operator'
      allowedMemberTypes: ['User']
      isEnabled: true
      displayName: 'Operator'
      description: 'Sees the state of every account, and may remove one.'
    }
  ]
  requiredResourceAccess: [
    {
      resourceAppId: microsoftGraph
      resourceAccess: resourceAccess
    }
  ]
}

// No secret: the managed identity's token is the app's proof.
resource proof 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = {
  name: '${application.uniqueName}/managed-identity'
  audiences: ['api://AzureADTokenExchange']
  issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
  subject: identityPrincipalId
  description: 'The managed identity of the function app.'
}

resource enterpriseApplication 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

output clientId string = application.appId
