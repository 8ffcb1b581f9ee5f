//! Memory whose pages are resident, for the audio thread.

/// An empty vector with capacity for `count` elements whose pages are resident. Memory that is only
/// reserved causes page faults at its first use, which would be in `process`, and which may block
/// while the worker allocates.
pub fn room_for<T: Clone>(count: usize, any: T) -> Vec<T> {
    let mut room = Vec::with_capacity(count);
    room.resize(count, any);
    // Otherwise writing what is thrown away again could be left out.
    std::hint::black_box(&mut room).clear();
    room
}
