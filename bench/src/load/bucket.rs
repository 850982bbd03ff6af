//! Making the bucket, and leaving nothing behind.

use super::explain;
use crate::client::{Call, Client, Fault, element};
use crate::content::Stretch;
use crate::keys::percent_encode;
use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderName;
use http::{HeaderValue, Method};
use openssl::hash::{MessageDigest, hash};

/// Makes the bucket unless it is there; whether it was made.
pub async fn make(client: &mut Client, bucket: &str) -> Result<bool> {
    let path = format!("/{bucket}");
    match client.fetch(Call::new(Method::HEAD, &path)).await {
        Ok(_) => return Ok(false),
        // A HEAD's answer has no body, so what else is wrong shows with the PUT.
        Err(Fault::Refused {
            status: 403 | 404, ..
        }) => {}
        Err(fault) => return Err(explain(fault, &format!("cannot look at bucket {bucket}"))),
    }
    let made = client.fetch(Call::new(Method::PUT, &path)).await;
    made.map_err(|fault| explain(fault, &format!("cannot make bucket {bucket}")))?;
    Ok(true)
}

/// The first key under `prefix`, as it stands in the list.
pub async fn first(client: &mut Client, bucket: &str, prefix: &str) -> Result<Option<String>> {
    let page = page(client, bucket, prefix).await?;
    Ok(keys(&page).next().map(str::to_owned))
}

/// A page of the list of what is under `prefix`.
async fn page(client: &mut Client, bucket: &str, prefix: &str) -> Result<String> {
    let path = format!("/{bucket}");
    let query = format!("list-type=2&prefix={}", percent_encode(prefix));
    let mut list = Call::new(Method::GET, &path);
    list.query = &query;
    let page = client.fetch(list).await;
    let (_, page) = page.map_err(|fault| explain(fault, "cannot list"))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn keys(page: &str) -> impl Iterator<Item = &str> {
    let rests = page.split("<Key>").skip(1);
    rests.filter_map(|rest| rest.split("</Key>").next())
}

/// Deletes every object under `prefix`, and the bucket if it is to go too.
pub async fn clear(
    client: &mut Client,
    bucket: &str,
    prefix: &str,
    with_bucket: bool,
) -> Result<()> {
    let path = format!("/{bucket}");
    loop {
        let page = page(client, bucket, prefix).await?;
        // Our own keys need no escapes.
        let keys: Vec<&str> = keys(&page).collect();
        if keys.is_empty() {
            break;
        }
        delete(client, &path, &keys).await?;
    }
    if with_bucket {
        let gone = client.fetch(Call::new(Method::DELETE, &path)).await;
        gone.map_err(|fault| explain(fault, &format!("cannot delete bucket {bucket}")))?;
    }
    Ok(())
}

async fn delete(client: &mut Client, path: &str, keys: &[&str]) -> Result<()> {
    let objects: Vec<String> = keys
        .iter()
        .map(|key| format!("<Object><Key>{key}</Key></Object>"))
        .collect();
    let xml = format!("<Delete><Quiet>true</Quiet>{}</Delete>", objects.concat());
    let md5 = STANDARD.encode(hash(MessageDigest::md5(), xml.as_bytes())?);
    let header = (
        HeaderName::from_static("content-md5"),
        HeaderValue::from_str(&md5)?,
    );
    let mut call = Call::new(Method::POST, path);
    call.query = "delete=";
    call.headers = std::slice::from_ref(&header);
    call.body = Stretch::of(xml.into());
    let answer = client.fetch(call).await;
    let (_, answer) = answer.map_err(|fault| explain(fault, "cannot delete objects"))?;
    let answer = String::from_utf8_lossy(&answer);
    let error = element(&answer, "Error");
    ensure!(
        error.is_none(),
        "cannot delete objects: {}",
        error.unwrap_or_default()
    );
    Ok(())
}
