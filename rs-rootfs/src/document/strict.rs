//! JSON as strictly as its readers must agree: no key twice, nothing behind it.

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::fmt;

/// Reads JSON only to find what serde passes over: a key that stands twice in
/// an object nobody looks at. Gives the keys of the outermost object.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Vec<String>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<String>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Vec<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_u64<E>(self, _: u64) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_str<E>(self, _: &str) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<String>, A::Error> {
        while list.next_element_seed(Self)?.is_some() {}
        Ok(Vec::new())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Self)?;
            if !keys.insert(key.clone()) {
                return Err(de::Error::custom(format_args!("duplicate key '{}'", key.escape_default())));
            }
        }
        Ok(keys.into_iter().collect())
    }
}

/// Checks that `bytes` is one JSON value in which no key stands twice, and
/// reads it. Gives the keys of the outermost object too.
pub(super) fn strict<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, Vec<String>), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let keys = Strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok((serde_json::from_slice(bytes)?, keys))
}
