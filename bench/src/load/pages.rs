//! Pages of a list, one after the other: a lap from some key to the end, and further ones from the start.

use super::Load;
use crate::client::{Call, Client, Fault, element};
use crate::keys::percent_encode;
use http::Method;
use memchr::memmem;

/// Keys of a full page: the most that S3 gives.
pub const PAGE_KEYS_MAX: u64 = 1000;

/// One client's way through the list.
#[derive(Debug)]
pub struct Pages {
    next: Next,
    /// Keys must come after this one: the last of the page before.
    last_key: String,
    /// Keys since the start of the list; none on the first lap, which begins elsewhere.
    keys_of_lap: Option<u64>,
    page: Vec<u8>,
}

#[derive(Debug)]
enum Next {
    /// Behind the key that is given, so that clients do not all read the same page.
    Anywhere,
    /// Where the last page ended.
    Token(String),
    /// At the first key.
    Start,
}

/// What a list must show.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Keys that a page is asked for.
    pub page_keys: u64,
    /// Keys that are there all the while.
    pub keys_min: u64,
}

impl Expected {
    /// For so many objects that stay.
    pub fn of(objects: u64) -> Self {
        Self {
            page_keys: objects.clamp(1, PAGE_KEYS_MAX),
            keys_min: objects,
        }
    }
}

impl Pages {
    /// Nothing is read yet.
    pub fn new() -> Self {
        Self {
            next: Next::Anywhere,
            last_key: String::new(),
            keys_of_lap: None,
            page: Vec::new(),
        }
    }

    /// Reads the next page; its bytes, or nothing if it is the end of the list and not a full page: that is less work,
    /// and no page of so many keys. The first page begins behind the key of the object with this number.
    pub async fn read(
        &mut self,
        client: &mut Client,
        load: &Load,
        number: u64,
        expected: Expected,
    ) -> Result<Option<u64>, Fault> {
        let path = format!("/{}", load.bucket);
        let prefix = percent_encode(load.keys.prefix());
        let common = format!(
            "list-type=2&max-keys={}&prefix={prefix}",
            expected.page_keys
        );
        let query = match std::mem::replace(&mut self.next, Next::Start) {
            Next::Token(token) => {
                format!("continuation-token={}&{common}", percent_encode(&token))
            }
            Next::Anywhere => {
                self.keys_of_lap = None;
                self.last_key = load.keys.key(number);
                format!("{common}&start-after={}", percent_encode(&self.last_key))
            }
            Next::Start => {
                self.keys_of_lap = Some(0);
                self.last_key.clear();
                common
            }
        };
        let mut call = Call::new(Method::GET, &path);
        call.query = &query;
        self.page.clear();
        let page = &mut self.page;
        client
            .call(call, |piece| page.extend_from_slice(piece))
            .await?;
        self.judge(expected)
    }

    /// Holds the page against what must be there, and finds where the next one begins.
    fn judge(&mut self, expected: Expected) -> Result<Option<u64>, Fault> {
        let mut keys = memmem::find_iter(&self.page, "<Key>");
        let (first, count) = match keys.next() {
            Some(first) => (Some(first), 1 + keys.count() as u64),
            None => (None, 0),
        };
        if let Some(first) = first {
            let last = memmem::rfind(&self.page, b"<Key>").unwrap_or(first);
            let (first, last) = (self.key_at(first), self.key_at(last));
            if first <= self.last_key || last < first {
                return Err(Fault::Wrong("the keys of a list are not in order"));
            }
            self.last_key = last;
        }
        if count > expected.page_keys {
            return Err(Fault::Wrong("a page has more keys than it was asked for"));
        }
        if let Some(keys) = &mut self.keys_of_lap {
            *keys += count;
        }
        match next_token(&self.page) {
            Some(_) if count < expected.page_keys => {
                return Err(Fault::Wrong("a page that is not the last is not full"));
            }
            Some(token) => self.next = Next::Token(token),
            None if self
                .keys_of_lap
                .is_some_and(|keys| keys < expected.keys_min) =>
            {
                return Err(Fault::Wrong("a list lacks objects that were stored"));
            }
            None => {}
        }
        Ok((count == expected.page_keys).then_some(self.page.len() as u64))
    }

    /// The key at this `<Key>`. Ours need no escapes.
    fn key_at(&self, at: usize) -> String {
        let end = self.page.len().min(at + 2048);
        let text = String::from_utf8_lossy(&self.page[at..end]);
        element(&text, "Key").unwrap_or_default().to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected = Expected {
        page_keys: 2,
        keys_min: 3,
    };

    fn page(keys: &[&str], token: Option<&str>) -> Vec<u8> {
        let mut text: String = keys.iter().map(|key| format!("<Key>{key}</Key>")).collect();
        if let Some(token) = token {
            text += &format!("<NextContinuationToken>{token}</NextContinuationToken>");
        }
        text.into_bytes()
    }

    fn from_start() -> Pages {
        Pages {
            keys_of_lap: Some(0),
            ..Pages::new()
        }
    }

    /// The result of these pages of one lap.
    fn judged(pages: &mut Pages, lap: &[Vec<u8>]) -> Result<Vec<bool>, Fault> {
        lap.iter()
            .map(|page| {
                pages.next = Next::Start;
                pages.page.clone_from(page);
                pages.judge(EXPECTED).map(|bytes| bytes.is_some())
            })
            .collect()
    }

    #[test]
    fn the_next_page_is_found() {
        let page = b"<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>";
        assert_eq!(next_token(page).as_deref(), Some("a&b="));
        assert_eq!(next_token(b"<IsTruncated>false</IsTruncated>"), None);
    }

    #[test]
    fn only_full_pages_count_and_the_list_begins_again_behind_the_last() {
        let mut pages = from_start();
        let lap = [page(&["a", "b"], Some("t")), page(&["c"], None)];
        assert_eq!(judged(&mut pages, &lap).unwrap(), [true, false]);
        assert!(matches!(pages.next, Next::Start));
        let lap = [page(&["a", "b"], Some("t")), page(&["c", "d"], None)];
        assert_eq!(judged(&mut from_start(), &lap).unwrap(), [true, true]);
    }

    #[test]
    fn wrong_lists_are_noticed() {
        let lacking = [page(&["a", "b"], Some("t")), page(&[], None)];
        let again = [page(&["a", "b"], Some("t")), page(&["b", "c"], None)];
        let backward = [page(&["b", "a"], Some("t"))];
        let not_full = [page(&["a"], Some("t"))];
        let too_full = [page(&["a", "b", "c"], None)];
        for lap in [&lacking[..], &again, &backward, &not_full, &too_full] {
            judged(&mut from_start(), lap).unwrap_err();
        }
        // A lap that did not begin at the start shows only the rest.
        judged(&mut Pages::new(), &lacking).unwrap();
    }

    #[test]
    fn few_objects_make_small_pages() {
        assert_eq!(Expected::of(60).page_keys, 60);
        assert_eq!(Expected::of(10_000).page_keys, 1000);
    }
}
