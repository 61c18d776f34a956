//! The algorithms that access tokens are signed with (RFC 7518 §3.1, RFC 8037 §3.1), by their JOSE names.

use std::str::FromStr;

/// An algorithm. Which one a token must have is the key's to say, never the token's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519: short, and the same token again for the same claims.
    #[default]
    EdDsa,
    /// ECDSA on P-256 with SHA-256: as short, but each signature is another.
    Es256,
    /// RSA of 2048 bits, PKCS#1 v1.5 with SHA-256: 256 characters longer.
    Rs256,
}

impl Algorithm {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// Its name in headers and keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// The name is none of an algorithm that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAlgorithm;

impl FromStr for Algorithm {
    type Err = NoAlgorithm;

    fn from_str(name: &str) -> Result<Self, NoAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or(NoAlgorithm)
    }
}
