//! What was counted against quotas. Knows no quota.

use rusqlite::{Connection, OptionalExtension, params};

use super::columns::limit;
use super::failure::SqliteFailure;
use crate::domain::Timestamp;
use crate::store::Charge;

/// How many forgotten keys are swept away with every call: the table stays about as small as it is in use.
const SWEPT: usize = 20;

/// Counts all or none; with one writer nobody counts in between.
pub(super) fn charge(
    connection: &Connection,
    charges: &[Charge],
    now: Timestamp,
) -> Result<Option<usize>, SqliteFailure> {
    let mut used = connection.prepare_cached("SELECT used FROM quotas WHERE key = ?1")?;
    for (place, charge) in charges.iter().enumerate() {
        let used: Option<i64> = used.query_row([&charge.key], |row| row.get(0)).optional()?;
        if used.unwrap_or(0) >= charge.limit.into() {
            return Ok(Some(place));
        }
    }
    let mut count = connection.prepare_cached(
        "INSERT INTO quotas (key, used, until) VALUES (?1, 1, ?2) ON CONFLICT (key) DO UPDATE SET used = used + 1",
    )?;
    for charge in charges {
        count.execute(params![charge.key, charge.until.millis()])?;
    }
    let mut sweep = connection.prepare_cached(&format!(
        "DELETE FROM quotas WHERE key IN (SELECT key FROM quotas WHERE until < ?1 ORDER BY until LIMIT {SWEPT} + ?2)"
    ))?;
    sweep.execute(params![now.millis(), limit(charges.len())])?;
    Ok(None)
}
