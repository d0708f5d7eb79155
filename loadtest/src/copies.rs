//! Users without the cost of their passwords: copies of one that is registered, in the store, with tokens like that one's.
//! For thousands whose accounts are not what is measured; a registration costs a gateway 13 ms of CPU. The only place
//! here that knows how the product stores something: a user is a document of `users`, under a name and its folded form.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use mongodb::Client;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::Invalid;
use crate::accounts::{Accounts, User};

/// Documents in one write.
const BATCH: usize = 1000;

/// Registers one user, and copies it `count` times. The gateways must use this secret, and this MongoDB.
pub(crate) async fn copies(
    accounts: &Accounts,
    mongodb: &str,
    secret: &str,
    prefix: &str,
    count: usize,
) -> Result<Vec<User>, Invalid> {
    let missing = || Invalid("the user who is to be copied is not in the store".to_owned());
    let original = accounts.register(&format!("{prefix}-original"), 1).await?;
    let original = original.first().ok_or_else(missing)?;
    let signer = Signer::like(&original.token, secret)?;
    let database = Client::with_uri_str(mongodb).await?.default_database();
    let stored = database
        .ok_or_else(missing)?
        .collection::<Document>("users");
    let id = ObjectId::parse_str(&original.id).map_err(|error| Invalid(error.to_string()))?;
    let document = stored.find_one(doc! { "_id": id }).await?;
    let document = document.ok_or_else(missing)?;
    let (mut users, mut documents) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (id, name) = (ObjectId::new(), format!("{prefix}-{index}"));
        let mut copy = document.clone();
        copy.insert("_id", id);
        copy.insert("username", &name);
        copy.insert("usernameFolded", &name);
        documents.push(copy);
        users.push(signer.user(id.to_hex(), name)?);
    }
    for batch in documents.chunks(BATCH) {
        stored.insert_many(batch).await?;
    }
    Ok(users)
}

/// Signs as the gateways do.
struct Signer {
    header: Header,
    claims: Value,
    key: EncodingKey,
}

impl Signer {
    /// Like this token, which must be signed with this secret.
    fn like(token: &str, secret: &str) -> Result<Self, Invalid> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(wrong)?;
        Ok(Self {
            header: token.header,
            claims: token.claims,
            key: EncodingKey::from_secret(secret.as_bytes()),
        })
    }

    fn user(&self, id: String, name: String) -> Result<User, Invalid> {
        let mut claims = self.claims.clone();
        claims["sub"] = id.as_str().into();
        let token = jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(wrong)?;
        Ok(User { id, name, token })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn wrong(error: jsonwebtoken::errors::Error) -> Invalid {
    Invalid(format!("a token: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_has_the_same_token_but_for_whom_it_is() {
        let key = EncodingKey::from_secret(b"s");
        let claims = json!({"sub": "a", "exp": 4_000_000_000_u64, "aud": "x"});
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
        let copy = Signer::like(&token, "s")
            .unwrap()
            .user("b".into(), "n".into());
        let read = Signer::like(&copy.unwrap().token, "s").unwrap().claims;
        assert_eq!(
            read,
            json!({"sub": "b", "exp": 4_000_000_000_u64, "aud": "x"})
        );
        assert!(Signer::like(&token, "another").is_err());
    }
}
