//! Stands in for ALSA's sequencer where the kernel has none: loaded before the real library
//! (`LD_PRELOAD`), it lets qtractor start. Nothing comes in and what goes out is dropped; plug-ins
//! are reached inside of qtractor, without the sequencer.
//!
//! The functions are those of `alsa/seq.h` and `alsa/timer.h` that reach for the kernel. Those that
//! only fill structures stay the real library's.

#![cfg(target_os = "linux")]

use std::{
    ffi::{c_char, c_int, c_uint, c_void},
    os::{fd::IntoRawFd, unix::net::UnixStream},
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicI32, Ordering},
    },
};

/// Return value of functions that find nothing.
const NONE: c_int = -libc::ENOENT;
/// What the reader of an empty queue is told.
const LATER: c_int = -libc::EAGAIN;
/// Number of this client.
const CLIENT: c_int = 128;

/// A descriptor that never becomes readable.
fn silent_descriptor() -> c_int {
    static DESCRIPTOR: OnceLock<c_int> = OnceLock::new();
    *DESCRIPTOR.get_or_init(|| {
        UnixStream::pair().map_or(-1, |(ours, theirs)| {
            // Open for good: a closed end would read as an event.
            let _ = theirs.into_raw_fd();
            ours.into_raw_fd()
        })
    })
}

/// The sequencer handle, an address that is never dereferenced.
static HANDLE: [u8; 64] = [0; 64];

/// Opens the sequencer.
///
/// # Safety
/// `handle` must be null or point to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_seq_open(
    handle: *mut *const c_void,
    _name: *const c_char,
    _streams: c_int,
    _mode: c_int,
) -> c_int {
    if handle.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: not null, and the caller keeps the function's contract.
    unsafe { *handle = ptr::from_ref(&HANDLE).cast() };
    0
}

/// Tells which client this is.
#[unsafe(no_mangle)]
pub extern "C" fn snd_seq_client_id(_seq: *mut c_void) -> c_int {
    CLIENT
}

/// Makes a port and gives its number.
#[unsafe(no_mangle)]
pub extern "C" fn snd_seq_create_simple_port(
    _seq: *mut c_void,
    _name: *const c_char,
    _capabilities: c_uint,
    _kind: c_uint,
) -> c_int {
    static PORTS: AtomicI32 = AtomicI32::new(0);
    PORTS.fetch_add(1, Ordering::Relaxed)
}

/// Tells that there is one descriptor to wait on.
#[unsafe(no_mangle)]
pub extern "C" fn snd_seq_poll_descriptors_count(_seq: *mut c_void, _events: i16) -> c_int {
    1
}

/// Gives the descriptor to wait on.
///
/// # Safety
/// `descriptors` must have room for `space` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_seq_poll_descriptors(
    _seq: *mut c_void,
    descriptors: *mut libc::pollfd,
    space: c_uint,
    events: i16,
) -> c_int {
    if descriptors.is_null() || space == 0 {
        return 0;
    }
    let silent = libc::pollfd { fd: silent_descriptor(), events, revents: 0 };
    // SAFETY: there is room for one, by the function's contract.
    unsafe { *descriptors = silent };
    1
}

/// Reads an event: there is none.
///
/// # Safety
/// `event` must be null or point to a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn snd_seq_event_input(_seq: *mut c_void, event: *mut *mut c_void) -> c_int {
    if !event.is_null() {
        // SAFETY: not null, and the caller keeps the function's contract.
        unsafe { *event = ptr::null_mut() };
    }
    LATER
}

/// Functions whose only result is a number. They take at most four arguments, which are ignored.
macro_rules! answers {
    ($($name:ident = $answer:expr;)*) => {
        $(
            /// Answers as the sequencer would, without one.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name(
                _first: *mut c_void,
                _second: *mut c_void,
                _third: *mut c_void,
                _fourth: *mut c_void,
            ) -> c_int {
                $answer
            }
        )*
    };
}

answers! {
    snd_seq_close = 0;
    snd_seq_set_client_name = 0;
    snd_seq_delete_simple_port = 0;
    snd_seq_set_port_info = 0;
    snd_seq_alloc_queue = 0;
    snd_seq_free_queue = 0;
    snd_seq_control_queue = 0;
    snd_seq_get_queue_tempo = 0;
    snd_seq_set_queue_tempo = 0;
    snd_seq_set_queue_timer = 0;
    snd_seq_event_output = 0;
    snd_seq_event_output_direct = 0;
    snd_seq_event_input_pending = 0;
    snd_seq_free_event = 0;
    snd_seq_drain_output = 0;
    snd_seq_drop_input = 0;
    snd_seq_drop_output = 0;
    snd_seq_remove_events = 0;
    snd_seq_subscribe_port = 0;
    snd_seq_unsubscribe_port = 0;
    snd_seq_get_port_info = 0;
    snd_seq_get_any_client_info = NONE;
    snd_seq_get_any_port_info = NONE;
    snd_seq_get_queue_status = NONE;
    snd_seq_query_next_client = NONE;
    snd_seq_query_next_port = NONE;
    snd_seq_query_port_subscribers = NONE;
    snd_timer_open = NONE;
    snd_timer_query_open = NONE;
    snd_timer_query_next_device = NONE;
}
