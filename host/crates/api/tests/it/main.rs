//! The API over real sockets: an empty ledger, a filled one, none at all.

mod doors;
mod ledger;
mod live;
mod metrics;
mod scene;
