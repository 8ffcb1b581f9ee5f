//! Notifications of the host besides notes: changes of the project, and values of parameters that
//! the plug-in changes itself. nice-plug supports neither, so the entry points [`clap`] and
//! [`vst3`] wrap it.
//!
//! Whoever changes something only notes it here and asks the host for a turn; the entry point of
//! the format tells it where that format allows, on the main thread or with a block's events.

use std::{
    cell::RefCell,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

pub mod clap;
pub mod vst3;

use nice_plug::{params::InternalParamMut, prelude::*};
use parking_lot::Mutex;

use crate::{
    params::InterludeParams,
    slots::{SLOTS, SlotId},
    table,
};

thread_local! {
    /// The link of the instance that this thread has made last: nice-plug's wrappers make the
    /// instance and show nothing of it.
    static NEWEST: RefCell<Weak<HostLink>> = const { RefCell::new(Weak::new()) };
}

/// Connection of one instance to its host.
pub struct HostLink {
    params: Arc<InterludeParams>,
    /// Whether the project has changed since the host was told.
    changed: AtomicBool,
    /// Parameters whose values the host has not been told: a bit for each, the arming ones first.
    untold: AtomicU8,
    /// Process mode of the block, where only the entry point sees it.
    mode: AtomicU8,
    /// Requests a call on the main thread.
    ask: Mutex<Option<Box<dyn Fn() + Send>>>,
    /// Tells the host in a turn that nice-plug gives.
    turn: Mutex<Option<Turn>>,
}

type Turn = Arc<dyn Fn(&HostLink) + Send + Sync>;

/// The bit of [`InterludeParams::changes`] in [`HostLink::untold`].
const CHANGES_BIT: u8 = 1 << SLOTS;

/// A parameter's value that the host must be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// The id by which hosts know the parameter.
    pub id: u32,
    /// The value, in `0.0..=1.0`.
    pub normalized: f64,
    /// The value in steps, as CLAP counts those of switches and numbers.
    pub steps: f64,
}

impl HostLink {
    /// The link of a new instance; the entry point finds it by [`HostLink::newest`].
    pub fn new(params: Arc<InterludeParams>) -> Arc<Self> {
        let link = Arc::new(Self {
            params,
            changed: AtomicBool::new(false),
            untold: AtomicU8::new(0),
            mode: AtomicU8::new(0),
            ask: Mutex::new(None),
            turn: Mutex::new(None),
        });
        let weak = Arc::downgrade(&link);
        NEWEST.set(Weak::clone(&weak));
        link.params.song.on_edit(move || {
            if let Some(link) = weak.upgrade() {
                link.project_changed();
            }
        });
        link
    }

    /// The link of the instance that this thread has made last.
    pub fn newest() -> Option<Arc<Self>> {
        NEWEST.take().upgrade()
    }

    /// Sets how the host is asked for a turn, from any thread but the audio thread's.
    pub fn ask_by(&self, ask: impl Fn() + Send + 'static) {
        *self.ask.lock() = Some(Box::new(ask));
    }

    /// Sets what tells the host in [`HostLink::take_turn`].
    fn tell_by(&self, turn: impl Fn(&Self) + Send + Sync + 'static) {
        *self.turn.lock() = Some(Arc::new(turn));
    }

    /// No host is connected.
    fn tell_nobody(&self) {
        *self.turn.lock() = None;
    }

    /// The main thread's turn, where nice-plug has asked for it.
    pub fn take_turn(&self) {
        // The host may call back; no lock is held then.
        let turn = self.turn.lock().clone();
        if let Some(turn) = turn {
            turn(self);
        }
    }

    /// The host goes away: nothing is asked of it or told from here on.
    pub fn close(&self) {
        *self.ask.lock() = None;
        self.tell_nobody();
    }

    /// The host must know that the project has changed. Not for the audio thread.
    fn project_changed(&self) {
        let changes = &self.params.changes;
        let next = (changes.unmodulated_plain_value() + 1) % (table::CHANGES.max + 1);
        // SAFETY: a store of atomics, as nice-plug does it for a change from the editor; the
        // parameter has no callback.
        unsafe { changes._internal_set_plain_value(next) };
        self.untold.fetch_or(CHANGES_BIT, Ordering::AcqRel);
        self.changed.store(true, Ordering::Release);
        if let Some(ask) = &*self.ask.lock() {
            ask();
        }
    }

    /// Disarms a slot; for the audio thread.
    pub fn disarm(&self, slot: usize) {
        let param = self.arming(slot);
        if param.unmodulated_plain_value() {
            // SAFETY: a store of atomics, as nice-plug does it before a block; the parameter has no
            // callback.
            unsafe { param._internal_set_plain_value(false) };
            self.untold.fetch_or(1 << slot, Ordering::AcqRel);
        }
    }

    fn arming(&self, slot: usize) -> &BoolParam {
        &self.params.capture[slot]
    }

