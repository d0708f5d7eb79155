//! Argon2id (RFC 9106) with the memory it works in, kept from one password to the next. Knows no threads.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;

use super::error::AuthError;

/// The most memory a stored hash may ask for, in KiB: three times today's.
const MOST_MEMORY: u32 = 64 * 1024;
/// The most passes a stored hash may ask for.
const MOST_PASSES: u32 = 10;
/// The most lanes a stored hash may ask for.
const MOST_LANES: u32 = 4;
/// What a password is hashed with when there is no stored hash to compare: any salt takes as long.
const NOBODY_S_SALT: [u8; 16] = *b"hobnob-nobody-00";

/// One thread's working memory, for today's parameters: m = 19 MiB, t = 2, p = 1 (OWASP's first choice).
pub(super) struct Hasher {
    blocks: Vec<Block>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            blocks: vec![Block::default(); Params::DEFAULT.block_count()],
        }
    }

    /// The PHC string of a password's hash.
    pub(super) fn hash(&mut self, password: &[u8], salt: [u8; 16]) -> Result<String, AuthError> {
        let output = self.output(
            &Params::DEFAULT,
            password,
            &salt,
            Params::DEFAULT_OUTPUT_LEN,
        )?;
        let phc = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&Params::DEFAULT).map_err(broken)?,
            salt: Some(Salt::new(&salt).map_err(broken)?),
            hash: Some(Output::new(&output).map_err(broken)?),
        };
        Ok(phc.to_string())
    }

    /// Whether a password is the one that was hashed. Without a stored hash it takes as long, and is not.
    pub(super) fn verify(
        &mut self,
        password: &[u8],
        stored: Option<&str>,
    ) -> Result<bool, AuthError> {
        let Some(stored) = stored else {
            self.output(
                &Params::DEFAULT,
                password,
                &NOBODY_S_SALT,
                Params::DEFAULT_OUTPUT_LEN,
            )?;
            return Ok(false);
        };
        let phc = PasswordHash::new(stored).map_err(broken)?;
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
            return Err(broken("a stored hash has no salt or no hash"));
        };
        let params = readable(&phc)?;
        let actual = self.output(&params, password, &salt, expected.len())?;
        Ok(actual.ct_eq(expected.as_bytes()).into())
    }

    fn output(
        &mut self,
        params: &Params,
        password: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Vec<u8>, AuthError> {
        let usual = self.blocks.len();
        if params.block_count() > usual {
            self.blocks.resize(params.block_count(), Block::default());
        }
        let mut output = vec![0; length];
        let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into_with_memory(password, salt, &mut output, &mut self.blocks);
        // An unusual hash does not keep its memory.
        self.blocks.truncate(usual);
        self.blocks.shrink_to_fit();
        hashed.map_err(broken)?;
        Ok(output)
    }
}

/// The parameters of a stored hash, if it is one of ours and asks for no more than the limits.
fn readable(phc: &PasswordHash) -> Result<Params, AuthError> {
    let ours =
        phc.algorithm == Algorithm::Argon2id.ident() && phc.version == Some(Version::V0x13.into());
    let params = Params::try_from(phc).map_err(broken)?;
    let affordable = params.m_cost() <= MOST_MEMORY
        && params.t_cost() <= MOST_PASSES
        && params.p_cost() <= MOST_LANES;
    (ours && affordable)
        .then_some(params)
        .ok_or_else(|| broken("a stored hash has parameters outside the limits"))
}

fn broken(error: impl std::fmt::Display) -> AuthError {
    AuthError::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_parameters_and_is_verified_by_them() {
        let mut hasher = Hasher::new();
        let stored = hasher.hash(b"correct horse", [1; 16]).unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert_eq!(hasher.verify(b"correct horse", Some(&stored)), Ok(true));
        assert_eq!(hasher.verify(b"wrong horse", Some(&stored)), Ok(false));
        assert_eq!(hasher.verify(b"correct horse", None), Ok(false));
    }

    #[test]
    fn it_agrees_with_the_reference_implementation() {
        // `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -e`, from the reference implementation's tests.
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let mut hasher = Hasher::new();
        assert_eq!(hasher.verify(b"password", Some(stored)), Ok(true));
        assert_eq!(hasher.blocks.len(), Params::DEFAULT.block_count());
    }

    #[test]
    fn a_stored_hash_cannot_ask_for_more_than_the_limits() {
        let greedy = "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for stored in [greedy, "plaintext", "$argon2id$v=19$m=19456,t=2,p=1"] {
            let verified = Hasher::new().verify(b"password", Some(stored));
            assert!(matches!(verified, Err(AuthError::Broken(_))), "{stored}");
        }
    }
}
