//! What was put is judged: by the ETag of the answer, and by reading a sample of it back.
//!
//! The MD5 of a small object costs the client microseconds and is compared at once. That of a large one would take
//! the cores from the server that is measured, so it is left for a sample, after the measuring.

use super::{Load, patience};
use crate::client::{Call, Client, Fault};
use crate::content::Stretch;
use http::header::ETAG;
use http::{HeaderMap, Method};

/// Every object up to this size has its ETag compared at once.
const ETAG_AT_ONCE_BYTES: u64 = 64 << 10;
/// What is read back of one run: so many objects at the most, and no more of them than make so many bytes.
const SAMPLE_OBJECTS_MAX: u64 = 1000;
const SAMPLE_BYTES_MAX: u64 = 256 << 20;
/// Answers 503 to one object that are waited for while it is read back.
const BUSY_MAX: u32 = 10;

const WRONG_BYTES: Fault = Fault::Wrong("the object has other bytes than were stored");
const WRONG_ETAG: Fault = Fault::Wrong("the ETag of a PUT is not the MD5 of what was sent");

/// An object whose PUT was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's number.
    pub number: u64,
    /// What the ETag of the answer says the MD5 is, if that is still to be compared.
    pub md5: Option<String>,
}

/// A sample of what one client stored, in which every object has the same chance to be.
#[derive(Debug)]
pub struct Sample {
    kept: Vec<Stored>,
    seen: u64,
    limit: u64,
}

impl Sample {
    /// An empty sample of at most so many.
    pub fn new(limit: u64) -> Self {
        Self {
            kept: Vec::new(),
            seen: 0,
            limit,
        }
    }

    /// Shows it an object that was stored; `random` decides whether it is taken, and in whose place.
    pub fn offer(&mut self, stored: Stored, random: u64) {
        self.seen += 1;
        if (self.kept.len() as u64) < self.limit {
            self.kept.push(stored);
            return;
        }
        let place = random % self.seen;
        if place < self.limit {
            self.kept[place as usize] = stored;
        }
    }

    /// Takes out an object that is to be deleted.
    pub fn forget(&mut self, number: u64) {
        self.kept.retain(|stored| stored.number != number);
    }

    /// What is in it.
    pub fn into_kept(self) -> Vec<Stored> {
        self.kept
    }
}

/// How many objects of this size are read back.
pub fn sample_limit(size_bytes: u64) -> u64 {
    (SAMPLE_BYTES_MAX / size_bytes.max(1)).clamp(1, SAMPLE_OBJECTS_MAX)
}

/// Leaves `limit` of them, from all clients alike.
pub fn thin(stored: &[Stored], limit: u64) -> Vec<Stored> {
    let limit = stored.len().min(limit as usize);
    let places = (0..limit).map(|place| place * stored.len() / limit);
    places.map(|place| stored[place].clone()).collect()
}

/// Stores an object, and compares its ETag if it is small.
pub async fn put(client: &mut Client, load: &Load, number: u64) -> Result<Stored, Fault> {
    let (path, size) = (load.path(number), load.size(number));
    let body = load.content.object(number, size);
    let mut call = Call::new(Method::PUT, &path);
    call.body = body.clone();
    let headers = client.call(call, |_| ()).await?;
    let md5 = md5_of(&headers)?;
    match md5 {
        Some(md5) if size <= ETAG_AT_ONCE_BYTES => {
            compare(&md5, &body)?;
            Ok(Stored { number, md5: None })
        }
        md5 => Ok(Stored { number, md5 }),
    }
}

/// Reads an object and compares it byte for byte; its length.
pub async fn get(client: &mut Client, load: &Load, number: u64) -> Result<u64, Fault> {
    let (path, size) = (load.path(number), load.size(number));
    let mut expected = load.content.object(number, size);
    let mut is_right = true;
    let call = Call::new(Method::GET, &path);
    let sink = |piece: &[u8]| is_right = is_right && expected.matches(piece);
    client.call(call, sink).await?;
    if !is_right || expected.left() > 0 {
        return Err(WRONG_BYTES);
    }
    Ok(size)
}

