//! Random operations, each compared with a model that is a map.

use crate::harness::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

const KEYS: [&str; 8] = ["a", "a/", "a/b", "a/b/c", "a//b", "b", "b/ü x", "c+1"];
/// Inline, small and striped objects.
const SIZES: [usize; 5] = [0, 9, 20_000, 140_000, 700_000];

#[derive(Debug, Clone)]
enum Op {
    Put {
        key: usize,
        size: usize,
        only_new: bool,
    },
    Replace {
        key: usize,
        size: usize,
        stale: bool,
    },
    Multipart {
        key: usize,
        sizes: Vec<usize>,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Delete {
        key: usize,
    },
    DeleteMany {
        keys: Vec<usize>,
    },
    Get {
        key: usize,
        from: usize,
        length: usize,
    },
    List {
        prefix: usize,
        delimited: bool,
        page: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS.len();
    let size = || 0..SIZES.len();
    prop_oneof![
        4 => (key(), size(), any::<bool>())
            .prop_map(|(key, size, only_new)| Op::Put { key, size, only_new }),
        1 => (key(), size(), any::<bool>())
            .prop_map(|(key, size, stale)| Op::Replace { key, size, stale }),
        1 => (key(), prop::collection::vec(size(), 1..4))
            .prop_map(|(key, sizes)| Op::Multipart { key, sizes }),
        2 => (key(), key()).prop_map(|(from, to)| Op::Copy { from, to }),
        2 => key().prop_map(|key| Op::Delete { key }),
        1 => prop::collection::vec(key(), 1..5).prop_map(|keys| Op::DeleteMany { keys }),
        3 => (key(), 0..800_000_usize, 1..400_000_usize)
            .prop_map(|(key, from, length)| Op::Get { key, from, length }),
        2 => (0..4_usize, any::<bool>(), 1..5_usize)
            .prop_map(|(prefix, delimited, page)| Op::List { prefix, delimited, page }),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    body: Bytes,
    etag: String,
}

struct Run {
    server: Server,
    model: BTreeMap<String, Object>,
    /// Makes every body different.
    count: u64,
}

impl Run {
    fn body(&mut self, size: usize) -> Bytes {
        self.count += 1;
        pattern(SIZES[size], self.count)
    }

    async fn apply(&mut self, op: &Op) {
        match op {
            Op::Put {
                key,
                size,
                only_new,
            } => self.put(KEYS[*key], *size, *only_new).await,
            Op::Replace { key, size, stale } => self.replace(KEYS[*key], *size, *stale).await,
            Op::Multipart { key, sizes } => self.multipart(KEYS[*key], sizes).await,
            Op::Copy { from, to } => self.copy(KEYS[*from], KEYS[*to]).await,
            Op::Delete { key } => {
                let answer = self.server.send(delete(&path(KEYS[*key]))).await;
                assert_eq!(answer.status, 204);
                self.model.remove(KEYS[*key]);
            }
            Op::DeleteMany { keys } => self.delete_many(keys).await,
            Op::Get { key, from, length } => self.get(KEYS[*key], *from, *length).await,
            Op::List {
                prefix,
                delimited,
                page,
            } => self.list(*prefix, *delimited, *page).await,
        }
    }

    async fn put(&mut self, key: &str, size: usize, only_new: bool) {
        let body = self.body(size);
        let mut request = put(&path(key)).body(body.clone());
        if only_new {
            request = request.header("if-none-match", "*");
        }
        let answer = self.server.send(request).await;
        if only_new && self.model.contains_key(key) {
            assert_eq!(answer.status, 412);
            return;
        }
        assert_eq!(
            (answer.status, answer.header("etag")),
            (200, etag(&body).as_str())
        );
        self.insert(key, body);
    }

    async fn replace(&mut self, key: &str, size: usize, stale: bool) {
        let body = self.body(size);
        let current = self.model.get(key).map(|object| object.etag.clone());
        let tag = if stale {
            etag(b"stale")
        } else {
            current.clone().unwrap_or(etag(b"none"))
        };
        let request = put(&path(key)).body(body.clone()).header("if-match", &tag);
        let answer = self.server.send(request).await;
        let expected = match current {
            None => 404,
            Some(_) if stale => 412,
            Some(_) => 200,
        };
        assert_eq!(answer.status, expected);
        if expected == 200 {
            self.insert(key, body);
        }
    }

    fn insert(&mut self, key: &str, body: Bytes) {
        let etag = etag(&body);
        self.model.insert(key.to_owned(), Object { body, etag });
    }

    async fn multipart(&mut self, key: &str, sizes: &[usize]) {
        let started = self
            .server
            .send(post(&path(key)).query("uploads", ""))
            .await;
        let upload = started.element("UploadId");
        let (mut list, mut whole, mut md5s) = (String::new(), Vec::new(), Vec::new());
        for (at, size) in sizes.iter().enumerate() {
            let body = self.body(*size);
            whole.extend_from_slice(&body);
            let number = at * 3 + 1;
            let part = put(&path(key))
                .query("partNumber", number)
                .query("uploadId", &upload);
            let stored = self.server.send(part.body(body)).await;
            let tag = stored.header("etag");
            md5s.push(gateway::digest::etag_md5(tag.trim_matches('"')).unwrap());
            list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let complete = post(&path(key)).query("uploadId", &upload).body(list);
        assert_eq!(self.server.send(complete).await.status, 200);
        let etag = format!("\"{}\"", gateway::digest::multipart_etag(&md5s));
        self.model.insert(
            key.to_owned(),
            Object {
                body: whole.into(),
                etag,
            },
        );
    }

    async fn copy(&mut self, from: &str, to: &str) {
        let source = encode(&format!("bucket/{from}"), true);
        let request = put(&path(to)).header("x-amz-copy-source", &source);
        let answer = self.server.send(request).await;
        match self.model.get(from).cloned() {
            None => assert_eq!(answer.status, 404),
            Some(_) if from == to => assert_eq!(answer.status, 400),
            Some(object) => {
                assert_eq!(answer.status, 200);
                self.model.insert(to.to_owned(), object);
            }
        }
    }

    async fn delete_many(&mut self, keys: &[usize]) {
        let objects: String = keys
            .iter()
            .map(|key| format!("<Object><Key>{}</Key></Object>", KEYS[*key]))
            .collect();
        let body = format!("<Delete>{objects}</Delete>");
        let answer = crate::deletes::delete_many(&self.server, body).await;
        assert_eq!(
            (answer.status, answer.elements("Deleted").len()),
            (200, keys.len())
        );
        for key in keys {
            self.model.remove(KEYS[*key]);
        }
    }

    async fn get(&mut self, key: &str, from: usize, length: usize) {
        let range = format!("bytes={from}-{}", from + length - 1);
        let answer = self
            .server
            .send(get(&path(key)).header("range", &range))
            .await;
        let Some(object) = self.model.get(key) else {
            return assert_eq!(answer.status, 404);
        };
        if from >= object.body.len() {
            return assert_eq!(answer.status, 416);
        }
        assert_eq!(
            (answer.status, answer.header("etag")),
            (206, object.etag.as_str())
        );
        let end = object.body.len().min(from + length);
        assert!(answer.bytes()[..] == object.body[from..end]);
    }

    async fn list(&mut self, prefix: usize, delimited: bool, page: usize) {
        let prefix = ["", "a", "a/", "b/"][prefix];
        let mut expected = Vec::new();
        for key in self.model.keys().filter(|key| key.starts_with(prefix)) {
            let rest = &key[prefix.len()..];
            let name = match rest.find('/').filter(|_| delimited) {
                Some(at) => format!("{}/", &key[..prefix.len() + at]),
                None => key.clone(),
            };
            if expected.last() != Some(&name) {
                expected.push(name);
            }
        }
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let mut asked = get("/bucket").query("list-type", 2).query("prefix", prefix);
            asked = asked.query("max-keys", page);
            if delimited {
                asked = asked.query("delimiter", "/");
            }
            if !token.is_empty() {
                asked = asked.query("continuation-token", &token);
            }
            let answer = self.server.send(asked).await;
            let mut names = answer.elements("Key");
            let groups = answer.elements("CommonPrefixes").into_iter();
            names.extend(groups.map(|name| name.replace("<Prefix>", "").replace("</Prefix>", "")));
            names.sort();
            seen.extend(names);
            assert!(seen.len() <= expected.len(), "{seen:?} {expected:?}");
            token = answer.element("NextContinuationToken");
            if answer.element("IsTruncated") == "false" {
                break;
            }
        }
        assert_eq!(seen, expected);
    }

    async fn check_all(&self) {
        for key in KEYS {
            let answer = self.server.send(get(&path(key))).await;
            match self.model.get(key) {
                None => assert_eq!(answer.status, 404, "{key}"),
                Some(object) => {
                    assert_eq!(
                        (answer.status, answer.header("etag")),
                        (200, object.etag.as_str())
                    );
                    assert!(*answer.bytes() == object.body, "{key}");
                }
            }
        }
    }
}

fn path(key: &str) -> String {
    format!("/bucket/{key}")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn operations_agree_with_the_model(ops in prop::collection::vec(op(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = gateway::config::GatewayConfig { part_bytes_min: 0, ..small_config() };
            let server = Server::with(config, None);
            server.make_bucket().await;
            let mut run = Run { server, model: BTreeMap::new(), count: 0 };
            for op in &ops {
                run.apply(op).await;
            }
            run.check_all().await;
        });
    }
}
