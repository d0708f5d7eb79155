//! Access tokens (JWT, RFC 7519, signed with HS256) and refresh tokens (random, stored only as a hash). Knows no
//! store: whoever keeps the hashes does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::AuthError;
use super::settings::{AuthConfig, Secret};
use crate::domain::{Clock, Entropy, Timestamp, UserId};

/// The longest access token that is looked at, in bytes. Ours have about 330.
const LONGEST_TOKEN: usize = 2048;
/// What clocks of gateways may differ by, in seconds.
const LEEWAY: i64 = 5;
/// Bytes of randomness in a refresh token.
const REFRESH_BYTES: usize = 32;

/// What a refresh token's successor is made of, before its predecessor: no JWT begins with it.
const SUCCESSOR: &[u8] = b"hobnob refresh token\0";

/// Whom an access token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user whom the token identifies.
    pub user: UserId,
    /// When the token stops being accepted (its `exp`; the leeway comes on top).
    pub expires_at: Timestamp,
}

/// What somebody gets who has proved who they are. Its tokens are never printed.
#[derive(Clone)]
pub struct Grant {
    /// The access token.
    pub access_token: String,
    /// How long it is valid.
    pub expires_in: Duration,
    /// The refresh token.
    pub refresh_token: String,
    /// Under which to store it.
    pub refresh_hash: [u8; 32],
    /// When the refresh token expires.
    pub refresh_expires_at: Timestamp,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grant(redacted)")
    }
}

#[derive(Serialize)]
struct NewClaims<'a> {
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    iss: &'a str,
    aud: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
}

struct VerificationKey {
    kid: String,
    decoding: DecodingKey,
}

/// The keys of one moment: the first signs, all verify.
struct Keys {
    header: Header,
    signing: EncodingKey,
    verifying: Vec<VerificationKey>,
}

impl Keys {
    fn new(secrets: &[Secret]) -> Result<Self, AuthError> {
        let first = secrets.first().ok_or(AuthError::SecretMissing)?;
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key_id(first));
        let keys = secrets.iter().map(|secret| VerificationKey {
            kid: key_id(secret),
            decoding: DecodingKey::from_secret(secret.expose()),
        });
        Ok(Self {
            header,
            signing: EncodingKey::from_secret(first.expose()),
            verifying: keys.collect(),
        })
    }
}

/// Makes and verifies tokens.
pub struct Tokens {
    keys: RwLock<Keys>,
    validation: Validation,
    issuer: String,
    audience: String,
    access_lifetime: Duration,
    refresh_lifetime: Duration,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
}

