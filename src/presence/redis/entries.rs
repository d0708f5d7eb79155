//! What a user's presence says: entries of gateway and incarnation. Knows no Redis.

/// One incarnation of one gateway, as keys and fields write it: hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GatewayEntry {
    gateway: String,
    incarnation: String,
}

impl GatewayEntry {
    pub(super) fn new(gateway: impl Into<String>, incarnation: impl Into<String>) -> Self {
        Self {
            gateway: gateway.into(),
            incarnation: incarnation.into(),
        }
    }

    /// Reads a name in the registry.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let (gateway, incarnation) = name.split_once(':')?;
        Some(Self::new(gateway, incarnation))
    }

    /// The name in the registry.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.gateway, self.incarnation)
    }

    pub(super) fn gateway(&self) -> &str {
        &self.gateway
    }

    pub(super) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// The arguments of a script that begins with an entry.
    pub(super) fn fields_and(&self, last: Option<String>) -> Vec<String> {
        let fields = [self.gateway.clone(), self.incarnation.clone()];
        fields.into_iter().chain(last).collect()
    }
}

/// The entries of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entries(Vec<GatewayEntry>);

impl Entries {
    /// From gateway, incarnation, gateway, incarnation …
    pub(super) fn from_flat(flat: Vec<String>) -> Self {
        let mut flat = flat.into_iter();
        let mut entries = Vec::new();
        while let (Some(gateway), Some(incarnation)) = (flat.next(), flat.next()) {
            entries.push(GatewayEntry {
                gateway,
                incarnation,
            });
        }
        Self(entries)
    }

    /// From pairs of gateway and incarnation.
    pub(super) fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let entry = |(gateway, incarnation)| GatewayEntry {
            gateway,
            incarnation,
        };
        Self(pairs.into_iter().map(entry).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &GatewayEntry> {
        self.0.iter()
    }

    pub(super) fn contains(&self, entry: &GatewayEntry) -> bool {
        self.0.contains(entry)
    }

    /// The entries of other gateways than this.
    pub(super) fn of_others(&self, gateway: &str) -> impl Iterator<Item = &GatewayEntry> {
        self.0.iter().filter(move |entry| entry.gateway != gateway)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lists_read_back() {
        let entry = GatewayEntry::new("00ff", "1a");
        assert_eq!(GatewayEntry::from_name(&entry.name()), Some(entry.clone()));
        assert_eq!(GatewayEntry::from_name("00ff"), None);
        let flat = ["00ff", "1a", "00ee", "2b"].map(str::to_owned).to_vec();
        let entries = Entries::from_flat(flat);
        assert!(entries.contains(&entry));
        assert_eq!(entries.of_others("00ff").count(), 1);
        assert_eq!(Entries::from_flat(Vec::new()).iter().count(), 0);
    }
}
