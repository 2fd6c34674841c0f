//! Difficulties in records: the integers components see, in units of 2^-32.

use chimera_pow::Difficulty;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(
    difficulty: &Option<Difficulty>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    difficulty.map(Difficulty::to_units).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Difficulty>, D::Error> {
    Ok(Option::<u64>::deserialize(deserializer)?.and_then(Difficulty::from_units))
}

/// For a difficulty that is always there.
pub(crate) mod given {
    use serde::de::{Error as _, Unexpected};

    use super::{Deserialize, Deserializer, Difficulty, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        difficulty: &Difficulty,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        difficulty.to_units().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Difficulty, D::Error> {
        let units = u64::deserialize(deserializer)?;
        let zero = || D::Error::invalid_value(Unexpected::Unsigned(0), &"a difficulty above zero");
        Difficulty::from_units(units).ok_or_else(zero)
    }
}
