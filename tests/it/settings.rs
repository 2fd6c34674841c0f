//! Settings: every sample parses, every key can be overridden, nonsense is refused by name.

use std::time::Duration;

use chimera::config::{Chain, Conduct, Config, Tls};

fn refused(text: &str, overrides: &[(&str, &str)]) -> String {
    let overrides: Vec<_> =
        overrides.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::parse(text, &overrides).expect_err("it should have been refused").to_string()
}

#[test]
fn the_samples_are_what_the_program_reads() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
    let mut samples = 0;
    for sample in std::fs::read_dir(directory).expect("config/ is there") {
        let path = sample.expect("readable").path();
        if path.is_dir() {
            // Chain profiles: the chain crate's tests read them.
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        Config::parse(&text, &[]).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        samples += 1;
    }
    assert!(samples >= 3);
}

#[test]
fn the_commented_sample_shows_every_key_with_its_default() {
    let text = include_str!("../../config/chimera.toml");
    let shown = Config::parse(text, &[]).expect("the sample is valid");
    assert_eq!(format!("{shown:?}"), format!("{:?}", Config::embedded()));
}

#[test]
fn nonsense_is_refused_with_the_key_and_what_would_be_right() {
    for (text, expected) in [
        ("[pool]\nmax_miner = 3", "unknown field `max_miner`, expected one of"),
        ("[pool]\nmax_miners = \"many\"", "expected u32"),
        ("[pool]\nmax_miners = 0", "pool.max_miners = 0: must be at least 1"),
        ("[pool]\ndurability = \"maybe\"", "expected `durable` or `relaxed`"),
        ("[stratum]\nlisten = \"3333\"", "stratum.listen = \"3333\": must be address:port"),
        ("[stratum]\ninstance = 256", "expected u8"),
        ("[stratum]\nextranonce2_bytes = 9", "stratum.extranonce2_bytes = 9: "),
        ("[stratum]\nversion_mask = \"wide\"", "stratum.version_mask"),
        ("[stratum]\ndifficulty_min = 0.0", "stratum.difficulty_min = 0: must be a number from"),
        (
            "[stratum]\ndifficulty_min = 8.0\ndifficulty_max = 4.0",
            "stratum.difficulty_max = 4: must not be below stratum.difficulty_min = 8",
        ),
        ("[chain]\nkind = \"ethereum\"", "must be \"devchain\" or \"node\""),
        ("[chain]\nalgorithm = \"scrypt\"", "known are blake2s, sha256d, keccak256"),
        (
            "[chain]\nkind = \"node\"\nprofile = \"doge\"",
            "chain.profile = \"doge\": must be one of",
        ),
        ("[chain]\nkind = \"node\"\nprofile = \"no/such.toml\"", "No such file"),
        ("[chain]\nprofile = \"bitcoin\"", "is only for chain.kind = \"node\""),
        ("[chain]\nwithdraw_after_s = 0", "chain.withdraw_after_s = 0: must be 1 to 86400"),
        (
            "[chain]\nkind = \"node\"\nprofile = \"verge\"\nempty_block_first = true",
            "needs a profile with a [schedule]",
        ),
        (
            "[chain]\nkind = \"node\"\nnodes = [{ url = \"http://h\", zmq = \"h:28332\" }]",
            "zmqpubhashblock",
        ),
        (
            "[chain]\nkind = \"node\"\nnodes = [{ url = \"http://h\", ca_file = \"x.pem\" }]",
            "is only for a url with https://",
        ),
        ("[chain]\nkind = \"node\"", "chain.payout_address = \"\": must be an address"),
        ("[payout]\nscheme = \"../evil\"", "payout.scheme"),
        (
            "[payout.account_fee_ppm]\nalice = 1000001",
            "payout.account_fee_ppm = \"alice\" = 1000001: must be -1000000 to 1000000 parts",
        ),
        (
            "[payout.account_fee_ppm]\nalice = -5000\n\"\" = 3",
            "payout.account_fee_ppm = \"\" = 3: an account name must not be empty",
        ),
        ("[payout.account_fee_ppm]\nalice = 0.5", "invalid type: floating point `0.5`"),
        ("[plugins]\ndirectory = \"/no/such\"", "must be an existing directory"),
        ("[log]\nformat = \"xml\"", "must be \"text\" or \"json\""),
        ("[pool\n", "TOML parse error at line 1"),
        ("[pool]\nname = \"a\"\nname = \"b\"", "line 3"),
    ] {
        let message = refused(text, &[]);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
}

/// Every key of the doors, wrong: the message names it, what was found and what would be right.
#[test]
fn nonsense_about_doors_is_refused_with_the_key_and_what_would_be_right() {
    let door =
        |keys: &str| format!("[[stratum.listener]]\nname = \"b\"\nlisten = \"[::]:1\"\n{keys}");
    let bounds = "must lie within stratum.difficulty_min = 0.000001 and \
                  stratum.difficulty_max = 4000000000";
    let many: String =
        (0..65).map(|n| format!("{{ name = \"{n}\", listen = \"[::]:1\" }},")).collect();
    for (text, expected) in [
        ("[stratum]\ntls = \"on\"".to_owned(), "expected one of `off`, `optional`, `required`"),
        (
            "[stratum]\ntls = \"required\"".to_owned(),
            "stratum.tls = \"required\": takes stratum.certificate and stratum.key: the names of \
             two PEM files",
        ),
        (
            "[stratum]\ntls = \"optional\"\ncertificate = \"c.pem\"".to_owned(),
            "stratum.tls = \"optional\": takes stratum.certificate and stratum.key",
        ),
        (
            "[stratum]\ncertificate = \"c.pem\"\nkey = \"k.pem\"".to_owned(),
            "stratum.tls = \"off\": must be \"optional\" or \"required\" if there is a certificate",
        ),
        (
            "[stratum]\nproxies = [\"10.0.0.0/33\"]".to_owned(),
            "stratum.proxies = \"10.0.0.0/33\": must be an address or a network, e.g. \
             \"10.0.0.0/8\"",
        ),
        ("[stratum]\nproxies = \"10.0.0.0/8\"".to_owned(), "expected a sequence"),
        (
            "[stratum]\nthreads = 65".to_owned(),
            "stratum.threads = 65: must be 0 (one for each core) to 64",
        ),
        ("[stratum]\nper_address_max = -1".to_owned(), "expected u32"),
        ("[stratum]\nper_account_max = \"few\"".to_owned(), "expected u32"),
        ("[[stratum.listener]]\nnam = \"b\"".to_owned(), "unknown field `nam`"),
        (
            "[[stratum.listener]]\nname = \"b\"".to_owned(),
            "stratum.listener[0].listen = \"\": must be address:port",
        ),
        (
            "[[stratum.listener]]\nlisten = \"[::]:1\"".to_owned(),
            "stratum.listener.name = \"\": must be a name no other listener has",
        ),
        (
            format!("{}\n{}", door(""), door("")),
            "stratum.listener.name = \"b\": must be a name no other listener has",
        ),
        (
            format!("[stratum]\nlistener = [{many}]"),
            "stratum.listener = 65: must be at most 64 listeners",
        ),
        (
            door("tls = \"required\"\nkey = \"k.pem\""),
            "stratum.listener[0].tls = \"required\": takes stratum.listener[0].certificate and",
        ),
        (door("proxies = [\"ten\"]"), "stratum.listener[0].proxies = \"ten\": must be an address"),
        (
            door("difficulty_min = 0.0"),
            "stratum.listener[0].difficulty_min = 0: must be a number from 1e-9 to 4294967295",
        ),
        (
            door("difficulty_min = 1e-7"),
            &format!("stratum.listener[0].difficulty_min = 0.0000001: {bounds}"),
        ),
        (
            door("difficulty_max = 4.1e9"),
            &format!("stratum.listener[0].difficulty_max = 4100000000: {bounds}"),
        ),
        (
            door("difficulty_min = 8.0\ndifficulty_max = 4.0"),
            "stratum.listener[0].difficulty_max = 4 must not be below \
             stratum.listener[0].difficulty_min = 8",
        ),
        (door("per_address_max = 0.5"), "expected u32"),
        ("[stratum.conduct]\nforgive = 1".to_owned(), "unknown field `forgive`"),
        (
            "[stratum.conduct]\nwarn = 2000".to_owned(),
            "stratum.conduct.drop = 1000: must be at least 1 and not below \
             stratum.conduct.warn = 2000",
        ),
        ("[stratum.conduct]\nwarn = 0\ndrop = 0".to_owned(), "stratum.conduct.drop = 0: must be"),
        (
            "[stratum.conduct]\nban_after = 101".to_owned(),
            "stratum.conduct.ban_after = 101: must be 0 (nobody is banned) to 100",
        ),
        (
            "[stratum.conduct]\nban_s = 0".to_owned(),
            "stratum.conduct.ban_s = 0: must be 1 to 2592000 seconds",
        ),
    ] {
        let message = refused(&text, &[]);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
}

#[test]
fn doors_have_what_they_say_and_else_what_all_have() {
    let text = r#"
        [stratum]
        difficulty_min = 1.0
        per_address_max = 7
        per_account_max = 9
        proxies = ["10.0.0.0/8"]
        [stratum.conduct]
        ban_after = 0
        [[stratum.listener]]
        name = "farm"
        listen = "0.0.0.0:3443"
        tls = "required"
        certificate = "chain.pem"
        key = "key.pem"
        difficulty_max = 1024.0
        per_address_max = 0
        [[stratum.listener]]
        name = "plain"
        listen = "[::1]:3334"
    "#;
    let stratum = Config::parse(text, &[]).expect("valid").stratum;
    let doors: Vec<_> = stratum
        .listeners
        .iter()
        .map(|door| {
            let (low, high) = (door.difficulty_min.get(), door.difficulty_max.get());
            (&*door.name, door.tls, door.proxies.len(), low, high, door.per_address_max)
        })
        .collect();
    let most = 4_000_000_000.0;
    assert_eq!(
        doors,
        [
            ("stratum", Tls::Off, 1, 1.0, most, 7),
            ("farm", Tls::Required, 0, 1.0, 1024.0, 0),
            ("plain", Tls::Off, 0, 1.0, most, 7),
        ]
    );
    assert!(stratum.listeners[1].certificate.is_some());
    assert_eq!(stratum.per_account_max, 9);
    let conduct = Conduct {
        forgiven_per_minute: 60,
        warn: 200,
        drop: 1_000,
        ban_after: 0,
        ban: Duration::from_secs(600),
    };
    assert_eq!(stratum.conduct, conduct);
}

/// Ten thousand, or what the system allows: a fresh start never fails for want of open files.
#[test]
fn the_default_of_miners_is_what_the_system_allows() {
    let most = Config::embedded().pool.miners_max;
    assert!((1..=10_000).contains(&most), "{most}");
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let enough = limit.is_none_or(|limit| limit >= 20_000);
    assert!(!enough || most == 10_000, "{most} of {limit:?}");
    let config = Config::parse("[pool]\nmax_miners = 1000000", &[]).expect("said is said");
    assert_eq!(config.pool.miners_max, 1_000_000);
}

#[test]
fn accounts_have_fees_and_bonuses_of_their_own() {
    let text = "[payout.account_fee_ppm]\nalice = -5000\n\"DQx.y\" = 2500";
    let config = Config::parse(text, &[]).expect("valid");
    let fees: Vec<(&str, i32)> =
        config.account_fees_ppm.iter().map(|(name, fee)| (name.as_str(), *fee)).collect();
    assert_eq!(fees, [("DQx.y", 2500), ("alice", -5000)]);
}

#[test]
fn all_problems_are_told_at_once() {
    let message = refused("[pool]\nmax_miners = 0\ngrace_s = 0\n[log]\nformat = \"xml\"", &[]);
    for key in ["pool.max_miners", "pool.grace_s", "log.format"] {
        assert!(message.contains(key), "{key} is not in {message}");
    }
}

#[test]
fn the_environment_lies_over_the_file() {
    let overrides = [
        ("CHIMERA_POOL__MAX_MINERS", "7"),
        ("CHIMERA_POOL__NAME", "0123"),
        ("CHIMERA_STRATUM__VERSION_MASK", "20000000"),
        ("CHIMERA_PAYOUT__SCHEME", "payout-pps"),
        ("CHIMERA_PAYOUT__CONFIG", "{ fee_ppm = 5 }"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let text = "[pool]\nmax_miners = 3\nname = \"Old\"";
    let config = Config::parse(text, &overrides).expect("valid");
    assert_eq!(config.pool.miners_max, 7);
    assert_eq!(config.pool.name, "0123", "text stays text");
    assert_eq!(config.stratum.version_mask, 0x2000_0000);
    assert_eq!(config.payout.component, "payout-pps");
    assert_eq!(config.payout.config, r#"{"fee_ppm":5}"#);
    assert!(matches!(config.chain, Chain::Dev(_)));
}

#[test]
fn a_variable_that_fits_no_key_is_refused_by_its_name() {
    for (variable, value, expected) in [
        ("CHIMERA_POOL__MAX_MINER", "3", "CHIMERA_POOL__MAX_MINER"),
        ("CHIMERA_POOL__MAX_MINERS", "many", "expected u32"),
        ("CHIMERA_MAX_MINERS", "3", "names no key"),
        ("CHIMERA_POOL__", "3", "names no key"),
    ] {
        let message = refused("", &[(variable, value)]);
        assert!(message.contains(expected), "{variable}: {message}");
        assert!(message.contains(variable));
    }
}

#[test]
fn grants_are_checked_against_what_there_is_to_grant() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let secret = |name: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.path().join(name);
        std::fs::write(&path, "s3cret\n").expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        path.to_str().expect("a plain path").to_owned()
    };
    let (kept, open) = (secret("kept", 0o600), secret("open", 0o644));
    for (text, expected) in [
        ("grants = [\"network\"]", "auth.grants = [\"network\"]: \"network\" is no grant"),
        ("grants = [\"fetch:users\"]", "add [auth.endpoints.users]"),
        ("grants = [\"secret:jwt\"]", "add jwt = { file = \"...\" } to [auth.secrets]"),
        ("unknown_when_down = \"allow\"", "expected `refuse` or `quarantine`"),
        ("endpoints.Users.url = \"https://h.example/\"", "lower-case letters"),
        (
            "endpoints.users.url = \"h.example\"",
            "auth.endpoints.users.url = \"h.example\": must be",
        ),
        ("endpoints.users.url = \"https://me:pw@h.example/\"", "goes into secret_header"),
        ("endpoints.users.url = \"http://h.example/\"", "must be https://, or in your own"),
        ("endpoints.users.url = \"https://127.0.0.1/\"", "private network"),
        ("endpoints.users.url = \"https://[::1]/\"", "private network"),
        (
            "endpoints.users = { url = \"https://h.example\", timeout_ms = 5000 }",
            "must be 1 to 2000",
        ),
        ("endpoints.users.uri = \"https://h.example/\"", "unknown field `uri`"),
        ("secrets.jwt = {}", "auth.secrets.jwt = ..: must be { file"),
        ("secrets.jwt = { file = \"/no/such\" }", "cannot be read"),
        (&format!("secrets.jwt = {{ file = {open:?} }}"), "run: chmod 600"),
        ("secrets.jwt = { env = \"NO_SUCH_VARIABLE\" }", "there is no environment variable"),
        ("secrets.jwt = { env = \"CHIMERA_JWT\" }", "are settings"),
    ] {
        let message = refused(&format!("[auth]\n{text}"), &[]);
        assert!(message.contains(expected), "{text}: {message}");
        assert!(!message.contains("pw@") && !message.contains("s3cret"), "{message}");
    }
    for slot in ["payout", "difficulty"] {
        let message = refused(&format!("[{slot}]\ngrants = [\"kv\"]"), &[]);
        assert!(message.contains("only \"interpreted\" can be granted here"), "{message}");
        let text = format!("[{slot}]\ngrants = [\"interpreted\"]");
        assert!(Config::parse(&text, &[]).is_ok());
    }

    let text = format!(
        "[auth]\ngrants = [\"kv\", \"fetch:users\", \"secret:jwt\", \"credential\"]\n\
         secrets.jwt = {{ file = {kept:?} }}\n\
         endpoints.users = {{ url = \"https://h.example/api\", headers = {{ X-Pool = \"c\" }}, \
         secret_header = {{ name = \"Authorization\", file = {kept:?} }} }}"
    );
    let config = Config::parse(&text, &[]).expect("valid");
    assert_eq!(config.capabilities.secrets["jwt"].bytes(), b"s3cret");
    assert_eq!(config.capabilities.endpoints["users"].headers["authorization"], "s3cret");
    let shown = format!("{config:?}");
    assert!(
        shown.contains("Sensitive") && shown.contains("(secret)") && !shown.contains("s3cret"),
        "{shown}"
    );
}

/// A refused endpoint or secret was told twice: once as it is, and once as missing, because of
/// the grant that names it.
#[test]
fn what_is_refused_is_told_once() {
    let message = refused(
        "[auth]\ngrants = [\"fetch:users\", \"secret:jwt\"]\n\
         endpoints.users.url = \"http://h.example/\"\nsecrets.jwt = { file = \"/no/such\" }",
        &[],
    );
    assert!(message.contains("2 problem(s)"), "{message}");
    assert!(message.contains("auth.endpoints.users.url") && message.contains("auth.secrets.jwt"));
    assert!(!message.contains("there is no"), "{message}");
    let message = refused(
        "[auth]\ngrants = [\"fetch:user\"]\nendpoints.users.url = \"https://h.example/\"",
        &[],
    );
    assert!(message.contains("there are: users; add [auth.endpoints.user]"), "{message}");
}
