//! The Prometheus page: exactly the documented metrics, all finite, nobody's name.

use chimera_api::{METRICS, Snapshot};

use crate::scene::Scene;

/// Names of the metrics in a page, in order; checks every sample on the way.
fn names(page: &str) -> Vec<&str> {
    let mut names = vec![];
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            names.push(rest.split(' ').next().expect("a name"));
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').expect("a sample and a value");
            let value: f64 = value.parse().expect("a number");
            assert!(value.is_finite(), "{line}");
            let of = names.last().expect("a type comes first");
            assert!(sample.starts_with(of), "{line} under {of}");
        }
    }
    names
}

#[tokio::test]
async fn t21_the_page_has_every_documented_metric_and_no_other_and_all_are_finite() {
    let documented: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let (empty, filled) = (Scene::new().await, Scene::filled().await);
    let without_ledger = Scene::new().await;
    without_ledger.ledger.send_replace(None);
    without_ledger.snapshot.send_replace(Snapshot::default().into());
    for scene in [empty, filled, without_ledger] {
        let (code, page) = scene.text("/metrics").await;
        assert_eq!(code, 200);
        assert_eq!(names(&page), documented);
    }
}

#[tokio::test]
async fn samples_are_the_pools_numbers() {
    let scene = Scene::filled().await;
    let (_, page) = scene.text("/metrics").await;
    for expected in [
        "chimera_uptime_seconds 1.5",
        "chimera_lifecycle{state=\"running\"} 1",
        "chimera_lifecycle{state=\"error\"} 0",
        "chimera_component_healthy{component=\"chain\"} 1",
        "chimera_sessions{state=\"connected\"} 3",
        "chimera_height 10",
        "chimera_network_difficulty 0.001",
        "chimera_shares_total{verdict=\"accepted\"} 40",
        "chimera_shares_total{verdict=\"stale\"} 2",
        "chimera_share_work_total 1237940039285380274899124224",
        "chimera_share_log_commits_total 7",
        "chimera_share_log_seconds_total 0.25",
        "chimera_reply_seconds_bucket{le=\"0.001\"} 30",
        "chimera_reply_seconds_bucket{le=\"0.01\"} 39",
        "chimera_reply_seconds_bucket{le=\"+Inf\"} 40",
        "chimera_reply_seconds_sum 0.5",
        "chimera_reply_seconds_count 40",
        "chimera_blocks_total{state=\"settled\"} 1",
        "chimera_blocks_total{state=\"rejected\"} 0",
        "chimera_accounts 2",
        "chimera_ledger_open 1",
        "chimera_plugin_calls_total{slot=\"payout\"} 5",
        "chimera_plugin_failures_total{slot=\"payout\"} 1",
    ] {
        assert!(page.lines().any(|line| line == expected), "{expected}\n{page}");
    }
    let hashrate = page.lines().filter(|line| line.starts_with("chimera_hashrate{")).count();
    assert_eq!(hashrate, 3);
}

#[tokio::test]
async fn no_label_names_a_miner() {
    let scene = Scene::filled().await;
    let (_, page) = scene.text("/metrics").await;
    for name in ["ann", "bob", "rig"] {
        assert!(!page.contains(&format!("\"{name}")), "{name}");
    }
}
