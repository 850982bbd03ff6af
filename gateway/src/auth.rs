//! Who may sign requests: the users of the configuration.

use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A user as configured.
#[derive(Debug, Clone)]
pub struct User {
    /// The display name.
    pub name: String,
    /// The canonical id: what owners and grants are written with. It never changes.
    pub canonical_id: String,
    /// The access key id.
    pub access_key: String,
    /// The secret key. Its `Debug` form hides it.
    pub secret_key: SecretKey,
}

/// A signer as operations see it: no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The display name.
    pub name: String,
    /// The canonical id.
    pub canonical_id: String,
}

/// Why a list of users is not usable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UsersError {
    /// A field is empty.
    #[error("user `{user}`: {field} is empty")]
    EmptyField {
        /// The user's name.
        user: String,
        /// The field.
        field: &'static str,
    },
    /// An access key cannot stand in a credential.
    #[error("user `{user}`: an access key holds only letters, digits, `-`, `_` and `.`")]
    MalformedAccessKey {
        /// The user's name.
        user: String,
    },
    /// Two users have the same access key or canonical id.
    #[error("user `{user}`: {field} is another user's too")]
    Duplicate {
        /// The second user's name.
        user: String,
        /// The field.
        field: &'static str,
    },
}

/// All users. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub struct Users {
    by_access_key: Arc<HashMap<String, (SecretKey, Identity)>>,
}

impl Users {
    /// Checks and indexes the configured users.
    ///
    /// # Errors
    /// A user lacks a field, or shares an access key or canonical id with another.
    pub fn new(users: impl IntoIterator<Item = User>) -> Result<Self, UsersError> {
        let mut by_access_key = HashMap::new();
        let mut canonical_ids = HashSet::new();
        for user in users {
            check(&user)?;
            let name = user.name.clone();
            if !canonical_ids.insert(user.canonical_id.clone()) {
                return Err(UsersError::Duplicate {
                    user: name,
                    field: "canonical_id",
                });
            }
            let identity = Identity {
                name: user.name,
                canonical_id: user.canonical_id,
            };
            if by_access_key
                .insert(user.access_key, (user.secret_key, identity))
                .is_some()
            {
                return Err(UsersError::Duplicate {
                    user: name,
                    field: "access_key",
                });
            }
        }
        Ok(Self {
            by_access_key: Arc::new(by_access_key),
        })
    }

    /// The user with this access key.
    #[must_use]
    pub fn identity(&self, access_key: &str) -> Option<&Identity> {
        self.by_access_key
            .get(access_key)
            .map(|(_, identity)| identity)
    }

    /// The user with this canonical id.
    #[must_use]
    pub fn by_canonical_id(&self, canonical_id: &str) -> Option<&Identity> {
        self.by_access_key
            .values()
            .map(|(_, identity)| identity)
            .find(|identity| identity.canonical_id == canonical_id)
    }

    /// The signer of a request that s3s has verified.
    ///
    /// # Errors
    /// AccessDenied for an anonymous request.
    pub fn signer(&self, credentials: Option<&Credentials>) -> S3Result<&Identity> {
        credentials
            .and_then(|own| self.identity(&own.access_key))
            .ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
    }
}

/// Secrets are compared nowhere: s3s signs with the one found here, and compares the signatures in
/// constant time. The look-up reveals at most which access keys exist, and so does the error code.
#[async_trait::async_trait]
impl S3Auth for Users {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.by_access_key.get(access_key) {
            Some((secret_key, _)) => Ok(secret_key.clone()),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

fn check(user: &User) -> Result<(), UsersError> {
    let fields = [
        ("name", user.name.as_str()),
        ("canonical_id", &user.canonical_id),
        ("access_key", &user.access_key),
        ("secret_key", user.secret_key.expose()),
    ];
    for (field, value) in fields {
        if value.is_empty() {
            return Err(UsersError::EmptyField {
                user: user.name.clone(),
                field,
            });
        }
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !user.access_key.bytes().all(allowed) {
        return Err(UsersError::MalformedAccessKey {
            user: user.name.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
