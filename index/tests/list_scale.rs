//! What a page of a list costs does not depend on where it lies: among many keys, many delete markers, many
//! versions of one key, and after many deletions, a page deep in the list takes as long as the first one.
//! `CAIRN_SOAK=1` makes it a million of each, and prints the times.
//! (Behaviour rows 19, 22 and 23.)

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed; clippy exempts only functions marked as tests"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a long run is asked for with an environment variable"
)]

#[path = "list_scale/load.rs"]
mod load;

use index::{Bucket, Index, ListObjects, ListVersions, VersionRef};
use load::{Loaded, key};
use std::time::Duration;
use types::clock::SystemClock;
use types::{Clock, VersionId};

/// Entries of a page.
const PAGE: usize = 1000;
/// Times that each page is read at the least, and at the most.
const ROUNDS: [usize; 2] = [15, 400];

/// A page of a list, and what must come of it.
#[derive(Clone)]
struct Ask<'a> {
    bucket: &'a Bucket,
    /// Whether versions are listed, or current objects.
    versions: bool,
    delimiter: &'a str,
    marker: String,
    version_marker: Option<VersionId>,
    entries: usize,
    more: bool,
}

impl<'a> Ask<'a> {
    fn objects(bucket: &'a Bucket, marker: &str, more: bool) -> Self {
        Self {
            bucket,
            versions: false,
            delimiter: "",
            marker: marker.to_owned(),
            version_marker: None,
            entries: PAGE,
            more,
        }
    }

    fn versions(bucket: &'a Bucket, marker: &str, more: bool) -> Self {
        Self {
            versions: true,
            ..Self::objects(bucket, marker, more)
        }
    }

    fn grouped(self) -> Self {
        Self {
            delimiter: "/",
            ..self
        }
    }

    /// Reads the page, and says how long it took.
    async fn read(&self, index: &Index) -> Duration {
        let clock = SystemClock::new();
        let (bucket, delimiter) = (self.bucket, self.delimiter);
        let (entries, more) = if self.versions {
            let list = ListVersions {
                bucket,
                prefix: "",
                delimiter,
                key_marker: &self.marker,
                version_marker: self.version_marker.map(VersionRef::Id),
                max_keys: PAGE,
            };
            let page = index.list_versions(list).await.unwrap();
            let count = page.versions.len() + page.common_prefixes.len();
            (count, page.next.is_some())
        } else {
            let list = ListObjects {
                bucket,
                prefix: "",
                delimiter,
                start_after: &self.marker,
                max_keys: PAGE,
            };
            let page = index.list_objects(list).await.unwrap();
            let count = page.objects.len() + page.common_prefixes.len();
            (count, page.next.is_some())
        };
        let took = clock.monotonic();
        assert_eq!((entries, more), (self.entries, self.more));
        took
    }
}

/// Reads both pages in turns until the best time of `last` is at most 1.2 times that of `first`. Other work on
/// the machine only ever makes a page slower: a page that is slower by itself never gets there.
async fn compare(index: &Index, name: &str, (first, last): (Ask<'_>, Ask<'_>)) {
    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS[1] {
        firsts.push(first.read(index).await);
        lasts.push(last.read(index).await);
        if round >= ROUNDS[0] && fits(&firsts, &lasts) {
            break;
        }
    }
    for times in [&mut firsts, &mut lasts] {
        times.sort();
    }
    let middle = firsts.len() / 2;
    println!(
        "{name}: first page {:?} at best, {:?} median; last page {:?} at best, {:?} median; {} rounds",
        firsts[0],
        firsts[middle],
        lasts[0],
        lasts[middle],
        firsts.len()
    );
    assert!(
        fits(&firsts, &lasts),
        "{name}: a page deep in the list is slower"
    );
}

fn fits(firsts: &[Duration], lasts: &[Duration]) -> bool {
    let best = |times: &[Duration]| times.iter().min().copied().unwrap();
    best(lasts).as_secs_f64() <= 1.2 * best(firsts).as_secs_f64()
}

/// Pages of live keys: each by itself, and ten by ten behind their prefixes.
async fn lists_of_live_keys(loaded: &Loaded, count: usize) {
    let index = &loaded.index;
    let last = key(count - PAGE - 1);
    let deep = load::prefix(count / load::GROUP - PAGE - 1);
    let objects = |marker: &str, more| Ask::objects(&loaded.live, marker, more);
    let versions = |marker: &str, more| Ask::versions(&loaded.live, marker, more);
    let pages = (objects("", true), objects(&last, false));
    compare(index, "keys", pages).await;
    let pages = (objects("", true).grouped(), objects(&deep, false).grouped());
    compare(index, "prefixes", pages).await;
    let pages = (versions("", true), versions(&last, false));
    compare(index, "versions of live keys", pages).await;
    let pages = (
        versions("", true).grouped(),
        versions(&deep, false).grouped(),
    );
    compare(index, "prefixes of versions", pages).await;
}

/// Pages of versions: of keys that have a delete marker and a version each, and of one key.
async fn lists_of_versions(loaded: &Loaded, count: usize) {
    let half = key(count - PAGE / 2 - 1);
    let marked = |marker: &str, more| Ask::versions(&loaded.marked, marker, more);
    let pages = (marked("", true), marked(&half, false));
    compare(&loaded.index, "keys under markers, all versions", pages).await;
    let of_one = |marker: &str, more| Ask::versions(&loaded.versions, marker, more);
    let deep = Ask {
        version_marker: Some(loaded.ids[PAGE]),
        ..of_one(load::ONE, false)
    };
    compare(
        &loaded.index,
        "versions of one key",
        (of_one("", true), deep),
    )
    .await;
}

/// Lists of keys that are gone, with and without markers: no slower than a page of keys.
async fn lists_of_nothing(loaded: &Loaded) {
    let buckets = [
        ("keys under markers", &loaded.marked),
        ("deleted keys", &loaded.erased),
    ];
    for (name, bucket) in buckets {
        let none = Ask {
            entries: 0,
            ..Ask::objects(bucket, "", false)
        };
        println!(
            "{name}: the first list takes {:?}",
            none.read(&loaded.index).await
        );
        let live = Ask::objects(&loaded.live, "", true);
        compare(&loaded.index, name, (live, none)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_the_same_wherever_it_lies() {
    let count = if std::env::var_os("CAIRN_SOAK").is_some() {
        1_000_000
    } else {
        100_000
    };
    let loaded = load::load(count).await;
    lists_of_live_keys(&loaded, count).await;
    lists_of_versions(&loaded, count).await;
    lists_of_nothing(&loaded).await;
    loaded.index.close().await.unwrap();
    drop(loaded.dir);
}
