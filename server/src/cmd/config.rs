//! `cairn config`: looks at the configuration and binds nothing.

use crate::config::{Config, Source};
use anyhow::Result;

/// Says that the configuration is good, or fails with the line that is not.
pub fn check(source: Source) -> Result<()> {
    let config = Config::load(&source)?;
    println!(
        "configuration is good: {} disks, S3 on {}",
        config.data.len(),
        config.listen
    );
    Ok(())
}

/// Prints the settings that were given, secrets left out.
pub fn show(source: Source) -> Result<()> {
    Config::load(&source)?;
    let (mut settings, _) = source.load()?;
    let hide = |secret: &mut String| *secret = "(hidden)".to_owned();
    settings.root_secret_key.iter_mut().for_each(hide);
    settings
        .users
        .iter_mut()
        .flatten()
        .for_each(|user| hide(&mut user.secret_key));
    print!("{}", toml::to_string(&settings)?);
    Ok(())
}
