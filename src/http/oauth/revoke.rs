//! Revocation (RFC 7009) and introspection (RFC 7662). Either token ends the whole grant; a client sees its own tokens only.

use serde_json::{Value, json};

use super::{AuthorizationServer, Fault, done, private};
use crate::config::Tenant;
use crate::http::message::{Request, Response};
use crate::oauth::claims::{TokenId, subject};
use crate::oauth::opaque::{self, Kind};
use crate::oauth::{ErrorCode, OAuthError};
use crate::store::Client;

impl AuthorizationServer {
    pub(super) async fn revoke(&self, tenant: &Tenant, request: &Request) -> Result<Response, Fault> {
        let form = Self::form(request)?;
        let client = self.client_of(tenant, request, &form).await?;
        let token = form.required("token")?;
        let owner = match opaque::recognise(Kind::Refresh, token) {
            Some(digest) => {
                self.store.refresh_token_owner(&tenant.name, &digest).await?.map(|owner| (owner.grant, owner.client_id))
            }
            None => match self.grant_of(tenant, token) {
                Some(id) => self.store.grant_client(&tenant.name, id.grant).await?.map(|client| (id.grant, client)),
                None => None,
            },
        };
        match owner {
            Some((grant, owner)) if owner == client.id => {
                if self.store.end_grant(&tenant.name, grant).await? {
                    self.forget();
                }
                Ok(done())
            }
            Some(_) => Err(OAuthError::invalid_grant("The token is another client's.").into()),
            // Unknown, expired or malformed: there is nothing left to revoke (RFC 7009 §2.2).
            None => Ok(done()),
        }
    }

    pub(super) async fn introspect(&self, tenant: &Tenant, request: &Request) -> Result<Response, Fault> {
        let form = Self::form(request)?;
        let client = self.client_of(tenant, request, &form).await?;
        if client.public {
            return Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "Introspection needs a client that can prove who it is.",
            )
            .into());
        }
        let token = form.required("token")?;
        let about = if opaque::kind_of(token) == Some(Kind::Refresh) {
            self.about_refresh_token(tenant, &client, token).await?
        } else {
            self.about_access_token(tenant, &client, token).await?
        };
        Ok(private(&about.unwrap_or_else(|| json!({ "active": false }))))
    }

    async fn about_access_token(&self, tenant: &Tenant, client: &Client, token: &str) -> Result<Option<Value>, Fault> {
        let Some(claims) = self.keys.verify(token, &tenant.issuer, &tenant.name, self.clock.now()) else {
            return Ok(None);
        };
        let Ok(id) = claims.jti.parse::<TokenId>() else { return Ok(None) };
        let access = self.store.access(&tenant.name, id.grant, id.number).await?;
        Ok(access.filter(|access| access.client_id == client.id).map(|access| {
            json!({
                "active": true,
                "token_type": "Bearer",
                "scope": access.scopes.to_string(),
                "client_id": claims.client_id,
                "sub": claims.sub,
                "aud": claims.aud,
                "iss": claims.iss,
                "iat": claims.iat,
                "exp": claims.exp,
                "jti": claims.jti,
            })
        }))
    }

    async fn about_refresh_token(&self, tenant: &Tenant, client: &Client, token: &str) -> Result<Option<Value>, Fault> {
        let Some(digest) = opaque::recognise(Kind::Refresh, token) else { return Ok(None) };
        let Some(owner) = self.store.refresh_token_owner(&tenant.name, &digest).await? else { return Ok(None) };
        let expires = self.refresh_lifetime(tenant, &digest).await?.ends(owner.granted, owner.issued);
        if owner.spent || owner.client_id != client.id || self.clock.now() >= expires {
            return Ok(None);
        }
        let access = self.store.access(&tenant.name, owner.grant, owner.number).await?;
        Ok(access.map(|access| {
            json!({
                "active": true,
                "scope": owner.scopes.to_string(),
                "client_id": owner.client_id,
                "sub": access.administrator.map_or_else(|| access.client_id.clone(), |(id, _)| subject(id)),
                "iss": tenant.issuer,
                "iat": owner.issued.seconds(),
                "exp": expires.seconds(),
            })
        }))
    }

    /// The grant that an access token of this tenant names, also when it has expired.
    fn grant_of(&self, tenant: &Tenant, token: &str) -> Option<TokenId> {
        self.keys.read(token, &tenant.issuer, &tenant.name)?.jti.parse().ok()
    }

    /// What stands behind an access token that is good now; for [`crate::http::authenticate`].
    pub(in crate::http) fn verified(&self, tenant: &Tenant, token: &str) -> Option<(TokenId, i64)> {
        let claims = self.keys.verify(token, &tenant.issuer, &tenant.name, self.clock.now())?;
        Some((claims.jti.parse().ok()?, claims.exp))
    }
}