    /// Whether the project has changed since the last call.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// Whether there are values to tell.
    pub fn has_untold(&self) -> bool {
        self.untold.load(Ordering::Acquire) != 0
    }

    /// Hands each value that the host must be told to `tell`; one that it does not take is kept.
    pub fn tell(&self, mut tell: impl FnMut(Told) -> bool) {
        let bits = self.untold.swap(0, Ordering::AcqRel);
        for (slot, id) in SlotId::ALL.map(SlotId::capture_id).into_iter().enumerate() {
            let on = self.arming(slot).unmodulated_plain_value();
            let value = f64::from(u8::from(on));
            let told = Told { id: hash(id), normalized: value, steps: value };
            if bits & 1 << slot != 0 && !tell(told) {
                self.untold.fetch_or(1 << slot, Ordering::AcqRel);
            }
        }
        let changes = &self.params.changes;
        let told = Told {
            id: hash(table::CHANGES.id),
            normalized: f64::from(changes.unmodulated_normalized_value()),
            steps: f64::from(changes.unmodulated_plain_value()),
        };
        if bits & CHANGES_BIT != 0 && !tell(told) {
            self.untold.fetch_or(CHANGES_BIT, Ordering::AcqRel);
        }
    }

    /// Notes that the host could not load a state.
    pub fn state_refused(&self) {
        self.params.song.refuse();
    }

    /// Notes for what time the host says that it renders the next block.
    pub fn set_mode(&self, offline: bool) {
        self.mode.store(if offline { 2 } else { 1 }, Ordering::Relaxed);
    }

    /// Whether the host renders offline; `None` where it says so at activation.
    pub fn offline(&self) -> Option<bool> {
        match self.mode.load(Ordering::Relaxed) {
            0 => None,
            mode => Some(mode == 2),
        }
    }
}

/// The id by which nice-plug names a parameter to hosts.
const fn hash(id: &str) -> u32 {
    let bytes = id.as_bytes();
    let (mut hash, mut at) = (0_u32, 0);
    while at < bytes.len() {
        hash = hash.wrapping_mul(31).wrapping_add(bytes[at] as u32);
        at += 1;
    }
    hash & !(1 << 31)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::state::Slot;

    /// What the host is told in its next turn.
    fn told(link: &HostLink) -> Vec<(u32, f64)> {
        let mut values = Vec::new();
        link.tell(|told| {
            values.push((told.id, told.steps));
            true
        });
        values
    }

    /// Each edit asks the host for a turn, in which it learns of the change once; what only follows
    /// from an edit and what is loaded asks for nothing.
    #[test]
    fn edits_are_told() {
        let params = Arc::new(InterludeParams::default());
        let link = HostLink::new(Arc::clone(&params));
        assert!(HostLink::newest().is_some_and(|newest| Arc::ptr_eq(&newest, &link)));
        assert!(HostLink::newest().is_none());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        link.ask_by(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let song = &params.song;
        let edits: [&dyn Fn(); 5] = [
            &|| song.replace(SlotId::A, Slot { source: "clip".to_owned(), ..Slot::default() }),
            &|| song.undo(SlotId::A),
            &|| song.swap(),
            &|| song.replace(SlotId::B, Slot::default()),
            &|| {
                song.edit(|state| state.model = "another".to_owned());
            },
        ];
        for (edit, number) in edits.into_iter().zip(1_u16..) {
            edit();
            assert_eq!(asked.load(Ordering::Relaxed), usize::from(number));
            assert!(link.take_changed() && !link.take_changed());
            assert_eq!(told(&link), [(hash(table::CHANGES.id), f64::from(number))]);
            assert_eq!(told(&link), []);
        }
        song.change(|state| state.slots[0].latent = None);
        params.deserialize_fields(&params.serialize_fields());
        assert!(!link.take_changed() && told(&link).is_empty());
        link.close();
        song.swap();
        assert_eq!(asked.load(Ordering::Relaxed), 5);
    }

    /// The count of changes begins again at its end and differs from the one before in any case.
    #[test]
    fn the_count_goes_round() {
        let params = Arc::new(InterludeParams::default());
        let link = HostLink::new(Arc::clone(&params));
        // SAFETY: as a host would set it.
        unsafe { params.changes._internal_set_plain_value(table::CHANGES.max) };
        params.song.swap();
        assert_eq!(told(&link), [(hash(table::CHANGES.id), 0.0)]);
    }

    /// A disarmed slot is told, until the host takes it; one that was not armed is not.
    #[test]
    fn disarming_is_told() {
        let params = Arc::new(InterludeParams::default());
        let link = HostLink::new(Arc::clone(&params));
        link.disarm(0);
        assert!(!link.has_untold());
        // SAFETY: as a host would set it.
        unsafe { params.capture[1]._internal_set_plain_value(true) };
        link.disarm(1);
        assert_eq!(params.armed(), [false; SLOTS]);
        link.tell(|_| false);
        assert!(link.has_untold() && !link.take_changed());
        assert_eq!(told(&link), [(hash("capture_b"), 0.0)]);
    }
}
