//! Passwords of local administrators: argon2id (RFC 9106) in PHC form.
//!
//! Plain CPU work of some 20 ms and 19 MiB a call: whoever serves requests runs it on a blocking thread behind a semaphore.
//! Parameters are OWASP's second choice (19 MiB, two passes, one lane); an older hash verifies with the parameters it names.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::types::{Random, Secret};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The fewest characters a new password may have (NIST SP 800-63B asks for at least eight; these guard the gate).
pub const MIN_CHARACTERS: usize = 12;
/// The most bytes a password may have: enough for any passphrase, too little to make hashing it a weapon.
pub const MAX_BYTES: usize = 1024;

/// Why a password cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Shorter than [`MIN_CHARACTERS`].
    #[error("the password has fewer than {MIN_CHARACTERS} characters; choose a longer one")]
    TooShort,
    /// Longer than [`MAX_BYTES`].
    #[error("the password is longer than {MAX_BYTES} bytes; choose a shorter one")]
    TooLong,
}

/// A password somebody may choose: neither too short nor too long.
pub struct NewPassword(Secret);

impl NewPassword {
    /// Takes the password in.
    ///
    /// # Errors
    /// When it is too short or too long.
    pub fn new(password: Secret) -> Result<Self, PasswordError> {
        if password.expose().len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        if password.expose().chars().count() < MIN_CHARACTERS {
            return Err(PasswordError::TooShort);
        }
        Ok(Self(password))
    }

    /// Its hash in PHC form (`$argon2id$v=19$m=19456,t=2,p=1$…`) with a fresh 16-byte salt.
    ///
    /// # Panics
    /// Never: parameters, salt length and password length are within argon2's bounds.
    #[must_use]
    pub fn hash(&self, random: &Random) -> String {
        let (salt, mut hash) = (random.bytes::<16>(), [0; Params::DEFAULT_OUTPUT_LEN]);
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds");
        compute(params, &self.0, &salt, &mut hash)
            .expect("a 16-byte salt and a password under 1 KiB are within argon2's bounds");
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
    }
}

/// Whether `password` is the one that `hash` (PHC form) was made of, in constant time. A hash that cannot be read fits nothing.
#[must_use]
pub fn verify(password: &Secret, hash: &str) -> bool {
    if password.expose().len() > MAX_BYTES {
        return false;
    }
    let Ok(kept) = PasswordHash::new(hash) else { return false };
    let (Some(salt), Some(expected), Ok(params)) = (kept.salt, kept.hash, Params::try_from(&kept)) else {
        return false;
    };
    let argon2id = Algorithm::try_from(kept.algorithm.as_str()).is_ok_and(|algorithm| algorithm == Algorithm::Argon2id);
    if !argon2id || kept.version != Some(Version::V0x13.into()) {
        return false;
    }
    let mut found = vec![0; expected.as_ref().len()];
    compute(params, password, salt.as_ref(), &mut found).is_ok() && found.ct_eq(expected.as_ref()).into()
}

/// A hash that no password fits, with today's parameters: verified against when the user name is unknown, so that a wrong name
/// takes as long as a wrong password.
pub const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// From this size on an allocator maps memory for one use and gives it back afterwards (glibc's greatest threshold is 32 MiB).
/// Anything smaller it would keep, and a process that once verified a password would hold 19 MiB for each thread that did.
const MAPPED: usize = 34 * 1024 * 1024;

/// Fills `out`. Of the memory asked for only what the parameters need is touched, so only that much is ever resident.
fn compute(params: Params, password: &Secret, salt: &[u8], out: &mut [u8]) -> Result<(), argon2::Error> {
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(MAPPED / Block::SIZE));
    memory.resize(blocks, Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, &mut memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_only() {
        let password = NewPassword::new(Secret::new("correct horse battery")).unwrap();
        let hash = password.hash(&Random::seeded(1));
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify(&Secret::new("correct horse battery"), &hash));
        for wrong in ["correct horse batterY", "", "x\0y"] {
            assert!(!verify(&Secret::new(wrong), &hash), "{wrong:?}");
        }
        assert_ne!(hash, password.hash(&Random::seeded(2)), "the salt differs");
    }

    #[test]
    fn a_broken_hash_fits_nothing() {
        for hash in ["", "$", "plain", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(!verify(&Secret::new("correct horse battery"), hash), "{hash:?}");
        }
    }

    #[test]
    fn the_decoy_is_a_hash_that_costs_the_same_and_fits_nothing() {
        assert!(PasswordHash::new(DECOY).is_ok());
        assert!(!verify(&Secret::new(""), DECOY));
    }

    #[test]
    fn lengths_are_bounded() {
        let length = |n: usize| NewPassword::new(Secret::new("ä".repeat(n))).map(|_| ());
        assert_eq!(length(11), Err(PasswordError::TooShort));
        assert_eq!(length(12), Ok(()));
        assert_eq!(length(512), Ok(()));
        assert_eq!(length(513), Err(PasswordError::TooLong));
        assert!(!verify(&Secret::new("x".repeat(MAX_BYTES + 1)), DECOY));
    }
}
