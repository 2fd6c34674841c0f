//! L6 for auth policies: everything a miner can send is decided, no secret gets out, and a
//! decision depends on the attempt alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chimera_plugin::{Attempt, Cause, Decision, PluginError, Protocol};

use super::{LevelReport, Subject, listen};
use crate::doubles::{self, Endpoint, MARK};
use crate::subject::Loaded;

pub(super) fn run(subject: &Subject<'_>, report: &mut LevelReport) {
    let attempts = attempts();
    let mut forth = Vec::new();
    for endpoint in [Endpoint::Answers, Endpoint::TimesOut, Endpoint::Breaks] {
        for attempt in &attempts {
            let (answer, log) = listen::to(|| decide(subject, endpoint, attempt));
            let Some(answer) = answer else { continue };
            decided(attempt, endpoint, &answer, report);
            secrets(attempt, &answer, &log, report);
            if endpoint == Endpoint::Answers {
                forth.push(text(&answer));
            }
        }
    }
    // In the other order, with the reply's headers in another order, each on fresh services.
    let mut back: Vec<String> = attempts
        .iter()
        .rev()
        .filter_map(|attempt| decide(subject, Endpoint::AnswersReordered, attempt))
        .map(|answer| text(&answer))
        .collect();
    back.reverse();
    let off = forth.iter().zip(&back).find(|(one, other)| one != other);
    report.require(
        off.is_none(),
        "independence",
        "a decision depends on the attempt, not on those before or the order of headers",
        || off.map(|(one, other)| format!("{one}, and then {other}")).unwrap_or_default(),
        "keep nothing between attempts but in kv; look headers up by name",
    );
}

/// What miners, scanners and enemies send.
pub(crate) fn attempts() -> Vec<Attempt> {
    let password = Some(format!("{MARK}-password"));
    let plain = Attempt {
        remote_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        listener: "public".to_owned(),
        protocol: Protocol::StratumV1,
        tls: false,
        user: "alice.rig".to_owned(),
        password: password.clone(),
        user_agent: "cpuminer/2.5.1".to_owned(),
        at_ms: 1_704_067_200_000,
    };
    let users = [
        "alice.rig",
        "alice",
        "bob",
        "",
        ".",
        "..",
        ".rig",
        "alice.",
        "alice.rig.two",
        " alice ",
        "名前.採掘機",
        "e\u{301}clair.\u{202e}gir",
        "\u{0}\u{7}\u{1b}[31m",
        "alice\r\nbob",
        "' or 1=1 --",
        "${jndi:ldap://x}",
        "%s%n",
        "alice.%41",
        "🪙.⛏",
    ];
    let mut attempts: Vec<Attempt> =
        users.iter().map(|user| Attempt { user: (*user).to_owned(), ..plain.clone() }).collect();
    let huge = "x".repeat(60_000);
    attempts.extend([
        Attempt { password: None, ..plain.clone() },
        Attempt { password: Some(String::new()), ..plain.clone() },
        Attempt { password: Some("x,d=1024".to_owned()), ..plain.clone() },
        Attempt { user: huge.clone(), ..plain.clone() },
        Attempt { user: format!("alice.{huge}"), ..plain.clone() },
        Attempt { user_agent: huge, ..plain.clone() },
        Attempt { user_agent: String::new(), listener: String::new(), ..plain.clone() },
        Attempt { remote_ip: IpAddr::V6(Ipv6Addr::LOCALHOST), tls: true, ..plain.clone() },
        Attempt { protocol: Protocol::StratumV2, at_ms: u64::MAX, ..plain.clone() },
        Attempt { at_ms: 0, ..plain },
    ]);
    attempts
}

/// Decides on fresh services: what is kept of one attempt must not reach another.
fn decide(
    subject: &Subject<'_>,
    endpoint: Endpoint,
    attempt: &Attempt,
) -> Option<Result<Decision, PluginError>> {
    match subject.again(subject.engines, doubles::services(endpoint)) {
        Ok(Loaded::Auth(policy)) => Some(policy.authorize(attempt)),
        _ => None,
    }
}

fn decided(
    attempt: &Attempt,
    endpoint: Endpoint,
    answer: &Result<Decision, PluginError>,
    report: &mut LevelReport,
) {
    report.tried();
    let Err(error) = answer else { return };
    let who: String = attempt.user.chars().take(40).collect();
    let found = format!("user {who:?}, the endpoint {endpoint:?}: {error}");
    match &error.cause {
        Cause::BadAnswer(_) => report.error(
            "names",
            "accounts and workers of 1 to 128 printable bytes",
            found,
            "deny what is no name; the SDK's UserName::parse tells",
        ),
        // It may well be unable to decide without its endpoint.
        Cause::Refused { .. } if endpoint != Endpoint::Answers => {}
        Cause::Refused { .. } => report.warning(
            "decides",
            "an answer: allow, deny or no opinion",
            found,
            "deny instead of failing: a failure counts against the component",
        ),
        _ => report.error(
            "decides",
            "whatever a miner sends is decided",
            found,
            "return a denial instead of panicking",
        ),
    }
}

fn secrets(
    attempt: &Attempt,
    answer: &Result<Decision, PluginError>,
    log: &str,
    report: &mut LevelReport,
) {
    let told = match answer {
        Ok(Decision::Deny(denial)) => denial.public_message.clone(),
        Ok(Decision::Allow(grant)) => format!("{grant:?}"),
        Ok(Decision::NoOpinion) => String::new(),
        Err(error) => error.to_string(),
    };
    for (where_, text) in [("its log", log), ("its answer", told.as_str())] {
        // Who is called as the secret is told by name.
        report.require(
            !text.contains(MARK) || attempt.user.contains(MARK),
            "secrets",
            "no password and no secret in logs and answers",
            || format!("{where_} has one"),
            "log user names and reasons, nothing else",
        );
    }
}

fn text(answer: &Result<Decision, PluginError>) -> String {
    format!("{:?}", answer.as_ref().map_err(ToString::to_string))
}
