//! The size of the window, which the project keeps.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nice_plug::editor::dpi::LogicalSize;
use nice_plug::params::persist::PersistentField;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The longest side of a window that is kept, in logical pixels.
const LONGEST: f32 = 8192.0;

/// A width and a height in logical pixels as a project has them: whatever else stands there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "serde_json::Value", into = "[f32; 2]")]
pub struct Saved(Option<[f32; 2]>);

impl From<serde_json::Value> for Saved {
    fn from(value: serde_json::Value) -> Self {
        Self(serde_json::from_value(value).ok())
    }
}

impl From<Saved> for [f32; 2] {
    fn from(saved: Saved) -> Self {
        saved.0.unwrap_or_default()
    }
}

/// The size of a window: kept while it is closed and with the project, so that it opens as the
/// user left it. Clones are the same size.
#[derive(Clone, Debug)]
pub struct Extent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Width and height as the bits of two floats.
    size: AtomicU64,
    smallest: [f32; 2],
    /// Physical pixels for a logical one; the screen's and not the project's.
    scale: Mutex<f64>,
}

impl Extent {
    /// A size and the smallest one that is kept, each width and height in logical pixels.
    pub fn new(size: [f32; 2], smallest: [f32; 2]) -> Self {
        let size = AtomicU64::new(to_bits(size));
        Self(Arc::new(Inner { size, smallest, scale: Mutex::new(1.0) }))
    }

    /// Width and height in logical pixels.
    pub fn size(&self) -> [f32; 2] {
        from_bits(self.0.size.load(Ordering::Relaxed))
    }

    /// Takes a new size, unless no window that can be used has it.
    pub fn resize(&self, size: [f32; 2]) {
        let fits = |(side, smallest): (f32, f32)| (smallest..=LONGEST).contains(&side);
        if size.into_iter().zip(self.0.smallest).all(fits) {
            self.0.size.store(to_bits(size), Ordering::Relaxed);
        }
    }

    pub(super) fn smallest(&self) -> LogicalSize<f32> {
        self.0.smallest.into()
    }

    pub(super) fn logical(&self) -> LogicalSize<f64> {
        let [width, height] = self.size().map(f64::from);
        LogicalSize::new(width, height)
    }

    pub(super) fn scale(&self) -> f64 {
        *self.0.scale.lock()
    }

    /// Notes how large an open window is.
    pub(super) fn follow(&self, size: baseview::WindowSize) {
        let logical = size.logical.cast::<f32>();
        self.resize([logical.width, logical.height]);
        *self.0.scale.lock() = size.scale_factor;
    }
}

impl<'a> PersistentField<'a, Saved> for Extent {
    fn set(&self, new_value: Saved) {
        if let Some(size) = new_value.0 {
            self.resize(size);
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Saved) -> R,
    {
        f(&Saved(Some(self.size())))
    }
}

fn to_bits([width, height]: [f32; 2]) -> u64 {
    u64::from(width.to_bits()) << 32 | u64::from(height.to_bits())
}

#[expect(clippy::cast_possible_truncation, reason = "each half is one float")]
fn from_bits(bits: u64) -> [f32; 2] {
    [f32::from_bits((bits >> 32) as u32), f32::from_bits(bits as u32)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size is kept to the bit; one that no window can have changes nothing.
    #[test]
    fn impossible_sizes_are_refused() {
        let extent = Extent::new([860.0, 610.0], [640.0, 460.0]);
        extent.resize([1000.5, 700.25]);
        assert_eq!(extent.size(), [1000.5, 700.25]);
        for json in [
            "[100, 700]",
            "[1000, 1e9]",
            "[-1, -1]",
            "[1e400, 700]",
            "[null, 700]",
            "[900]",
            "{}",
            "\"large\"",
            "null",
        ] {
            if let Ok(saved) = serde_json::from_str(json) {
                PersistentField::<Saved>::set(&extent, saved);
            }
            assert_eq!(extent.size(), [1000.5, 700.25], "{json}");
        }
        extent.resize([f32::NAN, 700.0]);
        assert_eq!(extent.size(), [1000.5, 700.25]);
    }
}