impl Tokens {
    /// Reads the secrets.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(
        config: &AuthConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
    ) -> Result<Self, AuthError> {
        // Refused when it is installed already, by another instance in this process: that is as good.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        Ok(Self {
            keys: RwLock::new(Keys::new(&config.secrets)?),
            validation: validation(config),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            access_lifetime: config.access_lifetime,
            refresh_lifetime: config.refresh_lifetime,
            clock,
            entropy,
        })
    }

    /// Signs and verifies with these from now on. Tokens of a key that is not among them are invalid.
    ///
    /// # Errors
    /// When there is none; then the old ones stay.
    pub fn replace_keys(&self, secrets: &[Secret]) -> Result<(), AuthError> {
        *self.keys.write() = Keys::new(secrets)?;
        Ok(())
    }

    /// A new pair of tokens. The caller stores the hash of the refresh token.
    ///
    /// # Errors
    /// [`AuthError::Broken`] when signing fails.
    pub fn grant(&self, user: UserId) -> Result<Grant, AuthError> {
        let mut secret = [0; REFRESH_BYTES];
        self.entropy.fill(&mut secret);
        self.granting(user, secret)
    }

    /// The pair that a refresh token is exchanged for. Its refresh token is always the same, so that who lost the answer
    /// may ask again: a MAC of its predecessor under the key that signs, which none but this deployment can make, and
    /// whose text is no JWT's.
    ///
    /// # Errors
    /// [`AuthError::TokenInvalid`] when it is none of ours by its form, [`AuthError::Broken`] when signing fails.
    pub fn grant_after(&self, user: UserId, refresh_token: &str) -> Result<Grant, AuthError> {
        self.granting(user, self.successor(refresh_token)?)
    }

    /// The hash and the end of what a refresh token would be exchanged for now.
    ///
    /// # Errors
    /// As [`Tokens::grant_after`].
    pub fn successor_of(&self, refresh_token: &str) -> Result<([u8; 32], Timestamp), AuthError> {
        let secret = self.successor(refresh_token)?;
        let end = self.clock.now().after(self.refresh_lifetime);
        Ok((Sha256::digest(secret).into(), end))
    }

    fn successor(&self, refresh_token: &str) -> Result<[u8; REFRESH_BYTES], AuthError> {
        let text = [SUCCESSOR, &refresh_secret(refresh_token)?].concat();
        let keys = self.keys.read();
        let mac = jsonwebtoken::crypto::sign(&text, &keys.signing, Algorithm::HS256)
            .map_err(|error| AuthError::Broken(error.to_string()))?;
        refresh_secret(&mac)
    }

    fn granting(&self, user: UserId, secret: [u8; REFRESH_BYTES]) -> Result<Grant, AuthError> {
        Ok(Grant {
            access_token: self.sign(user)?,
            expires_in: self.access_lifetime,
            refresh_token: URL_SAFE_NO_PAD.encode(secret),
            refresh_hash: Sha256::digest(secret).into(),
            refresh_expires_at: self.clock.now().after(self.refresh_lifetime),
        })
    }

    /// Whom an access token speaks for. Cheap (a few microseconds): no look-up.
    ///
    /// # Errors
    /// [`AuthError::TokenExpired`] when it was valid, [`AuthError::TokenInvalid`] in every other case.
    pub fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        if token.len() > LONGEST_TOKEN {
            return Err(AuthError::TokenInvalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(invalid)?;
        // A critical extension must be understood (RFC 7515, section 4.1.11), and we understand none.
        if header.crit.is_some() {
            return Err(AuthError::TokenInvalid);
        }
        let keys = self.keys.read();
        let key = keys
            .verifying
            .iter()
            .find(|key| Some(&key.kid) == header.kid.as_ref())
            .ok_or(AuthError::TokenInvalid)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation);
        self.check(&decoded.map_err(invalid)?.claims)
    }

    /// The hash under which a refresh token would be stored.
    ///
    /// # Errors
    /// [`AuthError::TokenInvalid`] when it is none of ours by its form.
    pub fn refresh_hash(&self, token: &str) -> Result<[u8; 32], AuthError> {
        Ok(Sha256::digest(refresh_secret(token)?).into())
    }

    fn sign(&self, user: UserId) -> Result<String, AuthError> {
        let now = self.clock.now();
        let mut number = [0; 16];
        self.entropy.fill(&mut number);
        let issued = seconds(now);
        let claims = NewClaims {
            sub: user.to_string(),
            iat: issued,
            nbf: issued,
            exp: seconds(now.after(self.access_lifetime)),
            jti: URL_SAFE_NO_PAD.encode(number),
            iss: &self.issuer,
            aud: &self.audience,
        };
        let keys = self.keys.read();
        jsonwebtoken::encode(&keys.header, &claims, &keys.signing)
            .map_err(|error| AuthError::Broken(error.to_string()))
    }

    /// Checks the times by the clock that was passed in; the signature has been checked.
    fn check(&self, claims: &Claims) -> Result<Caller, AuthError> {
        let now = seconds(self.clock.now());
        if claims
            .nbf
            .is_some_and(|begin| begin.saturating_sub(LEEWAY) > now)
        {
            return Err(AuthError::TokenInvalid);
        }
        if claims.exp.saturating_add(LEEWAY) <= now {
            return Err(AuthError::TokenExpired);
        }
        let user = claims.sub.parse().map_err(|_| AuthError::TokenInvalid)?;
        let expires_at = Timestamp::from_millis(claims.exp.saturating_mul(1000));
        Ok(Caller { user, expires_at })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read();
        let kids: Vec<&str> = keys.verifying.iter().map(|key| key.kid.as_str()).collect();
        f.debug_struct("Tokens")
            .field("kids", &kids)
            .finish_non_exhaustive()
    }
}

/// Everything but the times, which [`Tokens::check`] compares with the clock that was passed in.
fn validation(config: &AuthConfig) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["sub", "exp", "iss", "aud"]);
    validation.set_issuer(&[&config.issuer]);
    validation.set_audience(&[&config.audience]);
    validation.validate_exp = false;
    validation
}

/// Names a secret in the tokens it signs: the first 32 bits of its SHA-256, which tell nothing about a secret of
/// 256 bits.
fn key_id(secret: &Secret) -> String {
    let digest = Sha256::digest(secret.expose());
    digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn refresh_secret(token: &str) -> Result<[u8; REFRESH_BYTES], AuthError> {
    let mut secret = [0; REFRESH_BYTES];
    match URL_SAFE_NO_PAD.decode_slice(token, &mut secret) {
        Ok(REFRESH_BYTES) => Ok(secret),
        _ => Err(AuthError::TokenInvalid),
    }
}

fn seconds(moment: Timestamp) -> i64 {
    moment.millis().div_euclid(1000)
}

fn invalid(_: jsonwebtoken::errors::Error) -> AuthError {
    AuthError::TokenInvalid
}

/// The token in an `Authorization` header's value (RFC 6750, section 2.1), the same for every edge.
#[must_use]
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

#[cfg(test)]
mod tests;
