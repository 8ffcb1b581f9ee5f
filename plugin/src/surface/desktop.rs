//! Services that baseview lacks: visibility of the window, and keyboard focus.
//!
//! An editor that hosts only unmap would paint for nobody. And a window of X11 that has the keyboard
//! keeps it, so one click in an editor would take the space bar from the host for good.

#[cfg(target_os = "linux")]
mod x11;
#[cfg(target_os = "linux")]
pub(super) use x11::Desktop;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Desktop;
