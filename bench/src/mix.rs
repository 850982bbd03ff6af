//! Which operations are made, and how often each.

use std::fmt;
use std::str::FromStr;

/// What a client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Store a new object.
    Put,
    /// Read an object, and compare it with what was stored.
    Get,
    /// Ask for an object's headers.
    Head,
    /// Delete an object.
    Delete,
    /// Read a page of a list.
    List,
}

/// Every operation, in the order of reports.
const ALL: [Operation; 5] = [
    Operation::Put,
    Operation::Get,
    Operation::Head,
    Operation::Delete,
    Operation::List,
];

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::List => "list",
        })
    }
}

/// Operations and their weights, as in `put` or `get=70,put=25,list=5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: Vec<(Operation, u64)>,
    total: u64,
}

impl Mix {
    /// One operation only.
    pub fn only(operation: Operation) -> Self {
        Self {
            weights: vec![(operation, 1)],
            total: 1,
        }
    }

    /// Whether the operation is among them.
    pub fn has(&self, operation: Operation) -> bool {
        self.weights.iter().any(|(one, _)| *one == operation)
    }

    /// The operation that a random number stands for.
    pub fn pick(&self, random: u64) -> Operation {
        let mut at = random % self.total;
        for (operation, weight) in &self.weights {
            if at < *weight {
                return *operation;
            }
            at -= weight;
        }
        unreachable!("the weights add up to their total");
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(operation, _)] = self.weights.as_slice() {
            return operation.fmt(out);
        }
        for (index, (operation, weight)) in self.weights.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(out, "{comma}{operation}={weight}")?;
        }
        Ok(())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self {
            weights: Vec::new(),
            total: 0,
        };
        for item in text.split(',') {
            let (name, weight) = item.split_once('=').unwrap_or((item, "1"));
            let operation = ALL
                .into_iter()
                .find(|operation| operation.to_string() == name)
                .ok_or_else(|| format!("`{name}` is none of put, get, head, delete, list"))?;
            let weight: u32 = weight.parse().map_err(|_| {
                format!("`{weight}` is no weight: write a whole number, as in get=70")
            })?;
            if weight == 0 || mix.has(operation) {
                return Err(format!(
                    "`{item}`: give each operation once, with a weight above 0"
                ));
            }
            mix.weights.push((operation, weight.into()));
            mix.total += u64::from(weight);
        }
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_mixes() {
        for text in ["put", "get=70,put=25,list=5"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        for bad in ["", "fetch", "put=x", "put=0", "put,put", "put=-1"] {
            assert!(bad.parse::<Mix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn weights_are_kept() {
        let mix: Mix = "get=70,put=25,list=5".parse().unwrap();
        let count = |wanted| (0..1000).filter(|n| mix.pick(*n) == wanted).count();
        assert_eq!(count(Operation::Get), 700);
        assert_eq!(count(Operation::Put), 250);
        assert_eq!(count(Operation::List), 50);
        assert_eq!(count(Operation::Head), 0);
    }
}
