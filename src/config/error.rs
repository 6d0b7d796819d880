//! Says why a configuration cannot be used, so that its owner finds the place and knows what would do.

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not TOML, has a key nobody knows, or a value outside its range; the text shows the line.
    #[error(transparent)]
    Parse(#[from] toml::de::Error),
    /// Two values do not go together.
    #[error("{key}: {problem}")]
    Conflict {
        /// The key at fault, in full.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl ConfigError {
    /// Values that do not go together, of which the one at `key` is at fault.
    pub(super) fn conflict(key: impl Into<String>, problem: impl Into<String>) -> ConfigError {
        ConfigError::Conflict { key: key.into(), problem: problem.into() }
    }
}
