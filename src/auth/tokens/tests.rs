//! Tokens, honest and forged.

use serde_json::{Value, json};

use super::*;
use crate::domain::ManualClock;

const NOW: i64 = 1_700_000_000;

struct Fixture {
    clock: Arc<ManualClock>,
    tokens: Tokens,
}

fn secret(letter: &str) -> Secret {
    Secret::parse(letter.repeat(32)).unwrap()
}

fn fixture(secrets: &[&str]) -> Fixture {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW * 1000)));
    let config = AuthConfig {
        secrets: secrets.iter().map(|letter| secret(letter)).collect(),
        ..AuthConfig::default()
    };
    let entropy = Arc::new(Entropy::seeded(7));
    let tokens = Tokens::new(&config, clock.clone(), entropy).unwrap();
    Fixture { clock, tokens }
}

fn user() -> UserId {
    UserId::from_bytes([9; 12])
}

fn claims() -> Value {
    json!({"sub": user().to_string(), "iat": NOW, "exp": NOW + 900, "jti": "1", "iss": "hobnob", "aud": "hobnob"})
}

fn forged(algorithm: Algorithm, kid: &str, letter: &str, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    let key = EncodingKey::from_secret(letter.repeat(32).as_bytes());
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

#[test]
fn an_access_token_speaks_for_its_user_until_it_expires() {
    let Fixture { clock, tokens } = fixture(&["a"]);
    let token = tokens.grant(user()).unwrap().access_token;
    let expires_at = Timestamp::from_millis((NOW + 900) * 1000);
    let caller = Caller {
        user: user(),
        expires_at,
    };
    assert_eq!(tokens.verify(&token), Ok(caller));
    clock.advance(Duration::from_secs(904));
    assert_eq!(tokens.verify(&token), Ok(caller), "within the leeway");
    clock.advance(Duration::from_secs(1));
    assert_eq!(tokens.verify(&token), Err(AuthError::TokenExpired));
}

#[test]
fn secrets_rotate_the_first_signs_and_all_verify() {
    let old = fixture(&["a"]).tokens.grant(user()).unwrap().access_token;
    let rotated = fixture(&["b", "a"]).tokens;
    let new = rotated.grant(user()).unwrap().access_token;
    assert!(rotated.verify(&old).is_ok());
    assert!(rotated.verify(&new).is_ok());
    assert_eq!(
        fixture(&["a"]).tokens.verify(&new),
        Err(AuthError::TokenInvalid)
    );
}

#[test]
fn what_we_would_sign_ourselves_is_accepted_and_every_forgery_is_not() {
    let Fixture { tokens, .. } = fixture(&["a"]);
    let kid = key_id(&secret("a"));
    let verify = |token: &str| tokens.verify(token).map(|caller| caller.user);
    assert_eq!(
        verify(&forged(Algorithm::HS256, &kid, "a", &claims())),
        Ok(user())
    );

    let wrong_key = forged(Algorithm::HS256, &kid, "b", &claims());
    let unknown_kid = forged(Algorithm::HS256, "00000000", "a", &claims());
    let other_algorithm = forged(Algorithm::HS384, &kid, "a", &claims());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "none", "typ": "JWT", "kid": kid});
    let unsigned = format!("{}.{}.", part(&header), part(&claims()));
    let too_long = format!("{}.x", "a".repeat(LONGEST_TOKEN));
    for token in [
        &wrong_key,
        &unknown_kid,
        &other_algorithm,
        &unsigned,
        &too_long,
        "",
        "a.b.c",
    ] {
        assert_eq!(verify(token), Err(AuthError::TokenInvalid), "{token}");
    }
}

#[test]
fn a_critical_extension_is_not_understood() {
    let Fixture { tokens, .. } = fixture(&["a"]);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(key_id(&secret("a")));
    header.crit = Some(vec!["b64".to_owned()]);
    let key = EncodingKey::from_secret("a".repeat(32).as_bytes());
    let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert_eq!(tokens.verify(&token), Err(AuthError::TokenInvalid));
}

#[test]
fn a_refresh_token_has_one_successor_that_none_else_can_make() {
    let Fixture { tokens, .. } = fixture(&["a"]);
    let first = tokens.grant(user()).unwrap().refresh_token;
    let next = tokens.grant_after(user(), &first).unwrap();
    let again = tokens.grant_after(user(), &first).unwrap();
    assert_eq!(next.refresh_token, again.refresh_token);
    assert_eq!(tokens.successor_of(&first).unwrap().0, next.refresh_hash);
    assert_eq!(
        tokens.refresh_hash(&next.refresh_token),
        Ok(next.refresh_hash)
    );
    let elsewhere = fixture(&["b"]).tokens.grant_after(user(), &first).unwrap();
    assert_ne!(next.refresh_token, elsewhere.refresh_token);
}

#[test]
fn a_signed_token_with_wrong_claims_is_not_valid() {
    let Fixture { tokens, .. } = fixture(&["a"]);
    let kid = key_id(&secret("a"));
    let wrong = [
        ("iss", json!("other")),
        ("aud", json!("other")),
        ("sub", json!("not an id")),
        ("nbf", json!(NOW + 60)),
        ("exp", json!("soon")),
    ];
    for (claim, value) in wrong {
        let mut claims = claims();
        claims[claim] = value;
        let token = forged(Algorithm::HS256, &kid, "a", &claims);
        assert_eq!(
            tokens.verify(&token),
            Err(AuthError::TokenInvalid),
            "{claim}"
        );
    }
    for missing in ["sub", "exp", "iss", "aud"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        let token = forged(Algorithm::HS256, &kid, "a", &claims);
        assert_eq!(
            tokens.verify(&token),
            Err(AuthError::TokenInvalid),
            "{missing}"
        );
    }
}

#[test]
fn a_refresh_token_is_known_by_its_hash_only() {
    let Fixture { tokens, .. } = fixture(&["a"]);
    let (one, two) = (tokens.grant(user()).unwrap(), tokens.grant(user()).unwrap());
    assert_ne!(one.refresh_token, two.refresh_token);
    assert_eq!(one.refresh_token.len(), 43);
    assert_eq!(
        tokens.refresh_hash(&one.refresh_token),
        Ok(one.refresh_hash)
    );
    assert_eq!(
        one.refresh_expires_at,
        Timestamp::from_millis(NOW * 1000).after(Duration::from_secs(30 * 24 * 3600))
    );
    for bad in ["", "short", &"A".repeat(44), &"!".repeat(43)] {
        assert_eq!(
            tokens.refresh_hash(bad),
            Err(AuthError::TokenInvalid),
            "{bad}"
        );
    }
    let printed = format!("{one:?} {tokens:?}");
    assert!(!printed.contains(&one.refresh_token) && !printed.contains(&"a".repeat(8)));
}
