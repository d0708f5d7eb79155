//! Access tokens as a forger makes them: any user, any secret, any end. Knows their form; refuses to know who takes them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A secret that no gateway of the tests has.
pub(crate) const OTHER_SECRET: &str = "another secret, of thirty-two bytes and more";

/// Far in the future.
pub(crate) const LATER: i64 = 4_000_000_000;

/// Long ago.
pub(crate) const EARLIER: i64 = 1_000;

/// A token for this user, signed with `secret`, that names the key of `kid_of` and ends at this second since 1970.
pub(crate) fn token(user: &str, secret: &str, kid_of: &str, expires: i64) -> String {
    let digest = Sha256::digest(kid_of.as_bytes());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(
        digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    );
    let claims = json!({"sub": user, "exp": expires, "iat": 1, "nbf": 1, "jti": "x", "iss": "hobnob", "aud": "hobnob"});
    jsonwebtoken::encode(
        &header,
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}
