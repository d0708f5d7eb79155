//! What people do beside sending messages, and how often each: the mix of a load. Knows no wire.

use std::fmt;
use std::str::FromStr;

use rand::Rng;

/// Something that people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// They send messages.
    Messages,
    /// They put reactions on messages and take them off again.
    Reactions,
    /// They edit messages of their own.
    Edits,
    /// They delete messages of their own.
    Deletions,
    /// A room's owner adds a guest, gives them another role, removes them, and renames the room.
    Members,
}

impl Kind {
    /// All, in the order of the command line.
    pub const ALL: [Self; 5] = [
        Self::Messages,
        Self::Reactions,
        Self::Edits,
        Self::Deletions,
        Self::Members,
    ];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Reactions => "reactions",
            Self::Edits => "edits",
            Self::Deletions => "deletions",
            Self::Members => "members",
        }
    }
}

/// How often each kind is done, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Mix([u32; Kind::ALL.len()]);

impl Mix {
    /// How often a kind is done, in relation to the others.
    #[must_use]
    pub const fn weight(&self, kind: Kind) -> u32 {
        self.0[kind as usize]
    }

    /// Whether anything but messages is in it.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        *self != Self::default()
    }

    /// A random kind, each as often as its weight says.
    pub(crate) fn pick(&self) -> Kind {
        let mut left = rand::rng().random_range(0..self.0.iter().sum());
        let weighed = Kind::ALL.into_iter().zip(self.0);
        for (kind, weight) in weighed {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Kind::Messages
    }
}

impl Default for Mix {
    /// Messages alone.
    fn default() -> Self {
        Self([1, 0, 0, 0, 0])
    }
}

impl FromStr for Mix {
    type Err = String;

    /// Reads kinds with weights, such as `messages=8,reactions=4,members`; without a weight it is 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = [0; Kind::ALL.len()];
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let names = Kind::ALL.map(Kind::name).join(", ");
            let kind = kind.ok_or_else(|| format!("`{name}` is none of {names}"))?;
            let weight: u16 = weight
                .parse()
                .map_err(|_| format!("`{weight}` is no weight from 0 to 65535"))?;
            if std::mem::replace(&mut weights[kind as usize], weight.into()) > 0 {
                return Err(format!("`{name}` is there twice"));
            }
        }
        match weights.iter().any(|weight| *weight > 0) {
            true => Ok(Self(weights)),
            false => Err("nothing is done".to_owned()),
        }
    }
}

impl TryFrom<String> for Mix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weighed = Kind::ALL.into_iter().zip(self.0);
        let done = weighed.filter(|(_, weight)| *weight > 0);
        let parts: Vec<_> = done
            .map(|(kind, weight)| match weight {
                1 => kind.name().to_owned(),
                weight => format!("{}={weight}", kind.name()),
            })
            .collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_weights_and_are_written_as_they_are_read() {
        let text = "messages=8,reactions=4,edits=2,deletions,members";
        let mix: Mix = text.parse().unwrap();
        assert_eq!(
            Kind::ALL.map(|kind| mix.weight(kind)),
            [8, 4, 2, 1, 1],
            "{mix:?}"
        );
        assert_eq!(mix.to_string(), text);
        assert!(mix.has_changes());
        assert!(!"messages=1".parse::<Mix>().unwrap().has_changes());
    }

    #[test]
    fn what_is_no_mix_is_said() {
        for (text, why) in [
            ("", "`` is none of"),
            ("votes", "`votes` is none of"),
            ("edits=x", "`x` is no weight"),
            ("edits=70000", "no weight from 0 to 65535"),
            ("edits,edits=2", "`edits` is there twice"),
            ("edits=0", "nothing is done"),
        ] {
            let said = text.parse::<Mix>().unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn only_what_is_in_it_is_picked_and_all_of_it() {
        let mix: Mix = "edits=1,members=3".parse().unwrap();
        let mut picked = [0; Kind::ALL.len()];
        for _ in 0..1000 {
            picked[mix.pick() as usize] += 1;
        }
        assert_eq!((picked[0], picked[1], picked[3]), (0, 0, 0));
        assert!(picked[2] > 100 && picked[4] > picked[2], "{picked:?}");
    }
}
