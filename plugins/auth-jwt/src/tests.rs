//! Tokens and what becomes of them.

use chimera_plugin_sdk::testing::{Host, Installed, attempt};
use chimera_plugin_sdk::{Grant, check_config};

use super::*;
use crate::vectors::{RFC7515_A1_TOKEN, RFC8037_PUBLIC, eddsa, hs256};

const SECRET: &[u8] = b"a key that only issuer and pool know";
/// `attempt` comes at this second.
const NOW_S: u64 = 1_700_000_000;

fn host() -> Installed {
    let public = RFC8037_PUBLIC.as_bytes();
    Host::new().with_secret("jwt", SECRET).with_secret("public", public).install()
}

fn config(text: &str) -> Config {
    check_config::<Jwt>(text).unwrap_or_else(|problems| panic!("{problems:?}")).config
}

fn signed(claims: &str) -> String {
    hs256(r#"{"alg":"HS256","typ":"JWT"}"#, claims, SECRET)
}

fn allowed(config: &Config, user: &str, token: &str) -> Grant {
    match Jwt::authorize(config, attempt(user, Some(token))).unwrap() {
        Decision::Allow(grant) => grant,
        other => panic!("{other:?}"),
    }
}

fn refusal(config: &Config, token: &str) -> String {
    match Jwt::authorize(config, attempt("u.rig", Some(token))).unwrap() {
        Decision::Deny(denial) => denial.public_message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_token_lets_its_account_mine() {
    let _host = host();
    let ends = NOW_S + 600;
    // configuration, claims, account, worker, seconds
    for (text, claims, account, worker, ttl_s) in [
        ("", r#"{"sub":"alice","exp":EXP}"#, "alice", "rig", 660),
        (r#"{"ttl_s":60}"#, r#"{"sub":"alice","exp":EXP}"#, "alice", "rig", 60),
        (r#"{"leeway_s":0}"#, r#"{"sub":"alice","exp":EXP.75}"#, "alice", "rig", 600),
        (r#"{"account_claim":"pool"}"#, r#"{"sub":"1","pool":"bob","exp":EXP}"#, "bob", "rig", 660),
        (r#"{"worker_claim":"w"}"#, r#"{"sub":"a","w":"w1","exp":EXP}"#, "a", "w1", 660),
        (r#"{"worker_claim":"w"}"#, r#"{"sub":"a","exp":EXP}"#, "a", "rig", 660),
        (r#"{"issuer":"joe"}"#, r#"{"sub":"a","iss":"joe","exp":EXP}"#, "a", "rig", 660),
        (r#"{"audience":"p"}"#, r#"{"sub":"a","aud":"p","exp":EXP}"#, "a", "rig", 660),
        (r#"{"audience":"p"}"#, r#"{"sub":"a","aud":["o","p"],"exp":EXP}"#, "a", "rig", 660),
        ("", r#"{"sub":"a","nbf":1700000060,"exp":EXP}"#, "a", "rig", 660),
    ] {
        let claims = claims.replace("EXP", &ends.to_string());
        for options in ["", ",d=0.01", ";x"] {
            let grant = allowed(&config(text), "u.rig", &format!("{}{options}", signed(&claims)));
            let worker = Some(worker.to_owned());
            assert_eq!(
                (grant.account.as_str(), grant.worker, grant.ttl_s),
                (account, worker, ttl_s)
            );
        }
    }
    let grant = allowed(&config(""), "u", &signed(r#"{"sub":"a","exp":9999999999}"#));
    assert_eq!((grant.worker.as_deref(), grant.ttl_s), (Some("default"), 3600));
}

#[test]
fn a_token_may_carry_limits() {
    let _host = host();
    let config =
        config(r#"{"max_sessions_claim":"n","start_difficulty_claim":"d","max_sessions":9}"#);
    for (claims, sessions, difficulty) in [
        (r#"{"sub":"a","exp":9e9}"#, Some(9), None),
        (r#"{"sub":"a","exp":9e9,"n":3,"d":0.5}"#, Some(3), Some(1 << 31)),
        (r#"{"sub":"a","exp":9e9,"n":30,"d":"1e3"}"#, Some(9), Some(1000 << 32)),
    ] {
        let grant = allowed(&config, "a", &signed(claims));
        assert_eq!(
            (grant.max_sessions, grant.start_difficulty),
            (sessions, difficulty),
            "{claims}"
        );
    }
    for (claims, reason) in [
        (r#"{"sub":"a","exp":9e9,"n":-1}"#, "claim n of the token is no count"),
        (r#"{"sub":"a","exp":9e9,"n":"3"}"#, "claim n of the token is no count"),
        (r#"{"sub":"a","exp":9e9,"d":0}"#, "claim d of the token is no difficulty"),
        (r#"{"sub":"a","exp":9e9,"d":[1]}"#, "claim d of the token is no difficulty"),
    ] {
        assert!(refusal(&config, &signed(claims)).contains(reason), "{claims}");
    }
}

#[test]
fn a_token_of_another_time_or_party_is_refused() {
    let _host = host();
    for (text, claims, reason) in [
        ("", r#"{"sub":"a","exp":1699999940}"#, "expired"),
        (r#"{"leeway_s":0}"#, r#"{"sub":"a","exp":1700000000}"#, "expired"),
        ("", r#"{"sub":"a","exp":-5}"#, "expired"),
        ("", r#"{"sub":"a"}"#, "has no exp"),
        ("", r#"{"sub":"a","exp":"9999999999"}"#, "exp of the token is no time"),
        ("", r#"{"sub":"a","exp":9e9,"nbf":1700000061}"#, "not valid yet"),
        (r#"{"issuer":"joe"}"#, r#"{"sub":"a","exp":9e9,"iss":"eve"}"#, "another issuer"),
        (r#"{"issuer":"joe"}"#, r#"{"sub":"a","exp":9e9}"#, "another issuer"),
        (r#"{"audience":"p"}"#, r#"{"sub":"a","exp":9e9,"aud":["q"]}"#, "not for this pool"),
        (r#"{"audience":"p"}"#, r#"{"sub":"a","exp":9e9}"#, "not for this pool"),
        ("", r#"{"exp":9e9}"#, "names no account"),
        ("", r#"{"sub":7,"exp":9e9}"#, "sub of the token is no text"),
        ("", r#"{"sub":"a.b","exp":9e9}"#, "sub of the token is no name"),
        ("", r#"{"sub":"","exp":9e9}"#, "sub of the token is no name"),
        ("", "[]", "has no claims"),
    ] {
        let refusal = refusal(&config(text), &signed(claims));
        assert!(refusal.contains(reason), "{text} {claims}: {refusal}");
    }
    // The example of the standard is good, but of 2011, and of another key.
    assert!(refusal(&config(""), RFC7515_A1_TOKEN).contains("not signed by this pool's issuer"));
}

#[test]
fn ed25519_works_with_the_public_key_alone() {
    let _host = host();
    let config = config(r#"{"algorithm":"EdDSA","secret":"public"}"#);
    assert_eq!(allowed(&config, "u", &eddsa(r#"{"sub":"alice","exp":9e9}"#)).account, "alice");
    let mixed = signed(r#"{"sub":"alice","exp":9e9}"#);
    assert!(refusal(&config, &mixed).contains("not signed with EdDSA"));
}

#[test]
fn what_the_operator_forgot_is_an_error_that_says_so_and_shows_no_secret() {
    let token = signed(r#"{"sub":"a","exp":9e9}"#);
    let installed = host();
    for (text, password, reason) in [
        ("", None, "must grant `credential`"),
        (r#"{"secret":"other"}"#, Some(token.as_str()), "must set it and grant `secret:other`"),
        (r#"{"algorithm":"EdDSA"}"#, Some(token.as_str()), "no Ed25519 public key"),
    ] {
        let error = Jwt::authorize(&config(text), attempt("a", password)).unwrap_err();
        let PluginError::Unsupported(error) = error else { panic!("{error:?}") };
        assert!(error.contains(reason), "{text}: {error}");
        assert!(!error.contains("only issuer and pool"), "{error}");
    }
    assert!(installed.log().is_empty(), "tokens and keys stay out of the log");
}

#[test]
fn nonsense_is_refused_with_its_place() {
    for (text, at) in [
        (r#"{"algorithm": "none"}"#, "/algorithm"),
        (r#"{"algorithm": "RS256"}"#, "/algorithm"),
        (r#"{"leeway_s": 3601}"#, "/leeway_s"),
        (r#"{"ttl_s": 0}"#, "/ttl_s"),
        (r#"{"account_claim": ""}"#, "/account_claim"),
        (r#"{"secret": ""}"#, "/secret"),
        (r#"{"max_sessions": -1}"#, "/max_sessions"),
        (r#"{"default_worker": ""}"#, "/default_worker"),
    ] {
        assert_eq!(check_config::<Jwt>(text).err().unwrap()[0].at, at, "{text}");
    }
}