/// Reads objects back, compares their bytes, and the ETags that are still to be compared; how many were read, and
/// what was wrong with them.
pub async fn read_back(load: &Load, stored: &[Stored]) -> (u64, Vec<String>) {
    let mut client = load.client();
    let (mut read, mut wrong) = (0, Vec::new());
    for stored in stored {
        let result = judge(&mut client, load, stored).await;
        let Err(fault) = result else {
            read += 1;
            continue;
        };
        wrong.push(format!("read back: {}", fault.label()));
        if matches!(fault, Fault::Connection(_)) {
            // Each of the others would wait as long.
            break;
        }
        read += 1;
    }
    (read, wrong)
}

async fn judge(client: &mut Client, load: &Load, stored: &Stored) -> Result<(), Fault> {
    let mut busy = 0;
    while let Err(fault) = get(client, load, stored.number).await {
        busy += 1;
        if !fault.is_busy() || busy > BUSY_MAX {
            return Err(fault);
        }
        tokio::time::sleep(patience(&fault)).await;
    }
    if let Some(md5) = &stored.md5 {
        let size = load.size(stored.number);
        compare(md5, &load.content.object(stored.number, size))?;
    }
    Ok(())
}

/// The MD5 that an answer's ETag states; none where the object is encrypted with a key of KMS, whose ETag is another.
fn md5_of(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let encryption = headers.get("x-amz-server-side-encryption");
    if encryption.is_some_and(|value| value.as_bytes().starts_with(b"aws:kms")) {
        return Ok(None);
    }
    let etag = headers.get(ETAG).and_then(|value| value.to_str().ok());
    let etag = etag.ok_or(Fault::Wrong("the answer to a PUT has no ETag"))?;
    Ok(Some(etag.trim_matches('"').to_owned()))
}

fn compare(md5: &str, body: &Stretch) -> Result<(), Fault> {
    if body.md5() == md5 {
        Ok(())
    } else {
        Err(WRONG_ETAG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use http::HeaderValue;

    fn stored(number: u64) -> Stored {
        Stored { number, md5: None }
    }

    #[test]
    fn a_sample_is_of_all_that_was_stored() {
        let mut sample = Sample::new(10);
        for number in 0..1000 {
            sample.offer(stored(number), crate::content::scatter(number));
        }
        let kept = sample.into_kept();
        assert_eq!(kept.len(), 10);
        assert!(kept.iter().any(|stored| stored.number >= 500), "{kept:?}");
    }

    #[test]
    fn what_is_deleted_is_not_read_back() {
        let mut sample = Sample::new(10);
        (0..3).for_each(|number| sample.offer(stored(number), 0));
        sample.forget(1);
        assert_eq!(sample.into_kept(), [stored(0), stored(2)]);
    }

    #[test]
    fn large_objects_make_small_samples() {
        for (size, limit) in [(0, 1000), (4096, 1000), (1 << 20, 256), (1 << 40, 1)] {
            assert_eq!(sample_limit(size), limit);
        }
        let sixteen: Vec<Stored> = (0..16).map(stored).collect();
        assert_eq!(thin(&sixteen, 4), [0, 4, 8, 12].map(stored));
        assert_eq!(thin(&sixteen, 15).len(), 15);
        assert_eq!(thin(&sixteen, 100), sixteen);
        assert!(thin(&[], 4).is_empty());
    }

    #[test]
    fn an_etag_is_the_md5_unless_kms_encrypts() {
        let body = Stretch::of("hello".into());
        let mut headers = HeaderMap::new();
        assert!(md5_of(&headers).is_err());
        let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
        headers.insert(ETAG, HeaderValue::from_static(etag));
        let md5 = md5_of(&headers).unwrap().unwrap();
        compare(&md5, &body).unwrap();
        compare(&md5, &Content::new(1).object(1, 5)).unwrap_err();
        let kms = HeaderValue::from_static("aws:kms");
        headers.insert("x-amz-server-side-encryption", kms);
        assert_eq!(md5_of(&headers).unwrap(), None);
    }
}
