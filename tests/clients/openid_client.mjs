// Every flow of the server that openid-client has, as its documentation says how.
import * as client from 'openid-client'
import { must, run, visit } from './talk.mjs'

const callback = 'https://shop.example/callback'
const insecure = { execute: [client.allowInsecureRequests] }

async function configure(given, id, authentication, metadata) {
  return client.discovery(new URL(given.issuer), id, metadata, authentication, insecure)
}

async function code(config, more = {}, options = {}, build = client.buildAuthorizationUrl) {
  const verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const url = await build(config, {
    redirect_uri: callback,
    scope: 'openid profile email orders.read',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...more,
  }, options)
  const back = await visit(url)
  return client.authorizationCodeGrant(config, new URL(back), {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce,
    idTokenExpected: true,
  }, undefined, options)
}

async function useAndEnd(config, tokens, options) {
  const { sub } = tokens.claims()
  const info = await client.fetchUserInfo(config, tokens.access_token, sub, options)
  must(info.preferred_username === 'alice', 'userinfo')
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, options)
  must(next.access_token !== tokens.access_token, 'a new access token')
  must(next.refresh_token !== tokens.refresh_token, 'a new refresh token')
  return next
}

async function code_with_client_secret_basic(given) {
  const config = await configure(given, 'shop', client.ClientSecretBasic(given.secret))
  const next = await useAndEnd(config, await code(config))
  const found = await client.tokenIntrospection(config, next.access_token)
  must(found.active && found.client_id === 'shop', 'introspection')
  await client.tokenRevocation(config, next.access_token)
  must(!(await client.tokenIntrospection(config, next.access_token)).active, 'revocation')
}

async function code_with_client_secret_post(given) {
  const config = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  await useAndEnd(config, await code(config))
}

async function code_as_a_public_client(given) {
  const config = await configure(given, 'app', client.None())
  await useAndEnd(config, await code(config))
}

async function code_with_private_key_jwt(given) {
  const key = await crypto.subtle.importKey('jwk', given.key, { name: 'ECDSA', namedCurve: 'P-256' },
    false, ['sign'])
  const config = await configure(given, 'signer', client.PrivateKeyJwt({ key, kid: given.key.kid }))
  await useAndEnd(config, await code(config))
}

async function code_by_a_pushed_request(given) {
  const config = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  await useAndEnd(config, await code(config, {}, {}, client.buildAuthorizationUrlWithPAR))
}

async function code_with_dpop(given) {
  for (const [id, authentication] of [['app', client.None()], ['shop', client.ClientSecretPost(given.secret)]]) {
    const config = await configure(given, id, authentication)
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
    const tokens = await code(config, {}, { DPoP })
    must(tokens.token_type === 'dpop', 'a bound token')
    const next = await useAndEnd(config, tokens, { DPoP })
    const response = await client.fetchProtectedResource(config, next.access_token,
      new URL(given.issuer + '/api/x?a=b'), 'GET', undefined, undefined, { DPoP })
    must(response.status === 200, 'a service behind the gate')
  }
}

async function code_with_dpop_by_a_pushed_request(given) {
  const config = await configure(given, 'app', client.None())
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair())
  await useAndEnd(config, await code(config, {}, { DPoP }, client.buildAuthorizationUrlWithPAR), { DPoP })
}

async function client_credentials(given) {
  const config = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  const tokens = await client.clientCredentialsGrant(config, { scope: 'orders.read' })
  const response = await client.fetchProtectedResource(config, tokens.access_token,
    new URL(given.issuer + '/scoped'), 'GET')
  must(response.status === 200, 'a service behind the gate')
}

async function device(given) {
  const config = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  const begun = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
  await visit(begun.verification_uri_complete)
  const tokens = await client.pollDeviceAuthorizationGrant(config, begun)
  must(tokens.claims().sub === given.user, 'the user')
}

async function implicit(given) {
  const config = await configure(given, 'shop', client.None())
  client.useIdTokenResponseType(config)
  const nonce = client.randomNonce()
  const state = client.randomState()
  const back = await visit(client.buildAuthorizationUrl(config, {
    redirect_uri: callback, scope: 'openid', nonce, state,
  }))
  const claims = await client.implicitAuthentication(config, new URL(back), nonce, { expectedState: state })
  must(claims.sub === given.user, 'the user')
}

async function password(given) {
  const config = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  const tokens = await client.genericGrantRequest(config, 'password', {
    username: 'alice', password: 'a long password', scope: 'openid',
  })
  must(tokens.access_token, 'tokens')
}

async function token_exchange(given) {
  const shop = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  const { access_token } = await code(shop)
  const config = await configure(given, 'orders', client.ClientSecretPost(given.orders))
  const type = 'urn:ietf:params:oauth:token-type:access_token'
  const tokens = await client.genericGrantRequest(config,
    'urn:ietf:params:oauth:grant-type:token-exchange',
    { subject_token: access_token, subject_token_type: type })
  must(tokens.issued_token_type === type, 'issued_token_type')
}

async function registration(given) {
  const config = await client.dynamicClientRegistration(new URL(given.issuer), {
    redirect_uris: [callback], client_name: 'Registered',
  }, client.ClientSecretBasic(), { initialAccessToken: given.initial, ...insecure })
  const tokens = await code(config, { scope: 'openid' })
  must(tokens.claims().sub === given.user, 'the user')
}

async function logout(given) {
  const config = await configure(given, 'shop', client.ClientSecretPost(given.secret))
  const tokens = await code(config)
  const back = await visit(client.buildEndSessionUrl(config, {
    post_logout_redirect_uri: 'https://shop.example/bye', id_token_hint: tokens.id_token, state: 'x',
  }))
  must(back === 'https://shop.example/bye?state=x', 'back at the client: ' + back)
}

await run([
  code_with_client_secret_basic, code_with_client_secret_post, code_as_a_public_client,
  code_with_private_key_jwt, code_by_a_pushed_request, code_with_dpop,
  code_with_dpop_by_a_pushed_request, client_credentials, device, implicit, password,
  token_exchange, registration, logout,
])
