//! Talks to a running server over the admin socket in its node directory.

use crate::config::Source;
use crate::region::home::{NodeHome, socket_in};
use crate::region::socket::{Done, Refusal};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a command may take: a new node of the index gets all that the others have.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Which node is asked: that of `node_dir`, on this machine.
#[derive(Debug, Args)]
pub struct Asked {
    /// Where it is.
    #[command(flatten)]
    pub source: Box<Source>,
}

impl Asked {
    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// No server answers, or it refuses; the text says why.
    pub fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A> {
        self.exchange("GET", path, "")
    }

    /// Has something done.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn post<A: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<A> {
        self.exchange("POST", path, &serde_json::to_string(request)?)
    }

    /// Has something done, and prints what was.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn have_done(&self, path: &str, request: &impl Serialize) -> Result<()> {
        Self::print(&self.post(path, request)?);
        Ok(())
    }

    /// The same where the path says it all.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn have_it_done(&self, path: &str) -> Result<()> {
        // No body: a server that answers before it has read one ends the connection with an error.
        Self::print(&self.exchange("POST", path, "")?);
        Ok(())
    }

    fn print(Done { done }: &Done) {
        if done.is_empty() {
            println!("nothing was to be done");
        }
        done.iter().for_each(|line| println!("{line}"));
    }

    /// Whether it is a node that is asked, and not a single machine.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub fn is_node(&self) -> Result<bool> {
        let (settings, _) = self.source.load()?;
        Ok(settings.node_dir.is_some())
    }

    fn dir(&self) -> Result<PathBuf> {
        let (settings, _) = self.source.load()?;
        let dir = settings.node_dir;
        dir.context("name the directory of a node with --node-dir, CAIRN_NODE_DIR or `node_dir`")
    }

    fn exchange<A: DeserializeOwned>(&self, method: &str, path: &str, body: &str) -> Result<A> {
        let dir = self.dir()?;
        let home = NodeHome::open(&dir)?;
        let socket = socket_in(&dir);
        let mut stream = UnixStream::connect(&socket).with_context(|| {
            format!(
                "the server of node {} does not run, or you are not its user (no answer on {})",
                home.name(),
                socket.display()
            )
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .context("the server's answer did not come whole")?;
        let (status, body) = parse(&answer).context("the server's answer is no HTTP")?;
        if status == 200 {
            return serde_json::from_str(body)
                .context("the server's answer cannot be read: use its version of Cairn");
        }
        match serde_json::from_str::<Refusal>(body) {
            Ok(Refusal { error }) => Err(anyhow!(error)),
            Err(_) => bail!("the server answered {status}: {body}"),
        }
    }
}

/// Status and body of an answer.
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some((status.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        assert_eq!(
            parse("HTTP/1.0 200 OK\r\na: b\r\n\r\n{}"),
            Some((200, "{}"))
        );
        assert_eq!(parse("HTTP/1.1 409 Conflict\r\n\r\n"), Some((409, "")));
        assert_eq!(parse("hello"), None);
        assert_eq!(parse("HTTP/1.1 ok\r\n\r\n"), None);
    }
}
