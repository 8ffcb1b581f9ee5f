//! Memory that the audio thread may use without asking the system.

/// An empty vector with room for `count` elements whose pages are in place. Memory that is only
/// reserved is fetched at its first use, which would be in `process`, and which waits while the
/// worker's thread asks for memory of its own.
pub fn room_for<T: Clone>(count: usize, any: T) -> Vec<T> {
    let mut room = Vec::with_capacity(count);
    room.resize(count, any);
    // Otherwise writing what is thrown away again could be left out.
    std::hint::black_box(&mut room).clear();
    room
}
