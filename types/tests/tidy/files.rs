//! What the rules look at: the text files of the repository, and what they report.

use std::fmt;
use std::fs;
use std::path::Path;

/// One text file: its path from the top of the repository, with `/`, and its text.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// Whether the path ends with `.` and this extension.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path
            .strip_suffix(extension)
            .is_some_and(|stem| stem.ends_with('.'))
    }

    /// The lines with their numbers, counted from 1.
    pub fn numbered_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// A finding at a line of this file.
    pub fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            message: message.into(),
        }
    }
}

/// A broken rule: where, and in the message what is wrong and the mend.
#[derive(Debug)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Folders that hold output and not source, wherever they are.
const SKIPPED_FOLDERS: &[&str] = &[
    ".git",
    "target",
    "data",
    "corpus",
    "artifacts",
    "bench-results",
    "__pycache__",
];
const TEXT_EXTENSIONS: &[&str] = &["rs", "toml", "md", "sh", "py", "c", "h", "tsv", "txt"];
const TEXT_NAMES: &[&str] = &["Makefile", "run"];

/// Reads every text file below the workspace's top folder.
pub fn read_repository() -> Vec<File> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate's folder lies in the workspace's");
    let mut files = Vec::new();
    read_folder(top, "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
        let entry = entry.expect("a folder of the repository can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry
            .file_type()
            .expect("a file of the repository has a type");
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            read_folder(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && is_text(&name) {
            let bytes = fs::read(entry.path()).expect("a file of the repository can be read");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            files.push(File { path, text });
        }
    }
}

fn is_text(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TEXT_EXTENSIONS.contains(&extension) || TEXT_NAMES.contains(&name)
}
