use super::*;

fn null(job_every: Option<Duration>, threads: u32) -> NullServer {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let plan = NullPlan { job_every, threads, ..NullPlan::new(listen) };
    NullServer::start(&plan).expect("a free port")
}

fn plan(server: &NullServer) -> LoadPlan {
    LoadPlan {
        connections: 10,
        in_flight: 4,
        seconds: Duration::from_millis(300),
        ..LoadPlan::new(server.address())
    }
}

fn went(plan: &LoadPlan) -> LoadReport {
    run(plan, &AtomicBool::new(false)).expect("a measurement")
}

#[test]
fn every_submit_is_answered_and_counted() {
    let server = null(None, 1);
    for shares in [Shares::Canned, Shares::Mined(chimera_pow::Algorithm::Blake2s)] {
        let report = went(&LoadPlan { shares, ..plan(&server) });
        let json = report.to_json();
        assert_eq!(report.held(), (10, 10));
        assert!(report.accepted() > 40, "{json:#}");
        assert_eq!(json["total"]["submits"], json["total"]["accepted"], "{json:#}");
        assert_eq!((report.rejected(), report.unanswered()), (0, 0));
        assert_eq!(json["reply_ms"]["count"], json["accepted"]);
        assert_eq!(json["errors"], serde_json::json!({}));
    }
    assert!(server.is_running());
}

#[test]
fn several_loops_share_the_connections() {
    let server = null(None, 2);
    let report = went(&LoadPlan { threads: 3, ..plan(&server) });
    assert_eq!(report.held(), (10, 10));
    assert!(report.accepted() > 40 && report.unanswered() == 0);
}

#[test]
fn a_storm_ends_when_all_hold_a_job() {
    let server = null(None, 1);
    let report = went(&LoadPlan { storm: true, connections: 300, in_flight: 0, ..plan(&server) });
    let opening = &report.to_json()["opening"];
    for step in ["connected", "subscribed", "authorized", "first_job"] {
        assert_eq!(opening[step]["count"], 300, "{opening:#}");
    }
    assert_eq!(opening["to_job_ms"]["count"], 300);
}

#[test]
fn new_blocks_are_followed_over_all_connections() {
    let server = null(Some(Duration::from_millis(60)), 1);
    let seconds = Duration::from_secs(60);
    for in_flight in [0, 2] {
        let report = went(&LoadPlan { jobs: Some(3), seconds, in_flight, ..plan(&server) });
        let json = report.to_json();
        assert!(json["jobs"]["new_blocks"].as_u64() >= Some(3), "{json:#}");
        assert_eq!((json["jobs"]["near_reply_ms"]["count"] != 0), in_flight > 0, "{json:#}");
    }
}

#[test]
fn cut_connections_come_back() {
    let server = null(None, 1);
    let cut = Some((5, Duration::from_millis(50)));
    let seconds = Duration::from_millis(600);
    let report = went(&LoadPlan { cut, churn: 50, seconds, ..plan(&server) });
    let json = report.to_json();
    assert!(json["cut_connections"].as_u64() >= Some(15), "{json:#}");
    assert!(json["reopened_connections"].as_u64() >= Some(10), "{json:#}");
    assert!(json["cut_back_ms"].is_number(), "{json:#}");
    assert_eq!(json["lost_connections"], 0);
    let total = &json["total"];
    let count = |key: &str| total[key].as_u64().expect("a number");
    assert_eq!(count("submits"), count("accepted") + count("unanswered"), "{json:#}");
    assert_eq!(count("unanswered_lost") + count("unanswered_end"), 0);
}

#[test]
fn readers_that_do_not_read_hold_nobody_up() {
    let server = null(None, 1);
    let report = went(&LoadPlan { slow_readers: 2, ..plan(&server) });
    let json = report.to_json();
    assert_eq!(json["slow_readers"]["working"], 2, "{json:#}");
    assert!(json["slow_readers"]["lines"].as_u64() > Some(0), "{json:#}");
    assert_eq!(report.unanswered(), 0);
    assert!(report.accepted() > 40, "{json:#}");
}

#[test]
fn who_does_not_answer_is_named() {
    let stop = AtomicBool::new(false);
    let gone = null(None, 1).address();
    let error = run(&LoadPlan::new(gone), &stop).expect_err("nobody listens");
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");

    // Takes connections and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let open_timeout = Duration::from_millis(200);
    let silent = LoadPlan { open_timeout, ..LoadPlan::new(mute.local_addr().expect("bound")) };
    let error = run(&silent, &stop).expect_err("no job ever comes");
    assert!(matches!(error, LoadError::NoJob { subscribed: 0, .. }), "{error}");

    let web = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = web.local_addr().expect("bound");
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = web.accept() {
            let _ = io::Write::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = run(&LoadPlan::new(address), &stop).expect_err("no pool");
    assert!(matches!(error, LoadError::NotAPool { .. }), "{error}");
}
