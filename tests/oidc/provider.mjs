// A real OpenID provider for the tests: npm oidc-provider with one client and two accounts. It prints its issuer when it listens, and
// ends when its standard input does.
//   REDIRECT_URI  where the client may be sent back to

import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

const accounts = {
  ada: { sub: 'ada', preferred_username: 'ada@example.com', groups: ['staff', 'it'] },
  eve: { sub: 'eve', preferred_username: 'eve@example.com', groups: ['guests'] },
};

const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'portcullis',
    client_secret: 'a secret, with & and = in it',
    redirect_uris: [process.env.REDIRECT_URI],
    response_types: ['code'],
    grant_types: ['authorization_code'],
  }],
  // Claims of scopes in the ID token itself, not only at the userinfo endpoint.
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
  scopes: ['openid', 'profile'],
  pkce: { required: () => true },
  cookies: { keys: ['only for this test'] },
  features: { devInteractions: { enabled: true } },
  // devInteractions takes any password, and the login for the account.
  async findAccount(_ctx, id) {
    const account = accounts[id];
    return account && { accountId: account.sub, claims: () => account };
  },
  renderError(ctx, out) { ctx.type = 'text'; ctx.body = JSON.stringify(out); },
});
provider.on('server_error', (_ctx, error) => console.error(error));

server.on('request', provider.callback());
console.log(JSON.stringify({ issuer }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
