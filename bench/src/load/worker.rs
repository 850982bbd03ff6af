//! One client of a run: picks an operation, makes it, checks the answer, counts, and so on.

use super::Shared;
use crate::client::{Call, Client, Fault, element};
use crate::content::scatter;
use crate::keys::percent_encode;
use crate::mix::Operation;
use crate::tally::Tally;
use http::Method;
use http::header::CONTENT_LENGTH;
use memchr::memmem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use types::entropy::{Entropy, SeededEntropy};

/// Keys that a page of a list is asked for: the most that S3 gives.
const PAGE_KEYS: usize = 1000;
/// How long an answer 503 without Retry-After is taken to ask for, and the longest that is waited.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// Waited after a connection failed, so that a server that is gone is not asked a million times.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);

/// See the head of the file.
pub struct Worker {
    shared: Arc<Shared>,
    client: Client,
    random: SeededEntropy,
    /// Objects that this worker stored and may delete.
    own: Vec<u64>,
    /// Where the next page of the list begins.
    page_after: PageAfter,
    page: Vec<u8>,
}

enum PageAfter {
    /// A random key, so that clients do not all read the same page.
    Anywhere,
    /// Where the last page ended.
    Token(String),
}

impl Worker {
    /// The worker with this index.
    pub fn new(shared: Arc<Shared>, index: usize) -> Self {
        let seed = shared.load.seed ^ scatter(index as u64);
        Self {
            client: shared.load.client(),
            random: SeededEntropy::new(seed),
            own: Vec::new(),
            page_after: PageAfter::Anywhere,
            page: Vec::new(),
            shared,
        }
    }

    /// Connects, waits for the others, and makes operations until the phase is over.
    pub async fn run(mut self) -> Tally {
        // A failure shows again, and is counted, with the first operation.
        let _ = self.client.connect().await;
        self.shared.connected.wait().await;
        self.shared.measured.wait().await;
        let clock = self.shared.load.clock.clone();
        let end = clock.monotonic().saturating_add(self.shared.phase.duration);
        let mut tally = Tally::default();
        let mut now = clock.monotonic();
        while now < end && self.shared.take() {
            let began = now;
            let Some((operation, number)) = self.choose() else {
                break;
            };
            let mut result = self.perform(operation, number).await;
            while let Err(fault) = &result
                && fault.is_busy()
                && clock.monotonic() < end
            {
                tally.busy += 1;
                tokio::time::sleep(wait(fault)).await;
                result = self.perform(operation, number).await;
            }
            if matches!(result, Err(Fault::Connection(_))) {
                tokio::time::sleep(RECONNECT_AFTER).await;
            }
            if result.is_ok() && operation == Operation::Put {
                self.remember(number);
            }
            now = clock.monotonic();
            tally.record(operation, now - began, result);
        }
        tally
    }

    /// The next operation, and the number of its object; none when nothing is left to delete.
    fn choose(&mut self) -> Option<(Operation, u64)> {
        let shared = &self.shared;
        let phase = &shared.phase;
        let operation = phase.mix.pick(self.random.next_u64());
        let number = match operation {
            Operation::Put => shared.next_put.fetch_add(1, Ordering::Relaxed),
            Operation::Delete => match self.own.pop() {
                Some(number) => number,
                None => {
                    let number = shared.next_delete.fetch_add(1, Ordering::Relaxed);
                    if number >= phase.deletable.end {
                        return None;
                    }
                    number
                }
            },
            Operation::Get | Operation::Head | Operation::List => {
                let readable = &phase.readable;
                readable.start + self.random.next_u64() % (readable.end - readable.start)
            }
        };
        Some((operation, number))
    }

    /// Remembers an object to delete, if any are to be deleted.
    fn remember(&mut self, number: u64) {
        if self.shared.phase.mix.has(Operation::Delete) {
            self.own.push(number);
        }
    }

    /// Makes one operation and checks its answer; the bytes that it moved.
    async fn perform(&mut self, operation: Operation, number: u64) -> Result<u64, Fault> {
        let load = &self.shared.load;
        if operation == Operation::List {
            return self.list(number).await;
        }
        let path = format!("/{}/{}", load.bucket, load.keys.key(number));
        let size = load.size(number);
        match operation {
            Operation::Put => {
                let mut call = Call::new(Method::PUT, &path);
                call.body = load.content.object(number, size);
                self.client.call(call, |_| ()).await?;
                Ok(size)
            }
            Operation::Get => {
                let mut expected = load.content.object(number, size);
                let mut is_right = true;
                let call = Call::new(Method::GET, &path);
                let sink = |piece: &[u8]| is_right = is_right && expected.matches(piece);
                self.client.call(call, sink).await?;
                if !is_right || expected.left() > 0 {
                    return Err(Fault::Wrong("the object has other bytes than were stored"));
                }
                Ok(size)
            }
            Operation::Head => {
                let call = Call::new(Method::HEAD, &path);
                let headers = self.client.call(call, |_| ()).await?;
                let length = headers.get(CONTENT_LENGTH);
                let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
                if length != Some(size) {
                    return Err(Fault::Wrong(
                        "the object has another length than was stored",
                    ));
                }
                Ok(0)
            }
            Operation::Delete => {
                self.client
                    .call(Call::new(Method::DELETE, &path), |_| ())
                    .await?;
                Ok(0)
            }
            Operation::List => unreachable!("handled above"),
        }
    }

    /// Reads the page after the last one, or one that begins at a random key.
    async fn list(&mut self, number: u64) -> Result<u64, Fault> {
        let load = &self.shared.load;
        let path = format!("/{}", load.bucket);
        let prefix = percent_encode(load.keys.prefix());
        let common = format!("list-type=2&max-keys={PAGE_KEYS}&prefix={prefix}");
        let query = match std::mem::replace(&mut self.page_after, PageAfter::Anywhere) {
            PageAfter::Token(token) => {
                format!("continuation-token={}&{common}", percent_encode(&token))
            }
            PageAfter::Anywhere => {
                let key = load.keys.key(number);
                format!("{common}&start-after={}", percent_encode(&key))
            }
        };
        let mut call = Call::new(Method::GET, &path);
        call.query = &query;
        self.page.clear();
        let page = &mut self.page;
        self.client
            .call(call, |piece| page.extend_from_slice(piece))
            .await?;
        let keys = memmem::find_iter(&self.page, "<Key>").count();
        if let Some(token) = next_token(&self.page) {
            if keys != PAGE_KEYS {
                return Err(Fault::Wrong("a page that is not the last is not full"));
            }
            self.page_after = PageAfter::Token(token);
        }
        Ok(self.page.len() as u64)
    }
}

fn next_token(page: &[u8]) -> Option<String> {
    let at = memmem::find(page, b"<NextContinuationToken>")?;
    let end = page.len().min(at + 4096);
    let text = String::from_utf8_lossy(&page[at..end]);
    let token = element(&text, "NextContinuationToken")?;
    Some(
        token
            .replace("&#43;", "+")
            .replace("&#61;", "=")
            .replace("&amp;", "&"),
    )
}

fn wait(fault: &Fault) -> Duration {
    match fault {
        Fault::Refused {
            retry_after: Some(time),
            ..
        } => (*time).min(RETRY_AFTER_MAX),
        _ => RETRY_AFTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        let page = b"<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>";
        assert_eq!(next_token(page).as_deref(), Some("a&b="));
        assert_eq!(next_token(b"<IsTruncated>false</IsTruncated>"), None);
    }
}
