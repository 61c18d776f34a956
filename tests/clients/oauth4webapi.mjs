// The gateway as oauth4webapi sees it: discovery, code with PKCE and iss, refresh, client credentials by each method,
// introspection, revocation, and a SCIM request with what came of it.
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import * as oauth from 'oauth4webapi'

const given = JSON.parse(process.env.PORTCULLIS_CLIENTS)
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(given.issuer)

const discovered = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' })
const as = await oauth.processDiscoveryResponse(issuer, discovered)

const scim = async (token) => {
  const response = await oauth.protectedResourceRequest(token, 'GET', new URL(`${given.scim_base}/Users?count=1`), undefined, undefined, insecure)
  return response.status
}

/** What a person does: signs in and approves. Gives the address the browser is sent to. */
const approve = async (start) => {
  let cookie = ''
  const open = async (url, fields) => {
    const response = await fetch(url, {
      method: fields ? 'POST' : 'GET',
      body: fields && new URLSearchParams(fields),
      headers: { cookie },
      redirect: 'manual',
    })
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie
    const page = await response.text()
    return { location: response.headers.get('location'), token: /name="form_token" value="([^"]*)"/.exec(page)?.[1] }
  }
  const signIn = await open(start)
  const { username, password } = given.administrator
  const signedIn = await open(start, { form_token: signIn.token, action: 'sign_in', username, password })
  const next = new URL(signedIn.location, start)
  const consent = await open(next)
  return new URL((await open(next, { form_token: consent.token, action: 'authorize' })).location)
}

const byCode = async (client, authentication) => {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const start = new URL(as.authorization_endpoint)
  start.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: given.redirect_uri,
    response_type: 'code',
    scope: 'scim.read scim.write',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const parameters = oauth.validateAuthResponse(as, client, await approve(start), state)
  const response = await oauth.authorizationCodeGrantRequest(as, client, authentication, parameters, given.redirect_uri, verifier, insecure)
  return oauth.processAuthorizationCodeResponse(as, client, response)
}

const own = async (client, authentication) => {
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, { scope: 'scim.read' }, insecure)
  return oauth.processClientCredentialsResponse(as, client, response)
}

const pem = given.private_key.replace(/-----[^-]+-----|\s/g, '')
const privateKey = await webcrypto.subtle.importKey(
  'pkcs8', Buffer.from(pem, 'base64'), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const confidential = { client_id: given.confidential.client_id }
const signing = { client_id: given.signing.client_id }
const open = { client_id: given.public.client_id }
const methods = [
  ['client_secret_basic', confidential, oauth.ClientSecretBasic(given.confidential.client_secret)],
  ['client_secret_post', confidential, oauth.ClientSecretPost(given.confidential.client_secret)],
  ['private_key_jwt', signing, oauth.PrivateKeyJwt({ key: privateKey, kid: 'k' })],
  ['none', open, oauth.None()],
]
for (const [name, client, authentication] of methods) {
  const granted = await byCode(client, authentication)
  assert.equal(await scim(granted.access_token), 200, name)
  const refreshed = await oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, authentication, granted.refresh_token, insecure))
  assert.equal(await scim(refreshed.access_token), 200, name)
  if (name !== 'none') {
    const mine = await own(client, authentication)
    assert.deepEqual([mine.scope, mine.token_type, await scim(mine.access_token)], ['scim.read', 'bearer', 200], name)
    const about = await oauth.processIntrospectionResponse(as, client,
      await oauth.introspectionRequest(as, client, authentication, mine.access_token, insecure))
    assert.equal(about.active, true, name)
  } else {
    await assert.rejects(own(client, authentication), { error: 'unauthorized_client' })
  }
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, authentication, refreshed.refresh_token, insecure))
  await assert.rejects(
    oauth.refreshTokenGrantRequest(as, client, authentication, refreshed.refresh_token, insecure)
      .then((response) => oauth.processRefreshTokenResponse(as, client, response)),
    { error: 'invalid_grant' })
  console.log(`oauth4webapi ${name}: ok`)
}
await assert.rejects(own(confidential, oauth.ClientSecretBasic('wrong')), (error) => error.status === 401)
