// Every flow of the server that oauth4webapi has, which checks answers more strictly than most.
import * as oauth from 'oauth4webapi'
import { must, run, visit } from './talk.mjs'

const callback = 'https://shop.example/callback'
const options = { [oauth.allowInsecureRequests]: true }

async function discover(given, algorithm) {
  const issuer = new URL(given.issuer)
  const as = await oauth.processDiscoveryResponse(issuer,
    await oauth.discoveryRequest(issuer, { algorithm, ...options }))
  return as
}

// The handle of a proof has kept the nonce that the first answer brought.
async function again(ask) {
  try {
    return await ask()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return ask()
  }
}

async function code(as, client, authentication, more = {}, push = false) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  let parameters = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: callback,
    response_type: 'code',
    scope: 'openid profile orders.read',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  if (push) {
    const pushed = await again(async () => oauth.processPushedAuthorizationResponse(as, client,
      await oauth.pushedAuthorizationRequest(as, client, authentication, parameters, { ...options, ...more })))
    parameters = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri })
  }
  const url = new URL(as.authorization_endpoint)
  url.search = parameters.toString()
  const back = new URL(await visit(url))
  const answer = oauth.validateAuthResponse(as, client, back, state)
  return again(async () => oauth.processAuthorizationCodeResponse(as, client,
    await oauth.authorizationCodeGrantRequest(as, client, authentication, answer, callback, verifier,
      { ...options, ...more }), { expectedNonce: nonce, requireIdToken: true }))
}

async function refresh_and_userinfo(as, client, authentication, tokens, more = {}) {
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  const info = await oauth.processUserInfoResponse(as, client, sub,
    await oauth.userInfoRequest(as, client, tokens.access_token, { ...options, ...more }))
  must(info.sub === sub && info.preferred_username === 'alice', 'userinfo')
  return oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(as, client,
    authentication, tokens.refresh_token, { ...options, ...more }))
}

async function code_with_every_discovery(given) {
  const client = { client_id: 'shop' }
  const authentication = oauth.ClientSecretPost(given.secret)
  for (const algorithm of ['oidc', 'oauth2']) {
    const as = await discover(given, algorithm)
    const tokens = await code(as, client, authentication)
    await refresh_and_userinfo(as, client, authentication, tokens)
  }
}

async function code_with_client_secret_basic(given) {
  const as = await discover(given, 'oidc')
  const client = { client_id: 'shop' }
  const authentication = oauth.ClientSecretBasic(given.secret)
  const tokens = await code(as, client, authentication)
  const next = await refresh_and_userinfo(as, client, authentication, tokens)
  const introspect = async () => oauth.processIntrospectionResponse(as, client,
    await oauth.introspectionRequest(as, client, authentication, next.access_token, options))
  must((await introspect()).active, 'introspection')
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, authentication, next.access_token, options))
  must(!(await introspect()).active, 'revocation')
}

async function code_with_private_key_jwt(given) {
  const as = await discover(given, 'oidc')
  const key = await crypto.subtle.importKey('jwk', given.key, { name: 'ECDSA', namedCurve: 'P-256' },
    false, ['sign'])
  const client = { client_id: 'signer' }
  const authentication = oauth.PrivateKeyJwt({ key, kid: given.key.kid })
  await refresh_and_userinfo(as, client, authentication, await code(as, client, authentication))
}

async function code_by_a_pushed_request(given) {
  const as = await discover(given, 'oauth2')
  const client = { client_id: 'shop' }
  const authentication = oauth.ClientSecretPost(given.secret)
  await refresh_and_userinfo(as, client, authentication, await code(as, client, authentication, {}, true))
}

async function code_with_dpop(given) {
  const as = await discover(given, 'oauth2')
  const client = { client_id: 'app' }
  for (const algorithm of ['ES256', 'RS256', 'PS256']) {
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(algorithm))
    const tokens = await code(as, client, oauth.None(), { DPoP }, algorithm === 'ES256')
    const next = await refresh_and_userinfo(as, client, oauth.None(), tokens, { DPoP })
    const response = await oauth.protectedResourceRequest(next.access_token, 'POST',
      new URL(given.issuer + '/api/x'), undefined, 'body', { ...options, DPoP })
    must(response.status === 200, 'a service behind the gate')
  }
}

async function access_tokens_are_those_of_rfc_9068(given) {
  const as = await discover(given, 'oauth2')
  const client = { client_id: 'shop' }
  const tokens = await oauth.processClientCredentialsResponse(as, client,
    await oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretPost(given.secret),
      { scope: 'orders.read' }, options))
  const request = new Request(given.issuer + '/api/x', {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  })
  const claims = await oauth.validateJwtAccessToken(as, request, given.issuer, options)
  must(claims.client_id === 'shop' && claims.scope === 'orders.read', 'claims')
}

async function device(given) {
  const as = await discover(given, 'oauth2')
  const client = { client_id: 'shop' }
  const authentication = oauth.ClientSecretPost(given.secret)
  const begun = await oauth.processDeviceAuthorizationResponse(as, client,
    await oauth.deviceAuthorizationRequest(as, client, authentication, { scope: 'openid' }, options))
  await visit(begun.verification_uri_complete)
  const tokens = await oauth.processDeviceCodeResponse(as, client,
    await oauth.deviceCodeGrantRequest(as, client, authentication, begun.device_code, options))
  must(oauth.getValidatedIdTokenClaims(tokens).sub === given.user, 'the user')
}

async function token_exchange(given) {
  const as = await discover(given, 'oauth2')
  const shop = { client_id: 'shop' }
  const { access_token } = await code(as, shop, oauth.ClientSecretPost(given.secret))
  const client = { client_id: 'orders' }
  const tokens = await oauth.processGenericTokenEndpointResponse(as, client,
    await oauth.genericTokenEndpointRequest(as, client, oauth.ClientSecretPost(given.orders),
      'urn:ietf:params:oauth:grant-type:token-exchange', {
        subject_token: access_token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      }, options))
  must(tokens.token_type === 'bearer', 'a token')
}

async function registration(given) {
  const as = await discover(given, 'oauth2')
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: [callback], scope: 'openid' },
      { initialAccessToken: given.initial, ...options }))
  must(client.client_id && client.client_secret, 'a client')
}

async function the_resource_tells_its_server(given) {
  const resource = new URL(given.issuer)
  const found = await oauth.processResourceDiscoveryResponse(resource,
    await oauth.resourceDiscoveryRequest(resource, options))
  must(found.authorization_servers[0] === given.issuer, 'the server')
}

await run([
  code_with_every_discovery, code_with_client_secret_basic, code_with_private_key_jwt,
  code_by_a_pushed_request, code_with_dpop, access_tokens_are_those_of_rfc_9068, device,
  token_exchange, registration, the_resource_tells_its_server,
])
