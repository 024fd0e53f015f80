//! Sparse files: where their data belongs.

use super::Error;
use super::pax::Sparse;

/// The most segments of one map.
pub(super) const MAX: u64 = 1_000_000;

/// A stretch of data in a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// The versions of sparse maps in extended headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 0.0 and 0.1: the map is in the header.
    Header,
    /// 1.0: the map stands before the data.
    Data,
}

/// Which version `sparse` is.
pub(super) fn version(sparse: &Sparse) -> Result<Version, Error> {
    match (sparse.major.unwrap_or(0), sparse.minor) {
        (0, None | Some(0 | 1)) => Ok(Version::Header),
        (1, Some(0)) => Ok(Version::Data),
        _ => Err(Error::Sparse("a version that is not known")),
    }
}

/// The map of versions 0.0 and 0.1.
pub(super) fn from_header(sparse: &mut Sparse) -> Result<Vec<Segment>, Error> {
    if sparse.is_half() {
        return Err(Error::Sparse("an offset without a length"));
    }
    let map = std::mem::take(&mut sparse.map);
    if sparse.count.is_some_and(|count| count != map.len() as u64) {
        return Err(Error::Sparse("it has not as many segments as it says"));
    }
    Ok(map)
}

/// Checks that `map` is ascending, disjoint, inside `real_size`, and that its
/// data is the `stored` bytes.
pub(super) fn check(map: &[Segment], real_size: u64, stored: u64) -> Result<(), Error> {
    if map.len() as u64 > MAX {
        return Err(Error::Limit("a sparse map of more than 1000000 segments"));
    }
    let (mut end, mut sum) = (0, 0u64);
    for segment in map {
        if segment.offset < end {
            return Err(Error::Sparse("its segments are not in order"));
        }
        end = segment.offset.checked_add(segment.length).ok_or(Error::Sparse("a segment without end"))?;
        sum += segment.length;
    }
    if end > real_size {
        return Err(Error::Sparse("a segment behind the end of the file"));
    }
    if sum != stored {
        return Err(Error::Sparse("its segments are not as long as the data"));
    }
    Ok(())
}
