"""The gateway as Authlib sees it: code with PKCE, refresh, client credentials by each method, introspection, revocation, and a
SCIM request with what came of it."""

import json
import os
import re
from urllib.parse import urljoin

import httpx
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

given = json.loads(os.environ["PORTCULLIS_CLIENTS"])
origin, path = re.match(r"(https?://[^/]+)(/.*)", given["issuer"]).groups()
metadata = httpx.get(f"{origin}/.well-known/oauth-authorization-server{path}").json()
token_endpoint = metadata["token_endpoint"]


def approve(start):
    """What a person does: signs in and approves. Gives the address the browser is sent to."""
    with httpx.Client() as browser:
        token = lambda page: re.search(r'name="form_token" value="([^"]*)"', page.text).group(1)
        fields = {"form_token": token(browser.get(start)), "action": "sign_in", **given["administrator"]}
        onward = urljoin(start, browser.post(start, data=fields).headers["location"])
        fields = {"form_token": token(browser.get(onward)), "action": "authorize"}
        return browser.post(onward, data=fields).headers["location"]


def client(who, method, **more):
    made = OAuth2Client(
        client_id=who["client_id"],
        client_secret=more.pop("secret", who.get("client_secret")),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=given["redirect_uri"],
        scope="scim.read scim.write",
        code_challenge_method="S256",
        **more,
    )
    if method == "private_key_jwt":
        made.register_client_auth_method(PrivateKeyJWT(token_endpoint, headers={"kid": "k"}, alg="ES256"))
    return made


def refused(error, ask):
    try:
        ask()
    except OAuthError as found:
        assert found.error == error, found
    else:
        raise AssertionError(f"{error} was expected")


for method, who, more in [
    ("client_secret_basic", given["confidential"], {}),
    ("client_secret_post", given["confidential"], {}),
    ("private_key_jwt", given["signing"], {"secret": ECKey.import_key(given["private_key"])}),
    ("none", given["public"], {}),
]:
    session = client(who, method, **more)
    verifier = "v" * 64
    start, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
    session.fetch_token(token_endpoint, authorization_response=approve(start), state=state, code_verifier=verifier)
    users = f"{given['scim_base']}/Users?count=1"
    assert session.get(users).status_code == 200, method
    first = session.token["access_token"]
    session.refresh_token(token_endpoint, refresh_token=session.token["refresh_token"])
    assert session.get(users).status_code == 200, method
    if method != "none":
        own = client(who, method, **more)
        own.fetch_token(token_endpoint, grant_type="client_credentials")
        assert own.get(users).status_code == 200, method
        about = own.introspect_token(metadata["introspection_endpoint"], token=own.token["access_token"]).json()
        assert about["active"], about
    old = session.token["refresh_token"]
    assert session.revoke_token(metadata["revocation_endpoint"], token=old).status_code == 200, method
    refused("invalid_grant", lambda: session.refresh_token(token_endpoint, refresh_token=old))
    print(f"authlib {method}: ok")
wrong = client({**given["confidential"], "client_secret": "wrong"}, "client_secret_basic")
refused("invalid_client", lambda: wrong.fetch_token(token_endpoint, grant_type="client_credentials"))
